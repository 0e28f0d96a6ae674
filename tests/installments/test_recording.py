from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from installments import movement_rows, recording, sub_ledger
from installments.errors import (
    MovementBeforePlan,
    MovementDiffers,
    MovementInFuture,
    PlanNotCommitted,
    PlanNotFound,
    RefundAboveRest,
    UndoneMovementUnknown,
)
from installments.movements import MovementKind
from installments.plan import CollectorName, Standing
from installments.repository import add_plan
from installments.state import PlanState
from ledger import chart, journal, outbox
from ledger.database import transaction
from ledger.entry import Entry, Posting
from ledger.errors import EntryRejected
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.installments.plan_world import ACQUIRER, CLEARING, HOUSE, PlanWorld, blank, captured, noon

KIND = MovementKind
NOT_DUE = "asset:plan_receivable:not_due"


def unpaid(state: PlanState) -> list[int]:
    return [int(part.unpaid) for part in state.installments]


async def test_the_same_reference_again_changes_nothing(world: PlanWorld) -> None:
    plan = await world.plan()
    movement = world.movement(plan, KIND.DOWN_PAYMENT, 100_000)
    (first,) = await world.record([movement], now=noon(0))

    (again,) = await world.record([replace(movement, id=new_id("mov", noon(1)), happened_at=noon(1))], now=noon(1))

    assert (first.is_new, again.is_new) == (True, False)
    assert (again.movement, again.plan.outstanding) == (movement, 300_000)
    assert len(await world.entries()) == 2
    await world.agrees()


async def test_the_same_reference_twice_in_one_call_counts_once(world: PlanWorld) -> None:
    plan = await world.plan()
    movement = world.movement(plan, KIND.GOODWILL, 5_000)

    done = await world.record([movement, replace(movement, id=new_id("mov", noon(0)))], now=noon(0))

    assert [(one.is_new, one.movement.id) for one in done] == [(True, movement.id), (False, movement.id)]
    assert (await world.load(plan)).outstanding == 395_000


async def test_the_same_reference_with_another_body_is_refused(world: PlanWorld) -> None:
    plan = await world.plan()
    movement = world.movement(plan, KIND.GOODWILL, 5_000)
    await world.record([movement], now=noon(0))

    with pytest.raises(MovementDiffers):
        await world.record([replace(movement, amount=Kopecks(5_001))], now=noon(0))


async def test_what_was_paid_stays_in_the_bucket_that_it_was_paid_in(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.record([world.movement(plan, KIND.DOWN_PAYMENT, 100_000)], now=noon(0))
    async with transaction(world.engine) as session:
        (paid, *_) = (await movement_rows.load_aged(session, [plan.id]))[plan.id]
    (done,) = await world.record([world.movement(plan, KIND.EARLY_PAYMENT, 100_000)], now=noon(10))
    async with transaction(world.engine) as session:
        (kept, *_) = (await movement_rows.load_aged(session, [plan.id]))[plan.id]

    assert unpaid(done.state) == [0, 0, 100_000, 100_000]
    assert kept == paid
    await world.agrees()


async def test_a_movement_of_tomorrow_is_refused(world: PlanWorld) -> None:
    plan = await world.plan()

    with pytest.raises(MovementInFuture):
        await world.tell(plan, KIND.GOODWILL, 1, 1, known=0)


async def test_a_movement_before_the_plan_is_refused(world: PlanWorld) -> None:
    plan = await world.plan()

    with pytest.raises(MovementBeforePlan):
        await world.tell(plan, KIND.GOODWILL, 1, -1, known=0)


async def test_more_goods_than_were_sold_do_not_come_back(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.tell(plan, KIND.MERCHANT_REFUND, 400_000)

    with pytest.raises(RefundAboveRest):
        await world.tell(plan, KIND.MERCHANT_REFUND, 1)


async def test_a_movement_is_undone_once(world: PlanWorld) -> None:
    plan = await world.plan()
    movement = world.movement(plan, KIND.GOODWILL, 5_000)
    await world.record([movement], now=noon(0))
    await world.tell(plan, KIND.UNDO, undoes=movement.id)

    with pytest.raises(UndoneMovementUnknown):
        await world.tell(plan, KIND.UNDO, undoes=movement.id)
    await world.agrees()


async def test_a_plan_without_debt_takes_no_movement(world: PlanWorld) -> None:
    plan = blank(new_id("pln", noon(0)), "B-1", 400_000, "dolyame", noon(0))
    async with transaction(world.engine) as session:
        await add_plan(session, plan)

    with pytest.raises(PlanNotCommitted):
        await world.tell(plan, KIND.GOODWILL, 1)
    with pytest.raises(PlanNotFound):
        await world.tell(replace(plan, id=new_id("pln", noon(0))), KIND.GOODWILL, 1)


async def test_a_payment_whose_money_never_came_is_refused_by_the_books(world: PlanWorld) -> None:
    plan = await world.plan()
    movement = world.movement(plan, KIND.DOWN_PAYMENT, 100_000)

    with pytest.raises(EntryRejected) as refusal:
        async with transaction(world.engine) as session:
            await recording.record_all(session, [movement], now=noon(0))
    assert (refusal.value.code, refusal.value.facts["account"]) == ("ledger.overdrawn", CLEARING)

    assert (await world.load(plan)).outstanding == 400_000
    await world.agrees()


async def test_a_back_dated_payment_is_one_more_entry_of_what_it_changed(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0)
    await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 15)  # of one paid part of four, one is late
    assert unpaid(await world.tell(plan, KIND.WAIVER, 1, 16)) == [0, 75_000, 75_000, 75_000]

    state = await world.tell(plan, KIND.INSTALLMENT_PAYMENT, 100_000, 14, known=16)

    assert unpaid(state) == [0, 0, 75_000, 75_000]
    assert [kind for kind, _ in await world.last(2)] == ["plan.installment_payment", "plan.reallocated"]
    assert (await world.load(plan)).overpaid == 50_000
    await world.agrees()


async def test_the_order_of_arrival_does_not_matter(world: PlanWorld) -> None:
    one, other = await world.plan(), await world.plan()
    facts = [
        (KIND.DOWN_PAYMENT, 100_000, 0), (KIND.MERCHANT_REFUND, 50_000, 3), (KIND.INSTALLMENT_PAYMENT, 90_000, 14),
        (KIND.GOODWILL, 2_000, 20), (KIND.EARLY_PAYMENT, 70_000, 21),
    ]  # fmt: skip
    for kind, amount, on in facts:
        await world.tell(one, kind, amount, on, known=30)
    for kind, amount, on in reversed(facts):
        await world.tell(other, kind, amount, on, known=30)

    found = [await world.load(plan) for plan in (one, other)]

    assert {(plan.outstanding, plan.overpaid, plan.penalty, plan.fee, plan.standing) for plan in found} == {
        (found[0].outstanding, found[0].overpaid, found[0].penalty, found[0].fee, found[0].standing)
    }
    await world.agrees()


async def test_two_sessions_on_one_plan_wait_for_each_other(world: PlanWorld) -> None:
    plan = await world.plan()
    payments = [world.movement(plan, KIND.INSTALLMENT_PAYMENT, 30_000) for _ in range(6)]

    await asyncio.gather(*(world.record([one], now=noon(0)) for one in [*payments, *payments]))

    assert (await world.load(plan)).outstanding == 400_000 - 6 * 30_000
    await world.agrees()


async def test_two_sessions_on_many_plans_do_not_lock_each_other_out(world: PlanWorld) -> None:
    plans = [await world.plan() for _ in range(8)]
    there = [world.movement(plan, KIND.INSTALLMENT_PAYMENT, 1_000) for plan in plans]
    back = [world.movement(plan, KIND.MERCHANT_REFUND, 1_000) for plan in reversed(plans)]

    await asyncio.gather(world.record(there, now=noon(0)), world.record(back, now=noon(0)))

    assert {int((await world.load(plan)).total) for plan in plans} == {399_000}
    await world.agrees()


async def test_money_by_a_binding_comes_from_its_own_clearing(world: PlanWorld) -> None:
    plan = await world.plan(collector=CollectorName.SBP)
    movement = replace(world.movement(plan, KIND.INSTALLMENT_PAYMENT, 100_000), reference="chg_1")
    clearing = chart.merchant_payable(HOUSE)
    entry = Entry("sbp", "sbp.payment", noon(0), (Posting(chart.card_settlement(ACQUIRER), clearing, 100_000),))

    async with transaction(world.engine) as session:
        await journal.post(session, entry, now=noon(0))
        await recording.record(session, plan.id, movement, now=noon(0))

    assert await world.last() == [("plan.installment_payment", [(clearing, NOT_DUE, 100_000)])]
    await world.agrees()


async def test_what_is_captured_and_not_told_is_a_difference(world: PlanWorld) -> None:
    plan = await world.plan()
    async with transaction(world.engine) as session:
        await captured(session, world.movement(plan, KIND.DOWN_PAYMENT, 100_000), noon(0))

    async with transaction(world.engine) as session:
        assert await sub_ledger.check(session) == [sub_ledger.Difference(CLEARING, 100_000, 0)]


async def test_each_movement_and_each_standing_is_told(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 400_000, 0)
    await world.tell(plan, KIND.SNOOZE, 0, 0, installment_number=4, new_due_on=noon(50).date())

    async with transaction(world.engine) as session:
        told, _ = await outbox.list_events(session)

    assert [event.type for event in told] == ["plan.installment_payment", "plan.repaid", "plan.snooze"]
    assert told[0].data["outstanding_kopecks"] == 0
    assert (await world.load(plan)).standing is Standing.REPAID
    assert (await world.load(plan)).ended_at == noon(0)
