"""The story itself: found, gathered, put in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.errors import ResourceUnknown
from api.timeline import traces
from api.timeline.family import find_id, gather
from api.timeline.moments import Moment, Timeline, in_order
from ledger.database import Session
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a story, and what of it they may see."""

    actor: str
    origin: str
    merchant_id: str | None
    """Whose objects, when not everybody's: without the books, which belong to all merchants, and the log."""
    is_auditor: bool = False
    """May also read the audit log, where that is written down."""


async def tell_timeline(session: Session, name: str, reader: Reader, *, now: datetime) -> Timeline:
    """The story of what ``name`` stands for. Raises: ResourceUnknown if there is none, or it is another merchant's."""
    object_id = await find_id(session, name, merchant_id=reader.merchant_id)
    if object_id is None:
        raise ResourceUnknown()
    family = await gather(session, object_id, merchant_id=reader.merchant_id)
    moments = family.moments
    if not moments or (reader.merchant_id is not None and reader.merchant_id not in family.merchants):
        raise ResourceUnknown()
    told = await traces.events(session, family, reader.merchant_id)
    moments += told
    moments += await traces.deliveries(session, told, reader.merchant_id)
    moments += await traces.requests(session, family, [one.at for one in moments], reader.merchant_id)
    if reader.merchant_id is None:
        moments += await traces.entries(session, family) + await traces.holds(session, family)
    if reader.is_auditor:
        await _note_reading(session, object_id, reader, now)
        moments += await traces.leaves(session, family, min(one.at for one in moments))
    return Timeline(object_id, tuple(sorted(family.ids)), in_order(moments), len(moments))


async def _note_reading(session: Session, object_id: str, reader: Reader, now: datetime) -> None:
    """Before anything is read. Source: PCI DSS 10.2.1.3: access to the log is in the log."""
    event = AuditEvent("audit_log.read", reader.actor, reader.origin, f"timeline:{object_id}", now)
    await stage(session, [event])


def by_day(moments: tuple[Moment, ...]) -> dict[str, list[Moment]]:
    """Moments under their UTC days, in order."""
    days: dict[str, list[Moment]] = {}
    for one in moments:
        days.setdefault(one.at.date().isoformat(), []).append(one)
    return days
