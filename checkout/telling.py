"""What the world and the log are told of the till: an event and an audit leaf, in one transaction with their effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger import outbox
from ledger.database import Session
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

Fact = str | int | bool


@dataclass(frozen=True, slots=True)
class TillActor:
    """Who does something at the till, and from where, for the log."""

    actor: str
    """``caller:key_…``, ``terminal:ter_…``, ``system:till``."""
    origin: str
    """A request id, or ``worker``."""


BY_ITSELF = TillActor("system:till", "worker")
"""What follows from time alone."""


async def tell(
    session: Session, what: str, object_id: str, merchant_id: str, by: TillActor, facts: Mapping[str, Fact], *,
    now: datetime,
) -> None:  # fmt: skip
    """Publish the event ``what`` of an object, and stage its leaf. Locks: the numbering of the object's events."""
    await outbox.publish(session, Event(what, object_id, merchant_id, {"merchant_id": merchant_id, **facts}), now=now)
    subject = f"{what.partition('.')[0]}:{object_id}"
    event = AuditEvent(what, by.actor, by.origin, subject, now, merchant_id=merchant_id, facts=dict(facts))
    await stage(session, [event])
