"""The worker's daily feeds: made once for each day that is over, and made up for after a while away."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from api.plan_feeds import keep_portfolio, make_registers, tell_of_arrears
from installments import merchant_register
from ledger.clock import Clock, machine_now
from ledger.database import Engine, text, transaction
from tests.installments.plan_world import KIND, PlanWorld, day, noon


def clock_at(at: datetime) -> Clock:
    return Clock(at - machine_now())


async def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    async with transaction(engine) as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def test_registers_are_made_for_each_day_and_for_the_month_that_is_over(engine: Engine) -> None:
    world = await PlanWorld(engine).begin()
    await world.plan()

    assert await make_registers(engine, clock_at(noon(0))) in (0, 1)  # of the day before the first sale: empty
    assert await make_registers(engine, clock_at(noon(3))) == 1
    assert await make_registers(engine, clock_at(noon(3))) == 0
    assert await make_registers(engine, clock_at(noon(31))) == 2

    kept = await rows(engine, "SELECT period, begins_on, lines FROM plan_registers WHERE lines > 0 ORDER BY 1, 2")
    assert kept == [("day", day(0), 1), ("month", day(0).replace(day=1), 1)]
    gaps = await rows(
        engine, "SELECT count(*), max(begins_on) - min(begins_on) + 1 FROM plan_registers WHERE period = 'day'"
    )
    assert gaps[0][0] == gaps[0][1]


async def test_the_portfolio_is_kept_each_day_and_each_plan_s_place_at_the_end_of_a_month(engine: Engine) -> None:
    world = await PlanWorld(engine).begin()
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    assert await keep_portfolio(engine, clock_at(noon(1))) == 1
    assert await keep_portfolio(engine, clock_at(noon(1))) == 0
    assert await keep_portfolio(engine, clock_at(noon(29))) == 1  # the first of December: November is over

    kept = await rows(engine, "SELECT day_on, bucket, plans FROM portfolio_days WHERE plans > 0 ORDER BY 1")
    assert kept == [(day(0), "not_due", 1), (day(28), "dpd_4_14", 1)]
    assert await rows(engine, "SELECT day_on, bucket FROM portfolio_snapshots") == [(day(28), "dpd_4_14")]


async def test_nobody_is_told_of_arrears_of_plans_the_bureau_does_not_know(engine: Engine) -> None:
    world = await PlanWorld(engine).begin()
    await world.plan()

    assert await tell_of_arrears(engine, clock_at(noon(0) + timedelta(days=40))) == 0


async def test_days_that_nobody_made_registers_of_are_made_up_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merchant_register, "DAYS_MAX", 20)
    world = await PlanWorld(engine).begin()
    await world.plan()
    await make_registers(engine, clock_at(noon(0)))  # its first day is not over
    assert await make_registers(engine, clock_at(noon(90))) > 0  # months later: all days between are made up for
    assert await make_registers(engine, clock_at(noon(50))) == 1  # a clock set back: the days are there, a month is not
    counted = await rows(engine, "SELECT count(*) FROM plan_registers WHERE period = 'day'")
    assert counted == [(90,)]
