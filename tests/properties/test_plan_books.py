"""The books of a plan under any movements in any order of arrival, back-dated, undone and over nights.

After each step debits equal credits and every account of plans equals the plans, to the kopeck; told in another order,
the same movements leave the same balances but for what was lost or earned on the way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from installments import merchant_money, nightly
from installments.errors import InstallmentsRejected
from installments.movements import Movement, MovementKind
from installments.plan import Plan
from installments.products import RefundPolicy
from installments.reckoning import PAYMENTS
from ledger.database import create_engine, transaction
from tests.conftest import Database
from tests.installments.plan_world import PlanWorld, day, noon
from tests.properties.lives import live_many

T = TypeVar("T")
KIND = MovementKind
AMOUNTS = st.integers(1, 40_000)
BACK = st.integers(0, 40)
WHICH = st.integers(0, 1_000)
MONEY = st.sampled_from([
    KIND.INSTALLMENT_PAYMENT, KIND.INSTALLMENT_PAYMENT, KIND.EARLY_PAYMENT, KIND.MERCHANT_REFUND, KIND.MERCHANT_REFUND,
    KIND.PAYOUT_REFUND, KIND.GOODWILL, KIND.CREDIT_REFUND, KIND.WAIVER, KIND.RECOVERY,
])  # fmt: skip


def test_the_books_equal_the_plans_whatever_happens(database: Database) -> None:
    live(database, lives=10, steps=30)


@pytest.mark.long
def test_the_books_equal_the_plans_in_a_long_life(database: Database) -> None:
    live(database, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "100")), steps=40, is_long=True)


def live(database: Database, *, lives: int, steps: int, is_long: bool = False) -> None:
    engine = create_engine(database.app_url)
    with asyncio.Runner() as runner:
        try:
            world = runner.run(PlanWorld(engine).begin())
            live_many(lambda: PlanBooksLife(runner, world), lives=lives, steps=steps, is_long=is_long)
        finally:
            runner.run(engine.dispose())


class PlanBooksLife(RuleBasedStateMachine):
    """What buyers, merchants, banks and nights do to one plan among others."""

    today = 0
    """Never goes back, not even from one life to the next: nights would refuse."""

    def __init__(self, runner: asyncio.Runner, world: PlanWorld) -> None:
        super().__init__()
        self.runner, self.world = runner, world
        self.begun = PlanBooksLife.today
        self.plan: Plan = self.run(world.plan(40_003, at=noon(self.begun)))
        self.known: list[Movement] = []

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def record(self, kind: KIND, amount: int, back: int, **more: object) -> None:
        on = max(PlanBooksLife.today - back, self.begun)
        movement = self.world.movement(self.plan, kind, amount, on, **more)
        with suppress(InstallmentsRejected):
            self.run(self.world.record([movement], now=noon(PlanBooksLife.today)))
            self.known.append(movement)

    @rule(amount=AMOUNTS, back=BACK)
    def pays(self, amount: int, back: int) -> None:
        self.record(KIND.INSTALLMENT_PAYMENT, amount, back)

    @rule(kind=MONEY, amount=AMOUNTS, back=BACK)
    def money(self, kind: KIND, amount: int, back: int) -> None:
        self.record(kind, amount, back)

    @rule(amount=AMOUNTS, back=BACK, policy=st.sampled_from(RefundPolicy))
    def refund(self, amount: int, back: int, policy: RefundPolicy) -> None:
        self.record(KIND.MERCHANT_REFUND, amount, back, policy=policy)

    @rule(days=st.integers(1, 35), count=st.integers(1, 4))
    def re_age(self, days: int, count: int) -> None:
        self.record(KIND.RE_AGE, 0, 0, new_due_on=day(PlanBooksLife.today + days), count=count)

    @rule()
    def re_amortise(self) -> None:
        self.record(KIND.RE_AMORTISE, 0, 0)

    @rule(which=WHICH)
    def undo(self, which: int) -> None:
        if self.known:
            self.record(KIND.UNDO, 0, 0, undoes=self.known[which % len(self.known)].id)

    @rule(which=WHICH, share=st.integers(1, 4))
    def charge_back(self, which: int, share: int) -> None:
        if not self.payments:
            return
        paid = self.payments[which % len(self.payments)]
        self.record(KIND.CHARGEBACK, max(int(paid.amount) * share // 4, 1), 0, undoes=paid.id)

    @property
    def payments(self) -> list[Movement]:
        return [one for one in self.known if one.kind in PAYMENTS]

    @rule(back=BACK, really=st.integers(0, 3))
    def write_off(self, back: int, really: int) -> None:
        if really == 0:
            self.record(KIND.WRITE_OFF, 1, back)

    @rule()
    def dispute(self) -> None:
        self.run(self._reserve())

    async def _reserve(self) -> None:
        async with transaction(self.world.engine) as session:
            if not await merchant_money.reserve(session, self.plan.id, now=noon(PlanBooksLife.today)):
                await merchant_money.release_reserve(session, self.plan.id, now=noon(PlanBooksLife.today))

    @rule(days=st.integers(1, 30))
    def nights_pass(self, days: int) -> None:
        PlanBooksLife.today += days
        self.run(self._night())

    async def _night(self) -> None:
        on, now = day(PlanBooksLife.today), noon(PlanBooksLife.today)
        async with transaction(self.world.engine) as session:
            await nightly.begin_night(session, on, now=now)
        is_more = True
        while is_more:
            async with transaction(self.world.engine) as session:
                is_more = await nightly.work_batch(session, on, now=now)

    @invariant()
    def the_books_are_the_plans(self) -> None:
        self.run(self.world.agrees())
