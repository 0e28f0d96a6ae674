"""What is kept of idempotency keys, and how long. Apart from the keys' way in: the worker clears, and has no door."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.database import Session, text

ANSWERS_KEPT = timedelta(days=30)
ROWS_KEPT = timedelta(days=400)
CLEARED_MAX = 1_000
"""Rows cleared in one transaction."""


async def clear_old(session: Session, now: datetime) -> int:
    """Empty answers older than 30 days and remove rows older than 400; how many. The worker repeats it until 0."""
    cleared = await session.scalar(
        text("SELECT clear_idempotency_keys(:answers, :rows, :limit)"),
        {"answers": now - ANSWERS_KEPT, "rows": now - ROWS_KEPT, "limit": CLEARED_MAX},
    )
    return int(cleared or 0)
