"""Events as they are listed and delivered."""

from __future__ import annotations

from typing import Any

from api.wire import Instant, View
from ledger.outbox import Published


class EventView(View):
    """Something that happened to an object."""

    id: str
    type: str
    object_id: str
    sequence: int
    """1, 2, 3 and so on for each object: a gap shows that one was missed."""
    created_at: Instant
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Published) -> EventView:
        """The event as it is shown and delivered."""
        return cls(
            id=event.id, type=event.type, object_id=event.object_id, sequence=event.sequence,
            created_at=event.created_at, data=dict(event.data),
        )  # fmt: skip
