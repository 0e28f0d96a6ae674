"""A denied attempt is an event too, and the work around it is rolled back: its line is written after that.

    async with refusals.kept(transactions) as session:
        opened = await cards.read_pan(session, …)

Source: PCI DSS 10.2.1.4.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.errors import PciError


def event_of(error: BaseException) -> AuditEvent | None:
    """The line of the log that a refusal carries, if it does."""
    event = getattr(error, "event", None)
    return event if isinstance(event, AuditEvent) else None


@asynccontextmanager
async def kept(transactions: Transactions) -> AsyncIterator[Session]:
    """A transaction; if it ends in a refusal that is an event, the event is committed in another, and then it is told.

    Raises: what the block raises. If the event cannot be written, that error instead: nothing was opened either way.
    """
    try:
        async with transactions() as session:
            yield session
    except PciError as refusal:
        if (event := event_of(refusal)) is not None:
            async with transactions() as session:
                await stage(session, [event])
        raise
