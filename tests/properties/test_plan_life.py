"""Plans under any order and repetition of what buyers, merchants, banks and time do.

After each step nothing is owed without a commit, nothing is taken twice, and nobody gets back more than was taken. When
everybody has come to rest nothing is held any more for plans that are over, every captured kopeck was told to its plan,
and what buyers paid too much has gone back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from checkout import card_payment_rows as cards
from checkout.card_payments import (
    UNSURE,
    CardPayment,
    CardPaymentStatus,
    CardRefundStatus,
    ChargeNews,
)
from installments.cancelling import CancelReason
from installments.clearing import in_clearing
from installments.errors import InstallmentsRejected
from installments.plan import Plan, PlanStatus, Standing
from ledger.database import create_engine, transaction
from ledger.errors import KopeykaError
from tests.conftest import Database
from tests.installments.life_world import OTHER_TOKEN, TOKEN, LifeWorld, life_world
from tests.properties.lives import live_many

T = TypeVar("T")
OVER = (PlanStatus.CANCELED, PlanStatus.REJECTED, PlanStatus.REFUNDED)
WHICH = st.integers(0, 1_000)
BANK = st.sampled_from(["yes", "yes", "yes", "no", "lost"])
"""What a bank does with what it is asked: does it, refuses it, or does it and its answer is lost for now."""


def test_plans_keep_their_promises_whatever_happens(database: Database) -> None:
    live(database, lives=8, steps=14)


@pytest.mark.long
def test_plans_keep_their_promises_in_a_long_life(database: Database) -> None:
    live(database, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "60")), steps=40, is_long=True)


def live(database: Database, *, lives: int, steps: int, is_long: bool = False) -> None:
    engine = create_engine(database.app_url)
    with asyncio.Runner() as runner:
        try:
            world = runner.run(life_world(engine, datetime(2026, 11, 22, 9, 0, tzinfo=UTC)))
            live_many(lambda: Lives(runner, world), lives=lives, steps=steps, is_long=is_long)
        finally:
            runner.run(engine.dispose())


class Lives(RuleBasedStateMachine):
    """What everybody does to a few plans of one merchant."""

    def __init__(self, runner: asyncio.Runner, world: LifeWorld) -> None:
        super().__init__()
        self.runner, self.world = runner, world
        self.plans: list[Plan] = []
        self.refunds = 0
        self.bank: dict[str, tuple[ChargeNews, int]] = {}
        """What the bank has really done with each card payment, and how much it took."""

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def pick(self, which: int) -> Plan | None:
        return self.run(self.world.load(self.plans[which % len(self.plans)])) if self.plans else None

    @rule(price=st.integers(100, 2_000_000))
    def open(self, price: int) -> None:
        if len(self.plans) < 4:
            self.plans.append(self.run(self.world.opened(price)))

    @rule(which=WHICH, token=st.sampled_from([TOKEN, OTHER_TOKEN]))
    def accept(self, which: int, token: str) -> None:
        if (plan := self.pick(which)) is not None:
            with suppress(KopeykaError):
                self.run(self.world.accept(plan, token=token))

    @rule(which=WHICH, does=BANK)
    def bank_answers(self, which: int, does: str) -> None:
        """The bank is asked about a card payment of a plan, as the worker would, once or again."""
        if (plan := self.pick(which)) is not None:
            for payment in self.run(self._payments(plan)):
                if payment.status in UNSURE:
                    self._ask(payment, does)

    @rule(which=WHICH)
    def an_answer_comes_twice(self, which: int) -> None:
        if (plan := self.pick(which)) is not None:
            for payment in self.run(self._payments(plan)):
                if payment.id in self.bank and payment.status not in UNSURE:
                    self._tell(payment)

    @rule(which=WHICH)
    def carry_on(self, which: int) -> None:
        if (plan := self.pick(which)) is not None:
            self.run(self.world.carry_on(plan))

    @rule(which=WHICH, percent=st.sampled_from([100, 100, 80, 1]))
    def commit(self, which: int, percent: int) -> None:
        if (plan := self.pick(which)) is not None:
            with suppress(InstallmentsRejected):
                self.run(self.world.commit(plan, max(int(plan.price) * percent // 100, 1)))

    @rule(which=WHICH, reason=st.sampled_from([CancelReason.MERCHANT, CancelReason.BUYER]))
    def cancel(self, which: int, reason: CancelReason) -> None:
        if (plan := self.pick(which)) is not None:
            with suppress(InstallmentsRejected):
                self.run(self.world.cancel(plan, reason))

    @rule(which=WHICH, percent=st.sampled_from([100, 50, 10]), is_repeat=st.booleans())
    def refund(self, which: int, percent: int, is_repeat: bool) -> None:
        self.refunds += not is_repeat
        if (plan := self.pick(which)) is not None:
            with suppress(InstallmentsRejected):
                self.run(self.world.refund(plan, int(plan.total) * percent // 100, f"r{self.refunds}"))

    @rule(which=WHICH, status=st.sampled_from([CardRefundStatus.SUCCEEDED, CardRefundStatus.REFUSED]))
    def bank_gives_back(self, which: int, status: CardRefundStatus) -> None:
        if (plan := self.pick(which)) is not None:
            self.run(self.world.bank_gives_back(plan, status))

    @rule(hours=st.sampled_from([0, 1, 7, 50, 121]))
    def time_passes(self, hours: int) -> None:
        self.world.pass_by(hours=hours)
        self.run(self.world.expire())

    @invariant()
    def nothing_is_owed_without_a_commit(self) -> None:
        for plan in (self.run(self.world.load(each)) for each in self.plans):
            is_committed = plan.committed_at is not None
            assert is_committed == (plan.standing is not Standing.NONE)
            assert is_committed or (plan.outstanding, plan.overpaid) == (0, 0)
            assert 0 <= plan.refunded <= plan.price

    @invariant()
    def nothing_is_taken_twice_or_above_the_commit(self) -> None:
        for plan in (self.run(self.world.load(each)) for each in self.plans):
            taken = [kopecks for _, kopecks in self._done(plan) if kopecks]
            assert len(taken) <= (1 if plan.committed_at is not None else 0)
            assert sum(taken) <= plan.price

    def teardown(self) -> None:
        """Everybody comes to rest: banks answer, time passes, the worker looks."""
        for _ in range(6):
            for plan in self.plans:
                for payment in self.run(self._payments(plan)):
                    if payment.status in UNSURE:
                        self._ask(payment, "yes")
                self.run(self.world.carry_on(plan))
                self.run(self.world.bank_gives_back(plan))
            self.world.pass_by(hours=121)
            self.run(self.world.expire())
        for plan in (self.run(self.world.load(each)) for each in self.plans):
            self._is_at_rest(plan)
        self.run(self._books_are_clear())

    def _is_at_rest(self, plan: Plan) -> None:
        payments = self.run(self._payments(plan))
        assert plan.status in (*OVER, PlanStatus.COMMITTED, PlanStatus.COMPLETED)
        assert plan.overpaid == 0
        assert [payment.id for payment in payments if payment.status is CardPaymentStatus.AUTHORISED] == []
        held = [payment for payment in payments if self.bank[payment.id][0] is ChargeNews.AUTHORISED]
        assert held == [], "the bank holds what nobody wants"

    async def _books_are_clear(self) -> None:
        async with transaction(self.world.engine) as session:
            assert await in_clearing(session, self.world.operator_id) == 0
        assert await self.world.balance("memo:plan_hold:cards") == 0

    async def _payments(self, plan: Plan) -> list[CardPayment]:
        rows = await self.world.sql("SELECT payment_id FROM plan_first_payments WHERE plan_id = %s", plan.id)
        async with transaction(self.world.engine) as session:
            return [await cards.load_payment(session, row[0]) for row in rows]

    def _done(self, plan: Plan) -> list[tuple[ChargeNews, int]]:
        return [self.bank[payment.id] for payment in self.run(self._payments(plan)) if payment.id in self.bank]

    def _ask(self, payment: CardPayment, does: str) -> None:
        """The bank does what it is asked, once: asked again under the same number it says what it did."""
        self.bank[payment.id] = _after(self.bank.get(payment.id), payment, is_yes=does != "no")
        if does == "lost":
            self.run(self.world.bank_says_of(payment, ChargeNews.PENDING))
        else:
            self._tell(payment)

    def _tell(self, payment: CardPayment) -> None:
        news, _ = self.bank[payment.id]
        self.run(self.world.bank_says_of(payment, news))


def _after(done: tuple[ChargeNews, int] | None, payment: CardPayment, *, is_yes: bool) -> tuple[ChargeNews, int]:
    if done is None:
        return (ChargeNews.AUTHORISED if is_yes else ChargeNews.REFUSED), 0
    if payment.status is CardPaymentStatus.CAPTURING and done[0] is ChargeNews.AUTHORISED and is_yes:
        assert payment.capture is not None
        return ChargeNews.CAPTURED, int(payment.capture)
    if payment.status is CardPaymentStatus.VOIDING and done[0] is ChargeNews.AUTHORISED:
        return ChargeNews.VOIDED, 0  # banks let go of what they hold; what they will not ends by itself
    return done
