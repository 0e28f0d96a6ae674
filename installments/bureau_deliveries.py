"""How bureau events leave: claimed one a plan in their order, sent by the door, and what the bureau said kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from installments.bureau import BureauEvent, event_of
from installments.errors import BureauEventNotFound, BureauEventTaken
from installments.telling import PlanActor
from ledger.database import Session, text
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

CLAIM_MAX = 100
LEASE = timedelta(seconds=30)
"""How long a claimed event is left to its worker."""
WAITS_SECONDS = (1, 5, 15, 60, 300, 1_800, 3_600)
"""Between tries; the last again and again: what the law wants told is never given up."""
REFUSAL_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class BureauSubject:
    """Of whom the bureau is told, with ``opened`` alone. Read when it is sent; kept nowhere else."""

    buyer_id: str
    last_name: str | None
    first_name: str | None
    middle_name: str | None
    born_on: date | None


@dataclass(frozen=True, slots=True)
class BureauDelivery:
    """An event on its way."""

    event: BureauEvent
    attempt: int
    subject: BureauSubject | None


async def claim_bureau_events(session: Session, *, now: datetime, limit: int = CLAIM_MAX) -> list[BureauDelivery]:
    """Take events that are due, the first untold of each plan only, for the length of a lease.

    Locks: the deliveries it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text("""WITH due AS MATERIALIZED (
                    SELECT d.event_id FROM bureau_deliveries AS d
                     WHERE d.state = 'queued' AND d.next_attempt_at <= :now
                       AND NOT EXISTS (SELECT 1 FROM bureau_deliveries AS b
                                        WHERE b.plan_id = d.plan_id AND b.sequence < d.sequence
                                          AND b.state <> 'acknowledged')
                     ORDER BY d.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
                ), taken AS (
                    UPDATE bureau_deliveries AS d SET attempts = attempts + 1, next_attempt_at = :lease_until
                      FROM due WHERE d.event_id = due.event_id RETURNING d.event_id, d.attempts
                )
                SELECT e.*, t.attempts, b.id AS buyer_id, b.last_name, b.first_name, b.middle_name, b.born_on
                  FROM taken AS t JOIN bureau_events AS e ON e.id = t.event_id
                  JOIN installment_plans AS p ON p.id = e.plan_id
                  LEFT JOIN buyers AS b ON b.id = p.buyer_id AND e.kind = 'opened'
                 ORDER BY e.plan_id, e.sequence"""),
        {"now": now, "lease_until": now + LEASE, "limit": limit},
    )
    return [BureauDelivery(event_of(row), row.attempts, _subject(row)) for row in rows]


async def acknowledge_bureau_event(session: Session, event_id: str, acknowledgement: str, *, now: datetime) -> None:
    """The bureau took it, under a number of its own. Said again, nothing changes."""
    await session.execute(
        text("""UPDATE bureau_deliveries
                   SET state = 'acknowledged', next_attempt_at = NULL, refusal = NULL,
                       acknowledgement = :acknowledgement, acknowledged_at = :now
                 WHERE event_id = :id AND state <> 'acknowledged'"""),
        {"id": event_id, "acknowledgement": acknowledgement, "now": now},
    )


async def refuse_bureau_event(session: Session, event_id: str, refusal: str) -> None:
    """The bureau will not take it as it is: a person looks. What follows of the plan waits for it."""
    await session.execute(
        text("""UPDATE bureau_deliveries SET state = 'refused', next_attempt_at = NULL, refusal = :refusal
                 WHERE event_id = :id AND state = 'queued'"""),
        {"id": event_id, "refusal": refusal[:REFUSAL_CHARACTERS_MAX]},
    )


async def retry_bureau_event(session: Session, event_id: str, attempt: int, *, now: datetime) -> None:
    """Nobody knows whether it came: the same again later, with the same id."""
    wait = timedelta(seconds=WAITS_SECONDS[min(attempt, len(WAITS_SECONDS)) - 1])
    await session.execute(
        text("""UPDATE bureau_deliveries SET next_attempt_at = :at
                 WHERE event_id = :id AND state = 'queued' AND attempts = :attempt"""),
        {"id": event_id, "at": now + wait, "attempt": attempt},
    )


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that the bureau will not take as it is, and why."""

    event: BureauEvent
    attempts: int
    refusal: str


async def list_refused(session: Session, *, after: str = "", limit: int) -> tuple[list[RefusedEvent], bool]:
    """Refused events by id, that is by when they were told, and whether there are more."""
    rows = await session.execute(
        text("""SELECT e.*, d.attempts, d.refusal
                  FROM bureau_deliveries AS d JOIN bureau_events AS e ON e.id = d.event_id
                 WHERE d.state = 'refused' AND d.event_id > :after ORDER BY d.event_id LIMIT :limit"""),
        {"after": after, "limit": limit + 1},
    )
    found = [RefusedEvent(event_of(row), row.attempts, row.refusal) for row in rows]
    return found[:limit], len(found) > limit


async def resend_refused(session: Session, event_id: str, by: PlanActor, *, now: datetime) -> BureauEvent:
    """Try a refused event again, after a person has settled it with the bureau; one that is queued again stays so.

    Raises: BureauEventNotFound, BureauEventTaken. Locks: the delivery.
    """
    row = (
        await session.execute(
            text("""SELECT e.*, d.state FROM bureau_deliveries AS d JOIN bureau_events AS e ON e.id = d.event_id
                     WHERE d.event_id = :id FOR UPDATE OF d"""),
            {"id": event_id},
        )
    ).first()
    if row is None:
        raise BureauEventNotFound(event_id=event_id)
    if row.state == "acknowledged":
        raise BureauEventTaken(event_id=event_id)
    if row.state == "refused":
        await session.execute(
            text("""UPDATE bureau_deliveries SET state = 'queued', refusal = NULL, next_attempt_at = :now
                     WHERE event_id = :id"""),
            {"id": event_id, "now": now},
        )
        told = AuditEvent("plan.bureau_event_resent", by.actor, by.origin, f"plan:{row.plan_id}", now, facts={
            "event_id": event_id, "kind": row.kind,
        })  # fmt: skip
        await stage(session, [told])
    return event_of(row)


def _subject(row: Any) -> BureauSubject | None:
    if row.buyer_id is None:
        return None
    return BureauSubject(row.buyer_id, row.last_name, row.first_name, row.middle_name, row.born_on)
