"""«Сценарии связи»: each row is played against our till emulator, and tills that do wrong are found out."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.certification.access import SaleStatus, TillAccess
from api.certification.bench import Bench
from api.certification.emulator import Said, Sale, TillEmulator, open_emulator
from api.certification.opening import House, TillUnderTest, open_bench
from api.certification.pdf import json_bytes, render_pdf
from api.certification.running import certify, play
from api.certification.scenario import Certification, Outcome, Verdict
from api.certification.scenarios import SCENARIOS, Scenario
from api.cli.certify import chosen, line_of
from api.cli.main import app
from api.data_dir import StartRefused
from api.installation import RUNTIME_FILE
from api.serve import listening_socket
from pci.secret import Secret
from tests.contracts.koshelek_pay_world import Till, TillWorld

NASTY = {
    "lost_request", "lost_answer", "duplicate", "late_success", "cancel_race", "repeated_refund",
    "postbacks_out_of_order", "clock_skew",
}  # fmt: skip
"""The rows that the list of the domain names."""
numbers = itertools.count(1)
MANDATORY = {"sale", "cancel", "whole_refund", "partial_refund"}


@pytest.fixture(scope="module")
def till(till_world: TillWorld) -> Till:
    return till_world.till()


@asynccontextmanager
async def bench_of(
    till: Till, patience_seconds: float = 60.0, kind: type[TillEmulator] = TillEmulator
) -> AsyncIterator[Bench]:
    world = till.world
    house = House(world.url, world.simulators_url, Secret(world.admin))
    async with open_bench(house, till.terminal_id, None, patience_seconds, kind) as (bench, merchant_id):
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


class NewIdTill(TillEmulator):
    """Repeats a call under another id each time."""

    async def _call(self, call: str, body: dict[str, Any]) -> Said | None:
        named = body | {"requestId": f"r-{next(numbers)}"} if "requestId" in body else body
        return await TillEmulator._call(self, call, named)


class StubbornTill(TillEmulator):
    """Takes a sale for canceled once its cashier said so, whatever it is answered."""

    async def _after_cancel(self, sale: Sale, answer: Said) -> None:
        sale.status, sale.tip = SaleStatus.CANCELED, answer.body.get("details")


class CredulousTill(TillEmulator):
    """Believes whoever posts to its host."""

    def is_ours(self, authorization: str) -> bool:  # noqa: ARG002  # that is what is wrong with it
        return True


class LateTill(TillEmulator):
    """Its clock is off and it will not set it."""

    def _set_clock(self, told: str | None) -> None:  # noqa: ARG002  # as above
        self.offset = timedelta(minutes=5)


class SilentTill(TillEmulator):
    """Gives a sale up without telling anybody."""

    async def _give_up(self, sale: Sale) -> None:
        sale.status = SaleStatus.CANCELED


WRONG: list[tuple[type[TillEmulator], str, str]] = [
    (NewIdTill, "lost_answer", "касса показала QR-код"),
    (NewIdTill, "repeated_refund", "повтор под тем же requestId"),
    (StubbornTill, "cancel_race", "касса приняла оплату или вернула её целиком"),
    (StubbornTill, "late_success", "касса приняла оплату или вернула её целиком"),
    (CredulousTill, "postbacks_out_of_order", "уведомление с чужим паролем не принято"),
    (LateTill, "clock_skew", "касса показала QR-код"),
    (SilentTill, "lost_line", "платёж у нас: ждали CANCELED, видим WAITING"),
]


@pytest.mark.parametrize(("kind", "code", "fault"), WRONG, ids=[f"{kind.__name__} {code}" for kind, code, _ in WRONG])
async def test_a_till_that_does_wrong_is_found_out(till: Till, kind: type[TillEmulator], code: str, fault: str) -> None:
    scenario = next(each for each in SCENARIOS if each.code == code)

    async with bench_of(till, 1.0, kind) as bench:
        verdict = await play(bench, scenario)

    assert verdict.outcome is Outcome.FAILED
    assert fault in [each.text for each in verdict.statements if not each.is_true]


async def test_a_run_is_a_protocol_in_json_and_pdf(till: Till) -> None:
    chosen = [each for each in SCENARIOS if each.code in ("cancel", "decline")]
    seen: list[str] = []

    async with bench_of(till) as bench:
        found = await certify(bench, till.merchant_id, "наш", chosen, lambda verdict: seen.append(verdict.code))

    assert (found.is_passed, seen) == (True, ["cancel", "decline"])
    told = json.loads(json_bytes(found))
    assert (told["terminal_id"], [each["outcome"] for each in told["verdicts"]]) == (till.terminal_id, ["passed"] * 2)
    assert till.api_key not in json_bytes(found).decode()
    assert json_bytes(found) == json_bytes(found)
    pages = render_pdf(found)
    assert pages.startswith(b"%PDF-")
    assert pages == render_pdf(found)


@pytest.mark.parametrize(
    ("outcome", "is_mandatory", "is_passed"),
    [
        (Outcome.PASSED, True, True), (Outcome.FAILED, True, False), (Outcome.FAILED, False, False),
        (Outcome.NOT_APPLICABLE, False, True), (Outcome.NOT_APPLICABLE, True, False),
    ],
)  # fmt: skip
def test_one_failure_fails_the_run_and_only_what_is_not_mandatory_may_be_left_out(
    outcome: Outcome, is_mandatory: bool, is_passed: bool
) -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    verdict = Verdict("sale", "Оплата", is_mandatory, outcome, (), (), (), 1.0)

    assert Certification("ter_1", "mer_1", "наш", at, at, (verdict,)).is_passed is is_passed


async def test_a_till_that_nobody_knows_is_not_tried(till: Till) -> None:
    house = House(till.world.url, till.world.simulators_url, Secret(till.world.admin))

    with pytest.raises(StartRefused, match="ter_9"):
        async with open_bench(house, "ter_9", None):
            pass


@pytest.mark.parametrize("listen", ["", "8090", ":8090", "host:", "host:99999", "host:999999999999", "host:x"])
def test_a_line_is_a_host_and_a_port(listen: str) -> None:
    with pytest.raises(StartRefused):
        line_of(listen)


def test_scenarios_are_chosen_by_code() -> None:
    assert [each.code for each in chosen(["decline", "sale"])] == ["sale", "decline"]
    assert len(chosen(None)) == len(SCENARIOS)
    with pytest.raises(StartRefused, match="lost_request"):
        chosen(["lost"])


def test_the_command_writes_the_protocol_and_ends_with_its_result(till: Till, tmp_path: Path) -> None:
    told = {
        "urls": {"api": till.world.url, "simulators": till.world.simulators_url}, "sandbox_key": till.world.admin,
    }  # fmt: skip
    (tmp_path / RUNTIME_FILE).write_text(json.dumps(told))
    arguments = ["certify", "--terminal", till.terminal_id, "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]

    done = CliRunner().invoke(app, [*arguments, "--only", "cancel", "--json"])

    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out" / f"certification-{till.terminal_id}.json").read_bytes())
    assert [each["outcome"] for each in written["verdicts"]] == ["passed"]
    assert (tmp_path / "out" / f"certification-{till.terminal_id}.pdf").read_bytes().startswith(b"%PDF-")
    (tmp_path / RUNTIME_FILE).write_text(json.dumps(told | {"sandbox_key": ""}))
    assert isinstance(CliRunner().invoke(app, arguments).exception, StartRefused)
    (tmp_path / RUNTIME_FILE).unlink()
    assert isinstance(CliRunner().invoke(app, arguments).exception, StartRefused)


def free_port() -> int:
    with listening_socket("127.0.0.1", 0) as found:
        return int(found.getsockname()[1])


async def test_a_till_of_others_is_tried_by_its_own_line_and_keys(till: Till) -> None:
    port, password = free_port(), Secret("of-its-own-host")
    world = till.world
    house = House(world.url, world.simulators_url, Secret(world.admin))
    access = TillAccess(
        f"http://127.0.0.1:{port}/pos/v1/{till.partner}", till.partner, Secret(till.api_key), till.store_id,
        till.terminal_id, till.fingerprint, till.secret, password,
    )  # fmt: skip
    rows = [each for each in SCENARIOS if each.code in ("lost_answer", "postbacks_out_of_order")]
    async with open_emulator(access) as url:
        with_host = TillUnderTest(url, ("127.0.0.1", port), password)
        async with open_bench(house, till.terminal_id, with_host, 10.0) as (bench, _):
            found = [(await play(bench, row)).outcome for row in rows]
        silent = TillUnderTest(url, ("127.0.0.1", port), None)
        async with open_bench(house, till.terminal_id, silent, 10.0) as (bench, _):
            left_out = (await play(bench, rows[1])).outcome
    gone = TillUnderTest(url, ("127.0.0.1", port), None)
    async with open_bench(house, till.terminal_id, gone, 1.0) as (bench, _):
        away = await play(bench, rows[0])

    assert found == [Outcome.PASSED, Outcome.PASSED]
    assert left_out is Outcome.NOT_APPLICABLE
    assert (away.outcome, away.statements[-1].text) == (Outcome.FAILED, "касса выполняет /sales")
