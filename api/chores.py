"""The worker's small jobs: the clock, a bureau noted, what expires, day totals, old idempotency keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from api import idempotency
from api.settings import Mode, Settings
from checkout import basket_rows, points, till
from installments import decision_policies
from ledger import days, holds
from ledger.clock import Clock, read_offset
from ledger.database import Engine, Session, in_transaction, transaction

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
    """Give back holds whose time has passed."""
    async with transaction(engine) as session:
        return await holds.expire_due(session, now=clock.now())


async def expire_points(engine: Engine, clock: Clock) -> int:
    """Empty lots of points whose time is over."""
    async with transaction(engine) as session:
        return await points.expire_due(session, now=clock.now())


async def close_unpaid_orders(engine: Engine, clock: Clock) -> int:
    """Close orders with a basket whose time is over, each for itself: promo codes and points are let go."""
    async with transaction(engine) as session:
        due = await basket_rows.expired_orders(session, now=clock.now(), limit=EXPIRED_ORDERS_MAX)
    for order_id in due:
        await in_transaction(engine, _closing(order_id, clock.now()))
    return len(due)


def _closing(order_id: str, now: datetime) -> Callable[[Session], Awaitable[bool]]:
    return lambda session: till.close_unpaid(session, order_id, now=now)


async def fold_days(engine: Engine) -> int:
    """Add what was booked since to the totals of its days."""
    async with transaction(engine) as session:
        return await days.fold(session)


async def clear_idempotency_keys(engine: Engine, clock: Clock) -> int:
    """Empty old answers and remove very old keys."""
    async with transaction(engine) as session:
        return await idempotency.clear_old(session, clock.now())
