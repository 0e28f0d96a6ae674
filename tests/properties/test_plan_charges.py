"""The machine of charges: whatever is answered, lost, repeated and raced, the buyer pays the debt once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.plan_collectors import collect_due, renew_charges, tell_plans
from installments import charge_rows, collecting, paying
from installments.charges import LIVE, ChargeOutcome, ChargeStatus
from installments.errors import ChargeUnderWay, EarlyPaymentOutOfRange, NoDebtOwed
from installments.repository import load_plan
from installments.telling import BY_ITSELF
from ledger.database import Engine, create_engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.conftest import Database
from tests.installments.collection_world import (
    CONTRACT_ON,
    FORTNIGHT,
    Scripted,
    at,
    make_buyer,
    make_house,
    make_plan,
)
from tests.installments.test_collecting import clock_at

PRICE = 4_000_00
ANSWERS = st.sampled_from([
    (ChargeStatus.CAPTURED, True), (ChargeStatus.REFUSED, True), (ChargeStatus.REFUSED, False),
    (ChargeStatus.UNKNOWN, True),
])  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("hours"), st.integers(1, 90)),
    st.tuples(st.just("answer"), ANSWERS),
    st.tuples(st.just("again"), ANSWERS),
    st.tuples(st.just("early"), st.integers(1, 1_500_00)),
)


@dataclass
class Machine:
    """One plan, its collector, and what was really taken outside."""

    engine: Engine
    plan_id: str
    now: datetime
    outside: Scripted = field(default_factory=Scripted)

    async def hours(self, count: int) -> None:
        """Time goes by; the night and the worker do what they do, twice, as two workers."""
        self.now += timedelta(hours=count)
        clock = clock_at(self.now)
        for _ in range(2):
            async with transaction(self.engine) as session:
                await collecting.select_due(session, self.now.date(), now=self.now)
            await renew_charges(self.engine, clock)
            await collect_due(self.engine, self.outside.all, clock)
            await tell_plans(self.engine, self.outside.all, clock)

    async def answer(self, said: tuple[ChargeStatus, bool]) -> None:
        """What the bank will say next."""
        self.outside.say(self.plan_id, said[0], soft=said[1])

    async def again(self, said: tuple[ChargeStatus, bool]) -> None:
        """Something is said of a charge that has ended."""
        for charge_id, known in list(self.outside.answers.items()):
            if known.status not in (ChargeStatus.CAPTURED, ChargeStatus.REFUSED):
                continue
            lie: ChargeOutcome = replace(known, charge_id=charge_id, status=said[0], amount=Kopecks(1))
            async with transaction(self.engine) as session:
                assert await collecting.record_outcomes(session, [lie], now=self.now) == 0

    async def early(self, amount: int) -> None:
        """The buyer pays early."""
        try:
            async with transaction(self.engine) as session:
                asked = await paying.begin_early_payment(
                    session, self.outside.all, self.plan_id, Kopecks(amount), BY_ITSELF,
                    charge_id=new_id("chg", self.now), now=self.now,
                )  # fmt: skip
        except (ChargeUnderWay, NoDebtOwed, EarlyPaymentOutOfRange):
            return
        outcomes = await self.outside.ask([] if asked is None else [asked])
        async with transaction(self.engine) as session:
            await collecting.record_outcomes(session, outcomes, now=self.now)

    async def check(self) -> None:
        async with transaction(self.engine) as session:
            found = await charge_rows.list_charges(session, self.plan_id)
            plan = await load_plan(session, self.plan_id)
        taken = sum(int(charge.captured) for charge in found)
        assert sum(charge.status in LIVE for charge in found) <= 1
        assert sum(charge.next_try_at is not None for charge in found if charge.status not in LIVE) <= 1
        assert taken == sum(
            int(answer.amount) for answer in self.outside.answers.values() if answer.status is ChargeStatus.CAPTURED
        )
        penalty_paid = taken - (PRICE - PRICE // 4 - int(plan.outstanding)) - int(plan.overpaid)
        assert penalty_paid >= 0
        assert len(
            {(charge.due_on, charge.tries, charge.kind) for charge in found if charge.kind != "early_payment"}
        ) == (sum(charge.kind != "early_payment" for charge in found))


async def play(database: Database, number: int, steps: list[tuple[str, object]]) -> None:
    engine = create_engine(database.app_url, size=2)
    try:
        async with transaction(engine) as session:
            shop_id = SHOPS.get(database.name) or await make_house(session)
            SHOPS[database.name] = shop_id
            buyer_id = await make_buyer(session, number)
            plan = await make_plan(session, shop_id, buyer_id, number=number, price=PRICE)
        machine = Machine(engine, plan.id, at(CONTRACT_ON + FORTNIGHT, 1))
        for name, argument in steps:
            await getattr(machine, name)(argument)
            await machine.check()
        machine.outside.script.clear()  # from now on the bank says yes
        for _ in range(50):
            await machine.hours(24)
        await machine.check()
        async with transaction(engine) as session:
            assert (await load_plan(session, plan.id)).outstanding == 0
    finally:
        await engine.dispose()


SHOPS: dict[str, str] = {}
COUNT = iter(range(10**6))


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=25))
def test_a_debt_is_paid_once_whatever_is_answered(database: Database, steps: list[tuple[str, object]]) -> None:
    asyncio.run(play(database, next(COUNT), steps))
