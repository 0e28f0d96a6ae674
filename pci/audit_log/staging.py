"""Into the log: an event is staged in the transaction of what it tells of, so neither is ever without the other."""

from __future__ import annotations

from collections.abc import Sequence

from pci.audit_log.event import AuditEvent
from pci.database import Session


async def stage(session: Session, events: Sequence[AuditEvent]) -> None:
    """Stage events; they are sealed later, in the order they were committed in. If this fails, so must the work."""
    raise NotImplementedError(f"{len(events)} {session}")
