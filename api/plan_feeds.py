"""Jobs of the worker: registers of merchants, the portfolio's kept days, what a bureau is told of arrears.

Each is due once a Moscow day and is found again by what is missing, so a worker that was away makes up for it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from functools import partial

from api.one_by_one import one_by_one
from api.plan_setbacks import who_is_aside, work_batch, work_to_end
from installments import bureau, portfolio, regulator
from installments.errors import RegisterNotFound
from installments.merchant_register import (
    MERCHANTS_MAX,
    RegisterPeriod,
    make_register,
    make_up_days,
    merchants_without_register,
)
from installments.setbacks import Pick
from ledger.clock import Clock, moscow_day
from ledger.database import Engine, Session, in_transaction, transaction

REGISTERS_MAX = MERCHANTS_MAX
DAY = timedelta(days=1)
BUREAU, SNAPSHOT = "bureau", "snapshot"
"""Steps of which a plan may be put aside."""


async def make_registers(engine: Engine, clock: Clock) -> int:
    """Give each merchant the register of yesterday and of the last month; how many were made."""
    today = moscow_day(clock.now())
    yesterday, last_month = today - timedelta(days=1), (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    made = await _make_all(engine, RegisterPeriod.DAY, yesterday, yesterday, clock)
    return made + await _make_all(engine, RegisterPeriod.MONTH, last_month, today.replace(day=1) - DAY, clock)


async def _make_all(engine: Engine, period: RegisterPeriod, begins_on: date, last_on: date, clock: Clock) -> int:
    """A merchant who has none of this period, such as before its first sale, keeps no other from its own."""
    async with transaction(engine) as session:
        merchants = await merchants_without_register(session, period, begins_on)
    made: list[str] = []

    async def make(merchant_id: str) -> None:
        while not await in_transaction(engine, partial(_make_up, merchant_id, last_on, clock)):
            pass
        with suppress(RegisterNotFound):
            async with transaction(engine) as session:
                await make_register(session, merchant_id, period, begins_on, now=clock.now())
            made.append(merchant_id)

    await one_by_one("make_plan_registers", merchants, make)
    return len(made)


async def _make_up(merchant_id: str, last_on: date, clock: Clock, session: Session) -> bool:
    return await make_up_days(session, merchant_id, last_on, now=clock.now())


async def keep_portfolio(engine: Engine, clock: Clock) -> int:
    """Keep the portfolio of yesterday, and at a month's end each plan's place in it.

    The places go first, in pages; the day is kept in the end. So whoever is killed between goes on where it was.
    """
    async with transaction(engine) as session:
        due = await regulator.days_to_close(session, today=moscow_day(clock.now()))
    for on in due:
        if (on + DAY).day == 1:
            await work_to_end(engine, SNAPSHOT, partial(_keep_places, on), clock)
        async with transaction(engine) as session:
            await regulator.close_portfolio_day(session, on, now=clock.now())
    return len(due)


async def _keep_places(on: date, session: Session, pick: Pick) -> None:
    await portfolio.take_snapshot(session, on, pick=pick)


async def tell_of_arrears(engine: Engine, clock: Clock) -> int:
    """Tell the bureau of the next plans that have become past due, or stand in the next bucket; how many."""
    now = clock.now()

    async def tell(session: Session, pick: Pick) -> None:
        await bureau.tell_overdue(session, moscow_day(now), now=now, pick=pick)

    pick = await who_is_aside(engine, [BUREAU], tell, clock)
    pick.step = BUREAU
    await work_batch(engine, pick, tell, clock)
    return len(pick.taken)
