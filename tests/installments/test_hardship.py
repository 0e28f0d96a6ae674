from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from api.plan_collectors import collect_due, renew_charges
from installments import charge_rows, collecting, disputing, dunning, hardship, paying
from installments.charges import ChargeStatus
from installments.disputing import Ruling
from installments.errors import (
    ChargeUnderWay,
    DisputeDiffers,
    DisputeOpenAlready,
    EarlyPaymentOutOfRange,
    NoDebtOwed,
    NoOpenDispute,
    NoPenaltyOwed,
    PlanNotFound,
    SnoozeSpent,
    TermAboveLaw,
)
from installments.hardship import Grant
from installments.plan import Plan, Standing
from installments.repository import load_plan
from installments.telling import PlanActor
from ledger import accounts, chart
from ledger.database import Engine, Session, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.installments.collection_world import (
    CONTRACT_ON,
    FORTNIGHT,
    NOW,
    Scripted,
    at,
    due_amounts,
    make_buyer,
    make_house,
    make_plan,
)
from tests.installments.test_collecting import clock_at, walk

SECOND_ON = CONTRACT_ON + FORTNIGHT
PERSON = PlanActor("person:per_1", "req_1")
LATE = at(SECOND_ON + timedelta(days=20))


def grant(reference: str = "r-1") -> Grant:
    return Grant(PERSON, "Покупатель в больнице", reference)


async def one(engine: Engine) -> Plan:
    async with transaction(engine) as session:
        shop_id = await make_house(session)
        return await make_plan(session, shop_id, await make_buyer(session))


async def rows_of(engine: Engine, statement: str) -> list[Any]:
    async with Session(engine) as session:
        return [tuple(row) for row in await session.exec_driver_sql(statement)]


async def test_an_installment_is_put_off_once_with_who_and_why(engine: Engine) -> None:
    plan = await one(engine)
    for _ in range(2):  # the same wish again is one snooze
        async with transaction(engine) as session:
            snoozed = await hardship.snooze(session, plan.id, 2, SECOND_ON + timedelta(days=7), grant(), now=NOW)
    assert snoozed.next_due_on == SECOND_ON + timedelta(days=7)
    assert await rows_of(engine, "SELECT kind, reason, granted_by FROM plan_reliefs") == [
        ("snooze", "Покупатель в больнице", "person:per_1")
    ]

    with pytest.raises(SnoozeSpent):
        async with transaction(engine) as session:
            await hardship.snooze(session, plan.id, 3, SECOND_ON + timedelta(days=40), grant("r-2"), now=NOW)
    assert await walk(engine, SECOND_ON) == 0
    assert await walk(engine, SECOND_ON + timedelta(days=7)) == 1


async def test_nothing_is_put_off_beyond_the_legal_term(engine: Engine) -> None:
    plan = await one(engine)
    last_day = date(2027, 5, 22)
    with pytest.raises(TermAboveLaw):
        async with transaction(engine) as session:
            await hardship.snooze(session, plan.id, 4, last_day + timedelta(days=1), grant(), now=NOW)
    with pytest.raises(TermAboveLaw):
        async with transaction(engine) as session:
            await hardship.re_age(session, plan.id, last_day, 2, grant(), now=LATE)
    async with transaction(engine) as session:
        await hardship.snooze(session, plan.id, 4, last_day, grant(), now=NOW)
    assert len(await rows_of(engine, "SELECT FROM plan_reliefs")) == 1


async def test_arrears_are_cut_anew_and_the_buyer_is_late_no_more(engine: Engine) -> None:
    plan = await one(engine)
    async with transaction(engine) as session:
        aged = await hardship.re_age(session, plan.id, SECOND_ON + timedelta(days=30), 3, grant(), now=LATE)
    assert (aged.standing, aged.next_due_on, aged.outstanding) == (
        Standing.CURRENT, SECOND_ON + timedelta(days=30), 3_000_00,
    )  # fmt: skip
    assert await rows_of(engine, "SELECT template FROM plan_notices") == [("relief",)]


async def test_what_is_late_is_spread_and_penalty_is_forgiven(engine: Engine) -> None:
    plan = await one(engine)
    async with transaction(engine) as session:
        spread = await hardship.re_amortise(session, plan.id, grant(), now=LATE)
        assert await due_amounts(session, plan.id) == {1: 0, 2: 0, 3: 0, 4: 3_000_00}
    assert spread.penalty > 0
    async with transaction(engine) as session:
        waived = await hardship.waive(session, plan.id, spread.penalty, grant("r-2"), now=LATE)
    assert waived.penalty == 0
    async with transaction(engine) as session:
        with pytest.raises(NoPenaltyOwed):
            await hardship.waive(session, plan.id, Kopecks(1), grant("r-3"), now=LATE)
    assert [kind for (kind,) in await rows_of(engine, "SELECT kind FROM plan_reliefs ORDER BY id")] == [
        "re_amortise", "waiver",
    ]  # fmt: skip


async def balance(engine: Engine, code: str) -> int:
    async with transaction(engine) as session:
        account = await accounts.find_account(session, code)
        return 0 if account is None else int(account.balance)


async def test_a_dispute_pauses_collection_and_payout_until_it_is_ruled_on(engine: Engine) -> None:
    plan = await one(engine)
    await walk(engine, SECOND_ON)
    dispute_id = new_id("dsp", NOW)
    for _ in range(2):
        async with transaction(engine) as session:
            opened = await disputing.open_dispute(
                session, plan.id, "Товар не пришёл", PERSON, dispute_id=dispute_id, now=NOW
            )
    assert opened.reserved == 4_000_00 - 276_00
    assert await balance(engine, chart.plan_reserve(plan.merchant_id)) == 4_000_00 - 276_00
    assert await balance(engine, chart.plan_payable(plan.merchant_id)) == 0

    outside = Scripted()
    await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15)))
    assert await walk(engine, SECOND_ON + timedelta(days=1)) == 0
    async with transaction(engine) as session:
        await dunning.move_stages(session, SECOND_ON + timedelta(days=3), now=LATE)
    assert outside.asked == []
    assert await rows_of(engine, "SELECT FROM plan_dunning_stages") == []

    for _ in range(2):
        async with transaction(engine) as session:
            closed = await disputing.close_dispute(session, plan.id, Ruling.MERCHANT, PERSON, now=LATE)
    assert (closed.ruling, closed.closed_by) == (Ruling.MERCHANT, "person:per_1")
    assert await balance(engine, chart.plan_reserve(plan.merchant_id)) == 0
    assert await balance(engine, chart.plan_payable(plan.merchant_id)) == 4_000_00 - 276_00
    assert await walk(engine, SECOND_ON + timedelta(days=4)) == 1


async def test_refusals_of_disputes(engine: Engine) -> None:
    plan = await one(engine)

    async def open_one() -> None:
        async with transaction(engine) as session:
            await disputing.open_dispute(session, plan.id, "r", PERSON, dispute_id=new_id("dsp", NOW), now=NOW)

    async def close_one(ruling: Ruling) -> None:
        async with transaction(engine) as session:
            await disputing.close_dispute(session, plan.id, ruling, PERSON, now=NOW)

    with pytest.raises(NoOpenDispute):
        await close_one(Ruling.BUYER)
    await open_one()
    with pytest.raises(DisputeOpenAlready):
        await open_one()
    await close_one(Ruling.BUYER)
    with pytest.raises(DisputeDiffers):
        await close_one(Ruling.MERCHANT)


async def pay_early(
    engine: Engine, outside: Scripted, plan_id: str, amount: int | None, *, charge_id: str = "", hour: int = 9
) -> str:
    now, charge_id = at(SECOND_ON, hour), charge_id or new_id("chg", NOW)
    async with transaction(engine) as session:
        asked = await paying.begin_early_payment(
            session, outside.all, plan_id, None if amount is None else Kopecks(amount), PERSON, charge_id=charge_id,
            now=now,
        )  # fmt: skip
    if asked is not None:
        outcomes = await outside.ask([asked])
        async with transaction(engine) as session:
            await collecting.record_outcomes(session, outcomes, now=now)
    return charge_id


async def test_a_buyer_pays_all_that_is_left_at_any_time(engine: Engine) -> None:
    plan = await one(engine)
    outside = Scripted()
    charge_id = await pay_early(engine, outside, plan.id, None)
    await pay_early(engine, outside, plan.id, None, charge_id=charge_id)
    async with transaction(engine) as session:
        paid = await load_plan(session, plan.id)
    assert (paid.standing, paid.outstanding, paid.overpaid) == (Standing.REPAID, 0, 0)
    assert len(outside.asked) == 1
    with pytest.raises(NoDebtOwed):
        await pay_early(engine, outside, plan.id, 1)


async def test_an_early_part_makes_the_nights_charge_smaller_and_does_not_lose_it(engine: Engine) -> None:
    plan = await one(engine)
    outside = Scripted()
    await walk(engine, SECOND_ON)
    await pay_early(engine, outside, plan.id, 400_00)

    for hour in (15, 16):
        await renew_charges(engine, clock_at(at(SECOND_ON, hour)))
        await collect_due(engine, outside.all, clock_at(at(SECOND_ON, hour)))

    assert [int(charge.amount) for charge in outside.asked] == [400_00, 600_00]
    async with transaction(engine) as session:
        assert await due_amounts(session, plan.id) == {1: 0, 2: 0, 3: 1_000_00, 4: 1_000_00}


async def test_refusals_of_early_payments(engine: Engine) -> None:
    plan = await one(engine)
    outside = Scripted()
    for amount in (0, 3_000_01):
        with pytest.raises(EarlyPaymentOutOfRange):
            await pay_early(engine, outside, plan.id, amount)
    with pytest.raises(PlanNotFound):
        await pay_early(engine, outside, new_id("pln", NOW), 1)
    outside.say(plan.id, ChargeStatus.UNKNOWN)
    await pay_early(engine, outside, plan.id, 1_00)
    with pytest.raises(ChargeUnderWay):
        await pay_early(engine, outside, plan.id, 1_00)
    async with transaction(engine) as session:
        (charge,) = await charge_rows.list_charges(session, plan.id)
    assert charge.status is ChargeStatus.UNKNOWN
