"""The regulator's report and the portfolio: borders of buckets, equality with the books, kept days unchanged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from installments import portfolio, regulator
from installments.arrears import Bucket, bucket_of
from installments.errors import PortfolioDayUnknown
from installments.movements import MovementKind
from installments.regulator import ArrearsReport
from ledger.database import transaction
from tests.installments.plan_world import PlanWorld, day, noon

KIND = MovementKind


async def report(world: PlanWorld, number: int) -> ArrearsReport:
    async with transaction(world.engine) as session:
        return await regulator.arrears_report(session, day(number))


def counts(found: ArrearsReport) -> dict[Bucket, int]:
    return {line.bucket: line.plans for line in found.lines if line.plans}


@pytest.mark.parametrize("late", [-1, 0, 1, 3, 4, 14, 15, 30, 31, 60, 61, 90, 91, 400])
async def test_a_plan_stands_in_the_bucket_of_its_oldest_unpaid_installment(world: PlanWorld, late: int) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    on = day(14) + timedelta(days=late)

    async with transaction(world.engine) as session:
        found = await regulator.arrears_report(session, on)

    assert counts(found) == {bucket_of(day(14), on=on): 1}
    (line,) = [line for line in found.lines if line.plans]
    assert (line.price, line.outstanding, line.average_price, line.average_term_days) == (400_000, 300_000, 400_000, 42)


async def test_the_report_equals_the_receivable_of_the_books(world: PlanWorld) -> None:
    plans = [await world.plan(price) for price in (400_000, 123_457, 99_999)]
    await world.pays(plans[0], 100_000, 0, KIND.DOWN_PAYMENT)
    await world.tell(plans[1], KIND.MERCHANT_REFUND, 23_457, 1)

    found = await report(world, 20)

    receivable = sum(value for code, value in (await world.balances()).items() if "plan_receivable" in code)
    assert found.total == (3, receivable)
    assert [line.bucket for line in found.lines] == list(Bucket)
    said = regulator.as_json(found)
    assert (said["contracts"], said["outstanding_kopecks"]) == (3, receivable)
    lines = regulator.as_csv(found).decode().split("\r\n")
    assert lines[0] == ";".join(regulator.CSV_COLUMNS)
    assert len(lines) == len(Bucket) + 2


async def test_a_repaid_plan_is_not_in_the_portfolio(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 400_000, 0, KIND.EARLY_PAYMENT)

    assert (await report(world, 20)).total == (0, 0)


async def test_a_day_that_was_kept_stays_as_it_was_and_one_that_was_not_is_unknown(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    async with transaction(world.engine) as session:
        assert await regulator.close_portfolio_day(session, day(0), now=noon(1))
        assert not await regulator.close_portfolio_day(session, day(0), now=noon(2))
    await world.pays(plan, 300_000, 1, KIND.EARLY_PAYMENT)

    async with transaction(world.engine) as session:
        kept = await regulator.portfolio_report(session, day(0), today=day(2))
        now = await regulator.portfolio_report(session, day(2), today=day(2))
        with pytest.raises(PortfolioDayUnknown):
            await regulator.portfolio_report(session, day(1), today=day(2))

    assert (kept.total, now.total) == ((1, 300_000), (0, 0))


async def test_penalties_charged_are_those_booked_in_the_days_asked_for(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    await world.pays(plan, 100_000, 24)

    async with transaction(world.engine) as session:
        charged = await regulator.penalties_charged(session, day(0), day(24))
        before = await regulator.penalties_charged(session, day(0), day(23))

    assert (charged, before) == (547, 0)


async def snapshot(world: PlanWorld, number: int) -> int:
    async with transaction(world.engine) as session:
        return await portfolio.take_snapshot(session, day(number))


async def test_roll_rates_say_where_the_debt_of_one_day_stood_on_another(world: PlanWorld) -> None:
    good, late, gone = [await world.plan() for _ in range(3)]
    for plan in (good, late, gone):
        await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    assert (await snapshot(world, 10), await snapshot(world, 10)) == (3, 0)
    await world.pays(good, 300_000, 12, KIND.EARLY_PAYMENT)
    await world.tell(gone, KIND.WRITE_OFF, 300_000, 20)
    assert await snapshot(world, 20) == 1

    async with transaction(world.engine) as session:
        cells = await portfolio.roll_rates(session, day(10), day(20))
        assert await portfolio.roll_rates(session, day(10), day(19)) == []

    assert [(cell.of, cell.to, cell.plans, cell.amount) for cell in cells] == [
        (Bucket.NOT_DUE, "dpd_4_14", 1, 300_000),
        (Bucket.NOT_DUE, "repaid", 1, 300_000),
        (Bucket.NOT_DUE, "written_off", 1, 300_000),
    ]


async def test_vintages_follow_plans_by_the_month_of_their_contract(world: PlanWorld) -> None:
    first = await world.plan()
    await world.plan(50_000, at=noon(30))
    await world.pays(first, 100_000, 0, KIND.DOWN_PAYMENT)
    await snapshot(world, 45)

    async with transaction(world.engine) as session:
        rows = await portfolio.vintages(session, day(45))
        early = await portfolio.vintages(session, day(45), late_after_days=3)

    assert [(row.month_on.month, row.plans, row.sold, row.outstanding, row.late) for row in rows] == [
        (11, 1, 400_000, 300_000, 300_000),
        (12, 1, 50_000, 50_000, 0),
    ]
    assert early[1].late == 50_000
