"""«Сценарии связи»: each row is played against our till emulator, and tills that do wrong are found out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.certification.bench import Bench
from api.certification.opening import House, open_bench
from api.certification.running import play
from api.certification.scenario import Outcome
from api.certification.scenarios import SCENARIOS, Scenario
from pci.secret import Secret
from tests.contracts.koshelek_pay_world import Till, TillWorld, till_world  # noqa: F401  # a fixture

NASTY = {
    "lost_request", "lost_answer", "duplicate", "late_success", "cancel_race", "repeated_refund",
    "postbacks_out_of_order", "clock_skew",
}  # fmt: skip
"""The rows that the list of the domain names."""
MANDATORY = {"sale", "cancel", "whole_refund", "partial_refund"}


@pytest.fixture(scope="module")
def till(till_world: TillWorld) -> Till:  # noqa: F811
    return till_world.till()


@asynccontextmanager
async def bench_of(till: Till, patience_seconds: float = 10.0) -> AsyncIterator[Bench]:
    world = till.world
    house = House(world.url, world.simulators_url, Secret(world.admin))
    async with open_bench(house, till.terminal_id, None, patience_seconds) as (bench, merchant_id):
        assert merchant_id == till.merchant_id
        yield bench


def test_every_row_of_the_list_is_a_scenario() -> None:
    assert {each.code for each in SCENARIOS} >= NASTY | MANDATORY
    assert len({each.code for each in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.code for each in SCENARIOS])
async def test_our_till_passes(till: Till, scenario: Scenario) -> None:
    async with bench_of(till) as bench:
        verdict = await play(bench, scenario)

    assert verdict.outcome is Outcome.PASSED, [verdict.statements, verdict.calls]
    assert verdict.calls
