from __future__ import annotations

import asyncio

import pytest

from installments import arrears_roll, fee_earning, nightly, penalty_accruals, provisions
from installments.arrears import Bucket
from installments.errors import ClockWentBack
from installments.movements import MovementKind
from installments.plan import Standing
from ledger import chart, outbox
from ledger.database import Session, in_transaction, text, transaction
from tests.installments.plan_world import PlanWorld, day, noon

KIND = MovementKind


async def work(world: PlanWorld, number: int) -> int:
    """Works through the night of a day; how many batches."""
    async with transaction(world.engine) as session:
        await nightly.begin_night(session, day(number), now=noon(number))
    batches = 0
    while await in_transaction(
        world.engine, lambda session: nightly.work_batch(session, day(number), now=noon(number))
    ):
        batches += 1
    return batches


async def amounts(world: PlanWorld, number: int) -> dict[str, tuple[int, int]]:
    async with transaction(world.engine) as session:
        rows = await session.execute(
            text("SELECT step, plans, amount_kopecks FROM plan_nights WHERE night_on = :on AND step <> 'payouts'"),
            {"on": day(number)},
        )
        return {row.step: (row.plans, row.amount_kopecks) for row in rows}


async def test_a_night_brings_every_debt_to_its_day(world: PlanWorld) -> None:
    plan = await world.plan()
    other = await world.plan()
    await world.pays(other, 100_000, 0, KIND.DOWN_PAYMENT)

    await work(world, 14)

    assert await amounts(world, 14) == {
        "arrears": (2, 300_000),
        "penalties": (1, 767),
        "fees": (2, 27_600),
        "provision": (0, 63_000),
    }
    assert ((await world.load(plan)).standing, (await world.load(other)).standing) == (
        Standing.OVERDUE,
        Standing.CURRENT,
    )
    async with transaction(world.engine) as session:
        told, _ = await outbox.list_events(session)
        assert [event.object_id for event in told if event.type == "plan.overdue"] == [plan.id]
        assert await nightly.is_done(session, day(14))
    await world.agrees()


async def test_a_night_that_is_done_does_nothing_again(world: PlanWorld) -> None:
    await world.plan()
    await work(world, 5)
    before = await world.entries()

    assert await work(world, 5) == 0

    assert await world.entries() == before


async def test_a_night_refuses_a_clock_that_went_back(world: PlanWorld) -> None:
    await work(world, 5)

    with pytest.raises(ClockWentBack):
        await work(world, 4)


async def test_two_workers_share_a_night_in_small_batches(world: PlanWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrears_roll, penalty_accruals, fee_earning):
        monkeypatch.setattr(module, "PLANS_MAX", 3)
    plans = [await world.plan() for _ in range(10)]

    batches = await asyncio.gather(*(work(world, 20) for _ in range(3)))

    assert sum(batches) > 12
    assert {step: plans for step, (plans, _) in (await amounts(world, 20)).items()} == {
        "arrears": 10, "penalties": 10, "fees": 10, "provision": 0,
    }  # fmt: skip
    assert {int((await world.load(plan)).penalty) for plan in plans} == {1_095 + 328}
    assert await world.balance(chart.PLAN_FEE) == 10 * 13_800
    await world.agrees()


async def test_a_night_cut_in_two_goes_on_where_it_stopped(world: PlanWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalty_accruals, "PLANS_MAX", 2)
    for _ in range(5):
        await world.plan()
    async with transaction(world.engine) as session:
        await nightly.begin_night(session, day(10), now=noon(10))
    for _ in range(4):
        async with transaction(world.engine) as session:
            await nightly.work_batch(session, day(10), now=noon(10))
    async with Session(world.engine) as session:  # and the worker dies before its commit
        await nightly.work_batch(session, day(10), now=noon(10))

    await work(world, 10)

    assert await world.balance(chart.PLAN_PENALTY) == 5 * 547
    await world.agrees()


async def test_missed_nights_need_no_work_of_their_own(world: PlanWorld) -> None:
    plan = await world.plan()
    await work(world, 100)

    assert (await world.load(plan)).penalty == sum(100_000 * 20 * late // 36_500 for late in (100, 86, 72, 58))
    assert await world.balance(chart.PLAN_DEFERRED_FEE) == 0
    await world.agrees()


async def test_a_night_between_recordings_takes_nothing_twice(world: PlanWorld) -> None:
    plan = await world.plan()
    await work(world, 9)
    await world.pays(plan, 60_000, 10)
    await work(world, 10)

    assert (await world.load(plan)).penalty == 547
    await work(world, 12)
    assert (await world.load(plan)).penalty == 591  # 1,000 roubles for ten days and 400 for two
    await world.agrees()


async def test_a_fee_is_earned_at_once_when_the_plan_is_over(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 400_000, 0)

    await work(world, 0)

    assert await world.balance(chart.PLAN_FEE) == 27_600
    await world.agrees()


async def test_losses_are_expected_by_the_worst_part_of_a_plan(world: PlanWorld) -> None:
    await world.plan()
    other = await world.plan()
    await world.pays(other, 100_000, 0)
    await work(world, 40)

    async with transaction(world.engine) as session:
        found = await provisions.exposures(session, day(40))
        await provisions.add_loss_rates(
            session, {Bucket.DPD_31_60: 6_000}, on=day(41), grade="observed", source="three vintages"
        )

    assert [(one.bucket, one.stage, one.outstanding) for one in found] == [
        (Bucket.NOT_DUE, 1, 0),
        (Bucket.DPD_15_30, 1, 300_000),
        (Bucket.DPD_31_60, 2, 400_000),
    ]
    assert await world.balance(chart.PLAN_ALLOWANCE) == 90_000 + 200_000
    await work(world, 41)
    assert await world.balance(chart.PLAN_ALLOWANCE) == 90_000 + 240_000
    await world.agrees()
