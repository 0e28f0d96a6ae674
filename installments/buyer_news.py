"""What is told of buyers: an event and an audit leaf in the transaction of what they tell, by id, never by person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ledger import outbox
from ledger.database import Session
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage

ORIGIN = "installments"
HOUSE = "service:installments"
"""Who did it when nobody asked for it."""


async def tell(
    session: Session, action: str, buyer_id: str, *, now: datetime, by: str = HOUSE,
    facts: Mapping[str, str | int | bool] | None = None, reason: str | None = None,
) -> None:  # fmt: skip
    """Publish ``buyer.<action>`` and stage its leaf. ``facts`` hold sums, codes and ids, nothing of a person.

    ``reason``: why a person of the house did it, in words; for the log alone, and no place for personal data either.
    """
    told = dict(facts or {})
    why = {} if reason is None else {"reason": reason}
    await outbox.publish(session, Event(f"buyer.{action}", buyer_id, None, {"buyer_id": buyer_id, **told}), now=now)
    await log(session, f"buyer.{action}", f"buyer:{buyer_id}", now=now, by=by, facts=told | why)


async def log(
    session: Session, action: str, subject: str, *, now: datetime, by: str = HOUSE,
    facts: Mapping[str, str | int | bool] | None = None, outcome: AuditOutcome = AuditOutcome.DONE,
) -> None:  # fmt: skip
    """Stage a leaf without an event: for what the world need not hear."""
    event = AuditEvent(
        action, actor=by, origin=ORIGIN, subject=subject, happened_at=now, outcome=outcome, facts=dict(facts or {})
    )
    await stage(session, [event])
