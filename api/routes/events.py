"""Events: what happened, in the order in which it became final. Polling this list misses nothing."""

from __future__ import annotations

from typing import Annotated, Any

from api.door import Call, door_router, needs
from api.errors import CursorUnknown
from api.event_catalogue import EVENT_TYPES, EventType
from api.event_view import EventView
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import View
from ledger import outbox
from ledger.database import transaction

router = door_router("/v1/events", "events")
types_router = door_router("/v1/event-types", "events")


@router.get("")
async def list_events(
    call: Annotated[Call, needs("events:read")],
    type: str | None = None,  # noqa: A002  # its name on the wire
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[EventView]:
    """Events, oldest first; keep ``next`` and ask again later for what came since."""
    start = read_cursor("events", after) or ""
    async with transaction(call.engine) as session:
        try:
            found, has_more = await outbox.list_events(
                session,
                type_=type,
                merchant_id=call.caller.merchant_id,
                after=start,
                limit=limit,
            )
        except ValueError:
            raise CursorUnknown() from None
    views = [EventView.of(event) for event in found]
    return page_of("events", views, has_more, found[-1].cursor if found else None, after)


class EventFieldView(View):
    """One field of an event's data."""

    name: str
    kind: str
    is_optional: bool
    """It may be null or absent."""
    example: Any


class EventTypeView(View):
    """One kind of event."""

    name: str
    summary: str
    """In Russian."""
    fields: list[EventFieldView]

    @classmethod
    def of(cls, event_type: EventType) -> EventTypeView:
        """The kind of event as it is shown."""
        fields = [
            EventFieldView(
                name=name, kind=field.kind, is_optional=name in event_type.optional, example=field.example
            )
            for name, field in event_type.fields.items()
        ]  # fmt: skip
        return cls(name=event_type.name, summary=event_type.summary, fields=fields)


@types_router.get("")
async def list_event_types(_call: Annotated[Call, needs("events:read")]) -> list[EventTypeView]:
    """Every event that there is: its name, what it says, and its fields."""
    return [EventTypeView.of(event_type) for event_type in EVENT_TYPES.values()]
