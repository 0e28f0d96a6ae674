"""Codes and activations that are over, and NSPK is asked about all the same: their money may come late.

Their notification may be lost, so nobody else would tell. More and more seldom, for a week; after that only the
bank's register can know. DECISIONS.md, "What is over is watched for a week".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.database import Session, text

FIRST_LOOK_WAIT = timedelta(minutes=10)
"""After the end; then as long again as it has been over: 10, 20, 40 minutes and so on."""
WATCH_MAX = timedelta(days=7)
SILENCE_WAIT = timedelta(minutes=1)
"""Before a question whose answer was lost is asked again."""
LOOK_BATCH_MAX = 100
"""One status call."""


@dataclass(frozen=True, slots=True)
class LateWatch:
    """Something that is over and may be paid yet."""

    id: str
    """Of a code or of an activation."""
    is_activation: bool
    qrc_id: str


async def begin(
    session: Session, *, qr_ids: Sequence[str] = (), activation_ids: Sequence[str] = (), now: datetime
) -> None:
    """Watch codes and activations that have ended now without money."""
    await session.execute(
        text("""INSERT INTO sbp_late_watches (id, is_activation, ended_at, next_look_at)
                SELECT id, false, :now, :at FROM unnest(CAST(:qr_ids AS text[])) AS id
                 UNION ALL SELECT id, true, :now, :at FROM unnest(CAST(:activation_ids AS text[])) AS id
                ON CONFLICT DO NOTHING"""),
        {"qr_ids": list(qr_ids), "activation_ids": list(activation_ids), "now": now, "at": now + FIRST_LOOK_WAIT},
    )


async def hurry(session: Session, watch_id: str, *, now: datetime) -> None:
    """Ask about it at once, if it is watched."""
    await session.execute(
        text("""UPDATE sbp_late_watches
                   SET next_look_at = greatest(ended_at + interval '1 us', CAST(:now AS timestamptz))
                 WHERE id = :id"""),
        {"id": watch_id, "now": now},
    )


async def take_due(session: Session, *, now: datetime) -> list[LateWatch]:
    """Take what is due to be asked about, and say when it is asked about again, whatever becomes of us.

    Locks: the watches it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text("""
            WITH due AS (
                UPDATE sbp_late_watches AS w
                   SET next_look_at = CAST(:now AS timestamptz)
                       + greatest(CAST(:wait AS interval), CAST(:now AS timestamptz) - w.ended_at)
                 WHERE w.id IN (SELECT id FROM sbp_late_watches WHERE next_look_at <= :now
                                 ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED)
                RETURNING w.id, w.is_activation
            )
            SELECT due.id, due.is_activation, coalesce(q.qrc_id, l.qrc_id) AS qrc_id
              FROM due LEFT JOIN qr_codes AS q ON q.id = due.id
              LEFT JOIN cash_link_activations AS a ON a.id = due.id
              LEFT JOIN cash_links AS l ON l.id = a.cash_link_id
        """),
        {"now": now, "wait": FIRST_LOOK_WAIT, "limit": LOOK_BATCH_MAX},
    )
    return [LateWatch(**row._mapping) for row in rows]


async def settle(session: Session, watches: Sequence[LateWatch], *, is_answered: bool, now: datetime) -> None:
    """Ask soon again when the answer was lost; else watch no more what was paid, or is over for a week."""
    ids = [watch.id for watch in watches]
    if not is_answered:
        await session.execute(
            text("UPDATE sbp_late_watches SET next_look_at = :at WHERE id = ANY(CAST(:ids AS text[]))"),
            {"ids": ids, "at": now + SILENCE_WAIT},
        )
        return
    await session.execute(
        text("""DELETE FROM sbp_late_watches AS w
                 WHERE w.id = ANY(CAST(:ids AS text[]))
                   AND (w.ended_at <= :old
                        OR EXISTS (SELECT FROM qr_codes AS q WHERE q.id = w.id AND q.status = 'paid')
                        OR EXISTS (SELECT FROM cash_link_activations AS a WHERE a.id = w.id AND a.status = 'paid'))"""),
        {"ids": ids, "old": now - WATCH_MAX},
    )
