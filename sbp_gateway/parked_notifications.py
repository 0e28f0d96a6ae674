"""Parked notifications (отложенные уведомления): what was said of nothing of ours, kept for a person to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.database import Session, text

PAGE_MAX = 200
REFUND_DECISION = "refund:decision"
REFUND_MONEY = "refund:money"


@dataclass(frozen=True, slots=True)
class ParkedNotification:
    """One notification. Nobody signed it, so nothing in it need be true."""

    about: str
    """NSPK's id of a link; of refunds ``REFUND_DECISION`` or ``REFUND_MONEY``."""
    trx_id: str
    """NSPK's id of the operation; of refunds that of the request."""
    said: Mapping[str, Any]
    """The fields that we know, personal ones masked."""
    received_at: datetime

    @property
    def place(self) -> str:
        """Where it stands in the list."""
        return f"{self.received_at.isoformat()} {self.about} {self.trx_id}"


async def park(session: Session, about: str, trx_id: str, said: Mapping[str, Any], *, now: datetime) -> None:
    """Keep a notification about what is not ours, once."""
    await session.execute(
        text("""INSERT INTO sbp_parked_notifications (qrc_id, trx_id, body, received_at)
                VALUES (:about, :trx_id, CAST(:said AS jsonb), :now) ON CONFLICT DO NOTHING"""),
        {"about": about, "trx_id": trx_id, "said": json.dumps(said, ensure_ascii=False), "now": now},
    )


async def list_parked(session: Session, *, after: str | None, limit: int) -> tuple[list[ParkedNotification], bool]:
    """Notifications after a place, in the order in which they came, and whether there are more. Raises: ValueError."""
    since, about, trx_id = after.split(" ") if after else ("0001-01-01T00:00:00+00:00", "", "")
    rows = await session.execute(
        text("""SELECT qrc_id AS about, trx_id, body AS said, received_at FROM sbp_parked_notifications
                 WHERE (received_at, qrc_id, trx_id) > (CAST(:since AS timestamptz), :about, :trx_id)
                 ORDER BY received_at, qrc_id, trx_id LIMIT :limit"""),
        {
            "since": datetime.fromisoformat(since),
            "about": about,
            "trx_id": trx_id,
            "limit": min(limit, PAGE_MAX) + 1,
        },
    )
    found = [ParkedNotification(**row._mapping) for row in rows]
    return found[:limit], len(found) > limit
