"""The daily review of the vault's log: one Moscow day's events past the rules, each suspicion a case.

Source: PCI DSS 10.4.1, 10.4.1.1: at least once daily, by automated mechanisms. DECISIONS.md, 28.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import text

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.evidence.cases import Case, moscow_day, open_case
from pci.evidence.errors import ReviewRefused
from pci.evidence.suspicions import MOSCOW, ROUTINE, LoggedEvent, Suspicion, SuspicionTally

SETTLED_AFTER = timedelta(minutes=10)
"""After a day's end: transactions that began in it are over by then, and their events to be seen."""
DAYS_BACK_MAX = 92
"""Missed days that are made up for, the oldest first; what is older than a quarter a pack has told of."""
READ_BATCH = 1_000

_EVENTS = text(
    "SELECT id, event FROM audit_events WHERE staged_at >= :since AND staged_at < :until"
    " AND event NOT LIKE ALL (CAST(:routine AS bytea[]))"
).execution_options(yield_per=READ_BATCH)
_COUNT = text("SELECT count(*) FROM audit_events WHERE staged_at >= :since AND staged_at < :until")
_ROUTINE = [f'{{"action":"{action}","actor":"service:%"outcome":"done"%'.encode() for action in sorted(ROUTINE)]
"""Of canonical bytes, whose names are sorted."""
_FIRST = text("SELECT staged_at FROM audit_events ORDER BY staged_at LIMIT 1")
_REVIEWED = text("SELECT day, max(reviewed_until) AS until FROM log_reviews WHERE day >= :since GROUP BY day")
_WRITE = text(
    "INSERT INTO log_reviews (day, reviewed_until, ran_at, ran_by, events, suspicions, cases_opened)"
    " VALUES (:day, :until, :now, :by, :events, :suspicions, :opened)"
)


@dataclass(frozen=True, slots=True)
class LogReview:
    """One run over one day."""

    day: date
    reviewed_until: datetime
    events: int
    suspicions: int
    opened: tuple[Case, ...]


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """When a Moscow day begins and ends."""
    return datetime.combine(day, time(), MOSCOW), datetime.combine(day + timedelta(days=1), time(), MOSCOW)


async def due_days(session: Session, *, now: datetime) -> list[date]:
    """Days that are over and were not reviewed to their end, the oldest first."""
    first = (await session.execute(_FIRST)).scalar_one_or_none()
    if first is None:
        return []
    last = moscow_day(now - SETTLED_AFTER) - timedelta(days=1)
    since = max(moscow_day(first), last - timedelta(days=DAYS_BACK_MAX - 1))
    reviewed: dict[date, datetime] = {row.day: row.until for row in await session.execute(_REVIEWED, {"since": since})}
    days = (since + timedelta(days=number) for number in range((last - since).days + 1))
    return [day for day in days if day not in reviewed or reviewed[day] < bounds_of(day)[1]]


async def review_day(transactions: Transactions, day: date, *, actor: str, origin: str, now: datetime) -> LogReview:
    """Read one day's events, open a case for each suspicion that has none, and write down that it was done.

    Raises: ReviewRefused.
    """
    since, end = bounds_of(day)
    if now <= since:
        raise ReviewRefused(day=day.isoformat())
    until = min(end, now)
    async with transactions() as session:
        events, suspicions = await _suspicions(session, since, until)
        tried = [
            await open_case(session, suspicion, day=day, actor=actor, origin=origin, now=now)
            for suspicion in suspicions
        ]
        opened = tuple(case for case in tried if case is not None)
        run = {
            "day": day, "until": until, "now": now, "by": actor,
            "events": events, "suspicions": len(suspicions), "opened": len(opened),
        }  # fmt: skip
        await session.execute(_WRITE, run)
        facts: dict[str, str | int | bool] = {"events": events, "cases_opened": len(opened)}
        await stage(session, [AuditEvent("audit_log.reviewed", actor, origin, f"day:{day}", now, facts=facts)])
    return LogReview(day, until, events, len(suspicions), opened)


async def _suspicions(session: Session, since: datetime, until: datetime) -> tuple[int, list[Suspicion]]:
    tally, window = SuspicionTally(), {"since": since, "until": until}
    async for row in await session.stream(_EVENTS, window | {"routine": _ROUTINE}):
        tally.add(logged_event(row.id, row.event))
    events = (await session.execute(_COUNT, window)).scalar_one()
    return events, tally.suspicions()


def logged_event(number: int, line: bytes) -> LoggedEvent:
    """An event out of its canonical bytes."""
    told = json.loads(line)
    return LoggedEvent(
        number, told["action"], told["actor"], told["origin"], told["subject"], AuditOutcome(told["outcome"]),
        told.get("merchant_id", ""), datetime.fromisoformat(told["at"]),
    )  # fmt: skip
