"""Cases: what a person has to look into. Opened by a review of the log or by a finding, closed by a person with a note.

Source: PCI DSS 10.4.3: exceptions and anomalies are addressed; 12.10.7: a card number where none is expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, select, text, update
from sqlalchemy.dialects.postgresql import insert

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from pci.evidence.errors import CaseRefused
from pci.evidence.suspicions import MOSCOW, Suspicion
from pci.evidence.tables import cases
from pci.redaction import redact_text

ABOUT_MAX = 500
NOTE_MIN, NOTE_MAX = 10, 1_000
"""A note says what was found; "ok" says nothing."""
LISTED_MAX = 1_000

_PERSON = text("SELECT id FROM people WHERE login = :login AND status = 'active'")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing for a person to look into."""

    id: int
    rule: str
    about: str
    """``person:per_…``, ``merchant:mer_…``, ``key:dek_…``, ``origin:192.0.2.7``, a place of a finding."""
    day: date
    """In Moscow."""
    facts: Mapping[str, Any]
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None


async def open_case(
    session: Session, suspicion: Suspicion, *, day: date, actor: str, origin: str, now: datetime
) -> Case | None:
    """Open a case, and put it into the log; nothing when this day has it already."""
    about = redact_text(suspicion.about)[:ABOUT_MAX]
    facts = {name: redact_text(fact) if isinstance(fact, str) else fact for name, fact in suspicion.facts.items()}
    given = {"rule": suspicion.rule, "about": about, "day": day, "facts": facts, "opened_at": now, "opened_by": actor}
    opening = insert(cases).values(given).on_conflict_do_nothing(constraint="cases_one_a_day").returning(cases)
    row = (await session.execute(opening)).mappings().one_or_none()
    if row is None:
        return None
    case = _case(row)
    told: dict[str, str | int | bool] = {"rule": case.rule, "about": about, "day": day.isoformat()}
    await stage(session, [AuditEvent("case.opened", actor, origin, f"case:{case.id}", now, facts=told)])
    return case


async def close_case(session: Session, case_id: int, *, login: str, note: str, origin: str, now: datetime) -> Case:
    """Close a case with what was found. Raises: CaseRefused. Locks: the case."""
    note = redact_text(" ".join(note.split()))
    if not NOTE_MIN <= len(note) <= NOTE_MAX:
        raise CaseRefused(f"Say what was found, in {NOTE_MIN} to {NOTE_MAX} letters", case=case_id)
    found = await session.execute(select(cases).where(cases.c.id == case_id).with_for_update())
    row = found.mappings().one_or_none()
    if row is None:
        raise CaseRefused("There is no such case", case=case_id)
    if row["closed_at"] is not None:
        raise CaseRefused("The case is closed already", case=case_id, closed_by=row["closed_by"])
    person_id = (await session.execute(_PERSON, {"login": login})).scalar_one_or_none()
    if person_id is None:
        raise CaseRefused("Nobody with this login is active", case=case_id)
    person = f"person:{person_id}"
    if person == row["about"]:
        raise CaseRefused("Nobody closes a case about themselves", case=case_id)
    closing = update(cases).where(cases.c.id == case_id).values(closed_at=now, closed_by=person, note=note)
    closed = await session.execute(closing.returning(cases))
    facts: dict[str, str | int | bool] = {"rule": row["rule"], "about": row["about"], "note": note}
    await stage(session, [AuditEvent("case.closed", person, origin, f"case:{case_id}", now, facts=facts)])
    return _case(closed.mappings().one())


async def list_cases(session: Session, *, with_closed: bool = False) -> Sequence[Case]:
    """Cases that are open, or all of them, the oldest first."""
    found = select(cases).order_by(cases.c.opened_at, cases.c.id).limit(LISTED_MAX)
    if not with_closed:
        found = found.where(cases.c.closed_at.is_(None))
    return [_case(row) for row in (await session.execute(found)).mappings()]


def moscow_day(at: datetime) -> date:
    """The Moscow day of an instant."""
    return at.astimezone(MOSCOW).date()


def _case(row: RowMapping) -> Case:
    return Case(**row)
