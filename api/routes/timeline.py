"""The timeline (хронология) of an object: its whole story in order of time, for an incident."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.door import Call, door_router, needs
from api.timeline.moments import Moment, MomentKind, Timeline
from api.timeline.telling import Reader, tell_timeline
from api.wire import Instant, View
from ledger.database import transaction

router = door_router("/v1/timeline", "timeline")


class MomentView(View):
    """One thing that happened."""

    at: Instant
    """When we learnt of it."""
    kind: MomentKind
    what: str
    about: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, moment: Moment) -> MomentView:
        """The moment as it is shown."""
        return cls(at=moment.at, kind=moment.kind, what=moment.what, about=moment.about, facts=dict(moment.facts))


class TimelineView(View):
    """A whole story."""

    id: str
    """What it is about."""
    objects: list[str]
    """Every object whose moments these are."""
    moments_found: int
    """The middle of a story of more than 2,000 moments is left out."""
    moments: Annotated[list[MomentView], Field(description="In order of time; of one instant causes come first.")]

    @classmethod
    def of(cls, timeline: Timeline) -> TimelineView:
        """The timeline as it is shown."""
        return cls(
            id=timeline.id, objects=list(timeline.objects), moments_found=timeline.moments_found,
            moments=[MomentView.of(one) for one in timeline.moments],
        )  # fmt: skip


def reader_of(call: Call) -> Reader:
    """What a caller may see: a merchant its own objects, the house the books too, an admin also the log."""
    whose = call.caller.merchant_id
    is_auditor = whose is None and "admin" in call.caller.scopes
    return Reader(f"caller:{call.caller.key_id}", call.request_id, whose, is_auditor)


@router.get("/{object_id}")
async def read_timeline(object_id: str, call: Annotated[Call, needs("orders:read")]) -> TimelineView:
    """The story of an order, payment, plan, refund or payout: requests, rail messages, entries, events, webhooks.

    `object_id` is any id of ours, of a request or an event, NSPK's number of a link or an operation, or the merchant's
    own number of an order. Lines of the audit log are for keys with the scope `admin`, and reading them is logged.
    """
    async with transaction(call.engine) as session:
        timeline = await tell_timeline(session, object_id, reader_of(call), now=call.now)
    return TimelineView.of(timeline)
