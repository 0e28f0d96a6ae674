"""What contracts that tell their callers have in common: deliveries are claimed, sent, and settled by how it went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, Session, transaction
from ledger.outbox import Delivery

DESTINATIONS_MAX = 20
"""In one round."""

Outcome = tuple[Delivery, str | None]
"""A delivery, and what went wrong with it; nothing when it was taken."""


async def claim_due(session: Session, prefix: str, *, deliveries_max: int, now: datetime) -> list[Delivery]:
    """Deliveries that are due, of destinations whose names begin with ``prefix``: so many of each at once.

    Locks: the deliveries it takes, skipping those that another worker takes at this moment.
    """
    due = await outbox.due_destinations(session, prefix, now=now, limit=DESTINATIONS_MAX)
    return [
        delivery
        for destination in due
        for delivery in await outbox.claim(session, destination, now=now, limit=deliveries_max)
    ]


async def write_outcomes(engine: Engine, outcomes: Sequence[Outcome], clock: Clock) -> None:
    """Write down how sending went, destination by destination in the order of their names. Locks: the deliveries."""
    async with transaction(engine) as session:
        for destination in sorted({delivery.destination for delivery, _ in outcomes}):
            mine = [outcome for outcome in outcomes if outcome[0].destination == destination]
            await outbox.settle(session, destination, mine, now=clock.now())
