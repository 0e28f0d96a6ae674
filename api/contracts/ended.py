"""Payments of contracts that open one order with one attempt: they end with it, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Literal

from api.one_by_one import one_by_one
from checkout import till
from checkout.errors import CheckoutRejected
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, text, transaction

ENDED_MAX = 200
"""Payments found ended in one go."""
Payments = Literal["koshelek_pay_payments", "yookassa_payments"]
Tell = Callable[[Session, str, str, datetime], Awaitable[None]]
"""Says of an order of a merchant that it was not paid."""


async def end_payments_of(engine: Engine, payments: Payments, clock: Clock, tell: Tell | None = None) -> int:
    """End a contract's payments whose attempt is over; how many there were.

    The order of one that was not paid is closed, so that its code and points are free.
    """
    async with transaction(engine) as session:
        paid = await _end_paid(session, payments, now=clock.now())
        unpaid = await _unpaid(session, payments)

    async def close(order_id: str) -> None:
        await in_transaction(engine, lambda session: _close(session, payments, order_id, tell, now=clock.now()))

    return paid + await one_by_one(f"end_{payments}", unpaid, close)


async def _end_paid(session: Session, payments: Payments, *, now: datetime) -> int:
    """Mark those that were paid. Locks: them, skipping those that another worker takes at this moment."""
    done = await session.execute(
        text(f"""
            WITH over AS MATERIALIZED (
                SELECT p.order_id FROM {payments} AS p JOIN attempts AS a ON a.id = p.attempt_id
                 WHERE p.ended_at IS NULL AND a.status = 'paid'
                 ORDER BY p.order_id LIMIT :limit FOR UPDATE OF p SKIP LOCKED
            )
            UPDATE {payments} AS p SET ended_at = :now FROM over WHERE p.order_id = over.order_id"""),  # noqa: S608  # one of two names of ours
        {"now": now, "limit": ENDED_MAX},
    )
    return done.rowcount


async def _unpaid(session: Session, payments: Payments) -> list[str]:
    """The orders of those that were not paid."""
    found = await session.scalars(
        text(f"""SELECT p.order_id FROM {payments} AS p JOIN attempts AS a ON a.id = p.attempt_id
                  WHERE p.ended_at IS NULL AND a.status IN ('rejected', 'expired')
                  ORDER BY p.order_id LIMIT :limit"""),  # noqa: S608  # one of two names of ours
        {"limit": ENDED_MAX},
    )
    return list(found)


async def _close(session: Session, payments: Payments, order_id: str, tell: Tell | None, *, now: datetime) -> None:
    """End one that was not paid, once. Locks: it, then as ``till.cancel_order``."""
    merchant_id: str | None = await session.scalar(
        text(f"""UPDATE {payments} SET ended_at = :now WHERE order_id = :id AND ended_at IS NULL
                 RETURNING merchant_id"""),  # noqa: S608  # one of two names of ours
        {"now": now, "id": order_id},
    )
    if merchant_id is None:
        return
    with suppress(CheckoutRejected):  # canceled already, or tried again through our own API: the order lives on
        await till.cancel_order(session, order_id, merchant_id=merchant_id, now=now)
    if tell is not None:
        await tell(session, order_id, merchant_id, now)
