"""Payments of contracts that open one order with one attempt: they end with it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ledger.database import Session, text

ENDED_MAX = 200
"""Payments found ended in one go."""


async def take_ended(
    session: Session, payments: Literal["koshelek_pay_payments", "yookassa_payments"], *, now: datetime
) -> list[tuple[str, str, bool]]:
    """Mark a contract's payments whose attempt is over: order, merchant, and whether it was paid.

    Locks: the payments it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            WITH over AS MATERIALIZED (
                SELECT p.order_id, a.status = 'paid' AS is_paid
                  FROM {payments} AS p JOIN attempts AS a ON a.id = p.attempt_id
                 WHERE p.ended_at IS NULL AND a.status IN ('paid', 'rejected', 'expired')
                 ORDER BY p.order_id LIMIT :limit FOR UPDATE OF p SKIP LOCKED
            )
            UPDATE {payments} AS p SET ended_at = :now FROM over
             WHERE p.order_id = over.order_id
            RETURNING p.order_id, p.merchant_id, over.is_paid
        """),  # noqa: S608  # one of two names of ours
        {"now": now, "limit": ENDED_MAX},
    )
    return sorted((row.order_id, row.merchant_id, row.is_paid) for row in rows)
