"""The worker's small jobs: the clock, a bureau noted, what expires, day totals, old idempotency keys."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from api import old_answers
from api.one_by_one import all_or_halves, one_by_one
from api.settings import Mode, Settings
from checkout import basket_rows, points, points_rows, till
from installments import decision_policies
from ledger import days, holds
from ledger.clock import Clock, read_offset
from ledger.database import Engine, in_transaction, transaction

EXPIRED_ORDERS_MAX = 100
"""Orders closed in one round."""


async def follow_clock(settings: Settings, engine: Engine, clock: Clock) -> int:
    """Keep to the business clock that all processes of a sandbox share."""
    if settings.mode is Mode.SANDBOX:
        async with transaction(engine) as session:
            clock.offset = await read_offset(session)
    return 0


async def note_bureau(settings: Settings, engine: Engine, clock: Clock) -> int:
    """Write down for whoever decides about plans whether a credit bureau is told of them."""
    async with transaction(engine) as session:
        is_ready = bool(settings.bureau_url)
        is_told_of_all = is_ready and settings.bureau_told_of_all
        await decision_policies.note_bureau(session, is_ready, is_told_of_all=is_told_of_all, now=clock.now())
    return 0


async def expire_holds(engine: Engine, clock: Clock) -> int:
    """Give back holds whose time has passed, each for itself."""
    async with transaction(engine) as session:
        due = await holds.due_holds(session, now=clock.now())

    async def expire(hold_id: UUID) -> None:
        await in_transaction(engine, lambda session: holds.expire(session, hold_id, now=clock.now()))

    return await one_by_one("expire_holds", due, expire)


async def expire_points(engine: Engine, clock: Clock) -> int:
    """Empty lots of points whose time is over; one that cannot be keeps no others."""
    async with transaction(engine) as session:
        due = await points_rows.lots_over(session, now=clock.now())

    async def work(lot_ids: Sequence[str]) -> None:
        await in_transaction(engine, lambda session: points.expire(session, lot_ids, now=clock.now()))

    return await all_or_halves("expire_points", due, work)


async def close_unpaid_orders(engine: Engine, clock: Clock) -> int:
    """Close orders with a basket whose time is over, each for itself: promo codes and points are let go."""

    async def close(order_id: str) -> None:
        await in_transaction(engine, lambda session: till.close_unpaid(session, order_id, now=clock.now()))

    closed, due = 0, [""]
    while due and closed < EXPIRED_ORDERS_MAX:  # those that cannot be closed keep no other open
        async with transaction(engine) as session:
            due = await basket_rows.expired_orders(session, now=clock.now(), after=due[-1], limit=EXPIRED_ORDERS_MAX)
        closed += await one_by_one("close_unpaid_orders", due, close)
    return closed


async def fold_days(engine: Engine) -> int:
    """Add what was booked since to the totals of its days."""
    async with transaction(engine) as session:
        return await days.fold(session)


async def clear_idempotency_keys(engine: Engine, clock: Clock) -> int:
    """Empty old answers and remove very old keys."""
    async with transaction(engine) as session:
        return await old_answers.clear_old(session, clock.now())
