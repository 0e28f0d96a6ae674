"""Charges under any order of wishes, faults and time: the acquirer, asked in the end, says what the vault says.

After each step no charge has given back more than was taken and none is taken twice. When everybody has come to
rest, nothing is held that the vault does not know of, and captures less refunds are the same on both sides.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.database import create_engine
from pci.errors import PciError
from tests.conftest import VaultDatabase
from tests.properties.lives import live_many
from tests.tokenization.charges.charge_world import BY, MERCHANT, ChargeWorld, charge_world
from tokenization.charges.authorising import charge_card
from tokenization.charges.capturing import capture_charge
from tokenization.charges.refunding import ChargeRefundRequest, refund_charge
from tokenization.charges.repository import text
from tokenization.charges.resolving import resolve_due
from tokenization.charges.reversing import void_charge
from tokenization.charges.states import FINAL, Charge, ChargeStatus
from tokenization.ids import new_id

T = TypeVar("T")
FAULTS = st.sampled_from([
    None, None, "lost_request", "lost_answer", "late_answer", "slow_request", "duplicate_answer", "wrong_rrn", "cut",
])  # fmt: skip
AMOUNTS = st.integers(1, 50_000)
WHICH = st.integers(0, 1_000)
PARTS = st.integers(1, 100)
EVERY_KIND = ("0100", "0200", "0220", "0221", "0400", "0420", "0421")


def test_charges_agree_with_the_acquirer_whatever_happens(vault_database: VaultDatabase) -> None:
    live(vault_database, lives=10, steps=10)


@pytest.mark.long
def test_charges_agree_with_the_acquirer_in_a_long_life(vault_database: VaultDatabase) -> None:
    live(vault_database, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "100")), steps=40, is_long=True)


def live(vault_database: VaultDatabase, *, lives: int, steps: int, is_long: bool = False) -> None:
    with asyncio.Runner() as runner:
        stack, world = runner.run(_opened(vault_database))
        try:
            live_many(lambda: Charges(runner, world), lives=lives, steps=steps, is_long=is_long)
        finally:
            runner.run(stack.aclose())


class Charges(RuleBasedStateMachine):
    """What merchants, networks and time do."""

    def __init__(self, runner: asyncio.Runner, world: ChargeWorld) -> None:
        super().__init__()
        self.runner, self.world = runner, world
        self.known: list[str] = []

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def pick(self, which: int) -> str | None:
        return self.known[which % len(self.known)] if self.known else None

    def fault(self, name: str | None) -> None:
        orders = [] if name is None else [{"fault": name, "kinds": EVERY_KIND}]
        self.world.acquirer.host.scripts.set({"rules": orders})

    @rule(amount=AMOUNTS, held=st.booleans(), fault=FAULTS)
    def charge(self, amount: int, held: bool, fault: str | None) -> None:
        self.fault(fault)
        made = self.run(self.world.charge(amount, is_captured_at_once=not held))
        self.known.append(made.id)

    @rule(amount=AMOUNTS, callers=st.integers(2, 4), fault=FAULTS)
    def charge_at_once(self, amount: int, callers: int, fault: str | None) -> None:
        """The same charge asked for by several at once, as a repeat that overtakes its question: nobody is refused."""
        self.fault(fault)
        request = self.world.request(amount)
        told = self.run(_at_once(*(charge_card(self.world.desk, request, BY) for _ in range(callers))))
        self.known.append(request.id)
        assert [type(each) for each in told] == [Charge] * callers

    @rule(which=WHICH, other=WHICH, fault=FAULTS)
    def void_at_once(self, which: int, other: int, fault: str | None) -> None:
        """A void, a capture, a refund and the resolver meet."""
        self.fault(fault)
        charge_id, other_id = self.pick(which), self.pick(other)
        if charge_id is not None and other_id is not None:
            desk, wanted = self.world.desk, ChargeRefundRequest(new_id("ref"), other_id, MERCHANT, 1)
            told = self.run(_at_once(
                void_charge(desk, charge_id, MERCHANT, BY), capture_charge(desk, other_id, MERCHANT, None, BY),
                refund_charge(desk, wanted, BY), refund_charge(desk, wanted, BY), resolve_due(desk),
            ))  # fmt: skip
            assert all(isinstance(each, PciError) for each in told if isinstance(each, BaseException))

    @rule(which=WHICH, percent=PARTS, fault=FAULTS)
    def capture(self, which: int, percent: int, fault: str | None) -> None:
        self.fault(fault)
        if (charge_id := self.pick(which)) is not None:
            amount = max(self.run(self.world.read(charge_id)).amount_kopecks * percent // 100, 1)
            with suppress(PciError):
                self.run(capture_charge(self.world.desk, charge_id, MERCHANT, amount, BY))

    @rule(which=WHICH, fault=FAULTS)
    def void(self, which: int, fault: str | None) -> None:
        self.fault(fault)
        if (charge_id := self.pick(which)) is not None:
            with suppress(PciError):
                self.run(void_charge(self.world.desk, charge_id, MERCHANT, BY))

    @rule(which=WHICH, percent=PARTS, fault=FAULTS)
    def refund(self, which: int, percent: int, fault: str | None) -> None:
        self.fault(fault)
        if (charge_id := self.pick(which)) is not None:
            amount = max(self.run(self.world.read(charge_id)).captured_kopecks * percent // 100, 1)
            wanted = ChargeRefundRequest(new_id("ref"), charge_id, MERCHANT, amount)
            with suppress(PciError):
                self.run(refund_charge(self.world.desk, wanted, BY))

    @rule(seconds=st.integers(0, 120), fault=FAULTS)
    def time_passes(self, seconds: int, fault: str | None) -> None:
        self.fault(fault)
        self.world.clock.pass_by(seconds=seconds)
        self.run(resolve_due(self.world.desk))

    @invariant()
    def nobody_pays_twice(self) -> None:
        assert self.world.summary["doubles"] == 0
        for charge in (self.run(self.world.read(each)) for each in self.known):
            assert 0 <= charge.refund_kopecks <= charge.captured_kopecks <= charge.amount_kopecks

    def teardown(self) -> None:
        self.fault(None)
        self.run(asyncio.sleep(0.15))  # what was late has come
        self.run(self.world.settle())
        self.run(_agree(self.world, self.known))


async def _at_once(*work: Awaitable[object]) -> list[object]:
    return list(await asyncio.gather(*work, return_exceptions=True))


async def _opened(vault_database: VaultDatabase) -> tuple[AsyncExitStack, ChargeWorld]:
    stack = AsyncExitStack()
    engine = create_engine(vault_database.vault_url)
    stack.push_async_callback(engine.dispose)
    world = await stack.enter_async_context(
        charge_world(engine, datetime(2026, 11, 22, 9, tzinfo=UTC), answer_seconds=0.08)
    )
    world.acquirer.host.scripts.set_faults({"delay_seconds": 0.12})
    return stack, world


async def _agree(world: ChargeWorld, known: list[str]) -> None:
    """Both sides at rest say the same, charge by charge and in all."""
    theirs = {each.charge_id: each for each in world.acquirer.host.charges.values()}
    for charge in [await world.read(each) for each in known]:
        assert charge.status in FINAL | {ChargeStatus.AUTHORISED, ChargeStatus.CAPTURED}
        found = theirs.get(charge.id)
        assert (0 if found is None else found.net) == charge.captured_kopecks - charge.refund_kopecks
        is_held = found is not None and found.code == "00" and not found.is_reversed
        assert is_held == (charge.status in (ChargeStatus.AUTHORISED, ChargeStatus.CAPTURED))
    async with world.desk.vault.transactions() as session:
        ours = await session.scalar(text("SELECT sum(captured_kopecks - refund_kopecks) FROM charges"))
    assert (ours or 0) == world.summary["net_kopecks"]


def test_a_lost_reversal_would_be_noticed(vault_database: VaultDatabase) -> None:
    """The property bites: an acquirer that forgets a reversal does not agree."""
    with asyncio.Runner() as runner:
        stack, world = runner.run(_opened(vault_database))

        async def forgetful() -> None:
            world.script("lost_answer")
            charge = await world.charge(500)
            await world.settle()
            next(iter(world.acquirer.host.charges.values())).is_reversed = False
            await _agree(world, [charge.id])

        with pytest.raises(AssertionError):
            runner.run(forgetful())
        runner.run(stack.aclose())
