"""What the sealer does besides sealing: reviews the vault's log day by day, and shows that each log is alive.

It alone may read the vault's events, so it alone can review them; it cannot close what it opens. pci/DECISIONS.md, 28.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from ledger.database import Engine, transaction
from pci.audit_log.checkpoint import BOOKS_ORIGIN, VAULT_ORIGIN
from pci.evidence.log_reviews import LogReview, due_days, review_day
from pci.evidence.outages import beat

REVIEWER = "system:sealer"
REVIEW_SECONDS = 600.0
BEAT_SECONDS = 60
CONTROLS = {BOOKS_ORIGIN: "books_log", VAULT_ORIGIN: "vault_log"}
"""As heartbeats and outages name the logs."""


async def review_oldest(vault: Engine, *, now: datetime, tell: Callable[[LogReview], None]) -> int:
    """Review the oldest day that is due, and say how many are left."""
    async with transaction(vault) as session:
        due = await due_days(session, now=now)
    if not due:
        return 0
    done = await review_day(partial(transaction, vault), due[0], actor=REVIEWER, origin=_origin(), now=now)
    tell(done)
    return len(due) - 1


async def beat_if_alive(vault: Engine, origin: str, sealed_at: datetime | None, *, now: datetime) -> bool:
    """Show that a log is sealed; a log that was not lately stays silent, which is noticed and written down."""
    if sealed_at is None or now - sealed_at > timedelta(seconds=BEAT_SECONDS):
        return False
    async with transaction(vault) as session:
        await beat(session, CONTROLS[origin], period_seconds=BEAT_SECONDS, now=now, origin=_origin())
    return True


def _origin() -> str:
    return f"sealer:{os.getpid()}"
