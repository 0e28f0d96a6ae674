from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from api.plan_collectors import collect_due, renew_charges, tell_plans
from installments import charge_rows, collecting
from installments.charges import Charge, ChargeStatus
from installments.movements import Movement, MovementKind
from installments.plan import Standing
from installments.recording import record
from installments.repository import load_plan
from ledger.clock import Clock, machine_now
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.installments.collection_world import (
    CONTRACT_ON,
    FORTNIGHT,
    Scripted,
    at,
    due_amounts,
    make_buyer,
    make_house,
    make_plan,
)

SECOND_ON = CONTRACT_ON + FORTNIGHT


def clock_at(moment: datetime) -> Clock:
    return Clock(moment - machine_now())


async def one_plan(engine: Engine) -> str:
    async with transaction(engine) as session:
        shop_id = await make_house(session)
        return (await make_plan(session, shop_id, await make_buyer(session))).id


async def charges_of(engine: Engine, plan_id: str) -> list[Charge]:
    async with transaction(engine) as session:
        return await charge_rows.list_charges(session, plan_id)


async def walk(engine: Engine, on: date, hour: int = 1) -> int:
    """A whole night's walk."""
    found = 0
    after: tuple[date, str] | None = collecting.WALK_START
    while after is not None:
        async with transaction(engine) as session:
            went = await collecting.select_due(session, on, now=at(on, hour), after=after)
        found, after = found + went.charges, went.after
    return found


async def test_what_is_due_is_charged_at_its_hour_and_told_to_the_plan(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()

    assert await walk(engine, SECOND_ON - timedelta(days=1)) == 0
    assert await walk(engine, SECOND_ON) == 1
    assert await walk(engine, SECOND_ON) == 0
    assert await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 9))) == 0
    assert await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15))) == 1

    (charge,) = await charges_of(engine, plan_id)
    assert (charge.status, charge.captured) == (ChargeStatus.CAPTURED, 1_000_00)
    async with transaction(engine) as session:
        assert await due_amounts(session, plan_id) == {1: 0, 2: 0, 3: 1_000_00, 4: 1_000_00}
        assert (await load_plan(session, plan_id)).next_due_on == SECOND_ON + FORTNIGHT


async def test_a_soft_refusal_is_tried_again_in_the_evening_and_on_later_days(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    outside.say(plan_id, ChargeStatus.REFUSED, ChargeStatus.REFUSED, ChargeStatus.REFUSED)
    await walk(engine, SECOND_ON)

    for days, hour in ((0, 15), (0, 22), (1, 18), (3, 18)):
        clock = clock_at(at(SECOND_ON + timedelta(days=days), hour))
        await renew_charges(engine, clock)
        await collect_due(engine, outside.all, clock)

    found = await charges_of(engine, plan_id)
    assert [(charge.tries, charge.status) for charge in found] == [
        (1, "refused"), (2, "refused"), (3, "refused"), (4, "captured"),
    ]  # fmt: skip
    assert all(charge.next_try_at is None for charge in found)


async def test_what_all_tries_missed_is_merged_into_the_next_installment(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    outside.say(plan_id, *[ChargeStatus.REFUSED] * 5)
    await walk(engine, SECOND_ON)
    for days, hour in ((0, 15), (0, 22), (1, 18), (3, 18), (7, 18), (13, 23)):
        clock = clock_at(at(SECOND_ON + timedelta(days=days), hour))
        await renew_charges(engine, clock)
        await collect_due(engine, outside.all, clock)
    assert len(await charges_of(engine, plan_id)) == 5

    assert await walk(engine, SECOND_ON + FORTNIGHT) == 1
    await collect_due(engine, outside.all, clock_at(at(SECOND_ON + FORTNIGHT, 15)))

    last = (await charges_of(engine, plan_id))[-1]
    assert (last.tries, last.due_on, last.status) == (1, SECOND_ON + FORTNIGHT, "captured")
    async with transaction(engine) as session:
        assert await due_amounts(session, plan_id) == {1: 0, 2: 0, 3: 0, 4: 1_000_00}
    assert last.captured >= 2_000_00


async def test_a_hard_refusal_is_not_tried_with_the_same_card_before_the_next_installment(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    outside.say(plan_id, ChargeStatus.REFUSED, reason="card_stolen", soft=False)
    await walk(engine, SECOND_ON)
    await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15)))

    clock = clock_at(at(SECOND_ON + timedelta(days=10), 15))
    assert await renew_charges(engine, clock) == 0
    assert await walk(engine, SECOND_ON + timedelta(days=10)) == 0
    assert await walk(engine, SECOND_ON + FORTNIGHT) == 1


async def test_while_an_outcome_is_unknown_nothing_else_is_asked_for(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    outside.say(plan_id, ChargeStatus.UNKNOWN, ChargeStatus.UNKNOWN)
    await walk(engine, SECOND_ON)
    await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15)))

    assert await walk(engine, SECOND_ON + FORTNIGHT) == 0
    assert await tell_plans(engine, outside.all, clock_at(at(SECOND_ON, 16))) == 1
    assert await tell_plans(engine, outside.all, clock_at(at(SECOND_ON, 17))) == 1

    assert len(outside.asked) == 1
    (charge,) = await charges_of(engine, plan_id)
    assert (charge.status, charge.captured) == ("captured", 1_000_00)


async def test_the_same_answer_again_moves_nothing(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    await walk(engine, SECOND_ON)
    await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15)))
    outcome = next(iter(outside.answers.values()))

    for again in (outcome, replace(outcome, status=ChargeStatus.REFUSED), outcome):
        async with transaction(engine) as session:
            assert await collecting.record_outcomes(session, [again], now=at(SECOND_ON, 18)) == 0

    async with transaction(engine) as session:
        assert await due_amounts(session, plan_id) == {1: 0, 2: 0, 3: 1_000_00, 4: 1_000_00}


async def test_a_charge_that_races_another_payment_leaves_the_rest_to_the_buyer(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    await walk(engine, SECOND_ON)
    now = at(SECOND_ON, 15)
    async with transaction(engine) as session:
        asked = await collecting.begin(session, outside.all, now=now)
    async with transaction(engine) as session:
        paid = Movement(new_id("mov", now), plan_id, MovementKind.EARLY_PAYMENT, Kopecks(3_000_00), now, "by hand")
        await record(session, plan_id, paid, now=now)
    async with transaction(engine) as session:
        await collecting.record_outcomes(session, await outside.ask(asked), now=now)

    async with transaction(engine) as session:
        plan = await load_plan(session, plan_id)
    assert (plan.standing, plan.outstanding, plan.overpaid) == (Standing.REPAID, 0, 1_000_00)


async def test_a_charge_begins_only_for_what_is_due_by_then(engine: Engine) -> None:
    plan_id = await one_plan(engine)
    outside = Scripted()
    await walk(engine, SECOND_ON)
    now = at(SECOND_ON, 2)
    async with transaction(engine) as session:
        paid = Movement(new_id("mov", now), plan_id, MovementKind.EARLY_PAYMENT, Kopecks(1_000_00), now, "by hand")
        await record(session, plan_id, paid, now=now)

    await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15)))

    assert outside.asked == []
    (charge,) = await charges_of(engine, plan_id)
    assert (charge.status, charge.reason, charge.next_try_at) == ("refused", "nothing_due", None)
