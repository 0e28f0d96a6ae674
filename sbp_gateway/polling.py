"""When open codes are asked about: together with all that came due in the same window of time.

A question writes one row for a window and none for its codes, so ten thousand open codes cost a few writes.
A code's ``next_poll_at`` is set once, when its link is registered, and says which window it belongs to.
DECISIONS.md, "Codes are asked about by windows of time".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.database import Session, text
from sbp_gateway.qr_codes import FIRST_POLL_WAIT, GRACE, POLL_WAIT_MAX, WATCH_WAIT_MAX

WINDOW_CODES_MAX = 5_000
"""Codes that come due are parted into windows of so many."""
WINDOWS_MAX = 100
"""Windows taken at once."""
SILENCE_WAIT = timedelta(seconds=2)
"""Before a window is asked about again of which an answer was lost."""
LATE_COMMIT_MAX = timedelta(minutes=2)
"""No transaction lasts so long: until then a code may still appear in a window that seems empty."""


@dataclass(slots=True)
class PollWindow:
    """Codes that came due together, as far as they are still open."""

    through_at: datetime
    """Names the window."""
    qrc_ids: Sequence[str]
    """NSPK's ids of the links."""
    over: frozenset[str]
    """Those whose time and grace are over, so that silence means that nobody paid."""
    is_answered: bool = True
    """Whether no answer about it was lost."""


async def take_due_windows(session: Session, *, now: datetime) -> list[PollWindow]:
    """Take the windows whose time has come, new ones first made of codes that came due since the last.

    They are asked about again after 10, 20, 40 and 60 s, then each minute, whatever becomes of us.
    Locks: the making of windows and the windows taken, skipping what another worker does at this moment.
    """
    await session.execute(
        text("""
            WITH last AS (SELECT coalesce(max(through_at), '-infinity') AS through_at FROM sbp_poll_windows),
            fresh AS (
                SELECT q.next_poll_at FROM qr_codes AS q, last
                 WHERE q.next_poll_at > last.through_at AND q.next_poll_at <= :now AND q.status = 'registered'
                 ORDER BY q.next_poll_at LIMIT :codes
            )
            INSERT INTO sbp_poll_windows (through_at, after_at, next_poll_at)
            SELECT max(fresh.next_poll_at), (SELECT through_at FROM last), :now FROM fresh
            HAVING count(*) > 0 AND pg_try_advisory_xact_lock(hashtextextended('sbp_poll_windows', 4))
            ON CONFLICT DO NOTHING
        """),
        {"now": now, "codes": WINDOW_CODES_MAX},
    )
    rows = await session.execute(
        text("""
            WITH due AS (
                UPDATE sbp_poll_windows AS w
                   SET polls = w.polls + 1,
                       next_poll_at = CAST(:now AS timestamptz) + make_interval(
                           secs => least(:first_seconds * power(2, least(w.polls + 1, 12)), :seconds_max))
                 WHERE w.through_at IN (SELECT through_at FROM sbp_poll_windows WHERE next_poll_at <= :now
                                         ORDER BY next_poll_at LIMIT :windows FOR UPDATE SKIP LOCKED)
                RETURNING w.after_at, w.through_at
            )
            SELECT d.through_at, array_agg(q.qrc_id) FILTER (WHERE q.qrc_id IS NOT NULL) AS qrc_ids,
                   array_agg(q.qrc_id) FILTER (WHERE q.expires_at <= :over_at) AS over
              FROM due AS d LEFT JOIN qr_codes AS q
                ON q.next_poll_at > d.after_at AND q.next_poll_at <= d.through_at AND q.status = 'registered'
             GROUP BY d.through_at
        """),
        {
            "now": now,
            "over_at": now - GRACE,
            "first_seconds": FIRST_POLL_WAIT.seconds,
            "seconds_max": POLL_WAIT_MAX.seconds,
            "windows": WINDOWS_MAX,
        },
    )
    return [PollWindow(row.through_at, row.qrc_ids or (), frozenset(row.over or ())) for row in rows]


async def settle_windows(session: Session, windows: Sequence[PollWindow], *, now: datetime) -> None:
    """Keep what asking taught: lost answers are asked for soon, what is over seldom, what is empty no more."""
    lost = [window.through_at for window in windows if not window.is_answered]
    over = [window.through_at for window in windows if window.is_answered and window.qrc_ids and _is_over(window)]
    empty = [
        window.through_at for window in windows if not window.qrc_ids and window.through_at < now - LATE_COMMIT_MAX
    ]
    for names, next_poll_at in ((lost, now + SILENCE_WAIT), (over, now + WATCH_WAIT_MAX)):
        if names:
            await session.execute(
                text("""UPDATE sbp_poll_windows SET next_poll_at = :at
                         WHERE through_at = ANY(CAST(:names AS timestamptz[]))"""),
                {"at": next_poll_at, "names": names},
            )
    if empty:
        await session.execute(
            text("DELETE FROM sbp_poll_windows WHERE through_at = ANY(CAST(:names AS timestamptz[]))"),
            {"names": empty},
        )


def needs_settling(window: PollWindow) -> bool:
    """Whether asking taught anything about the window itself."""
    return not window.is_answered or _is_over(window)


def _is_over(window: PollWindow) -> bool:
    """Whether every code of it is; an empty window is too."""
    return len(window.over) == len(window.qrc_ids)
