"""Parked notifications (отложенные уведомления): what somebody said of links and refunds that are not ours."""

from __future__ import annotations

from typing import Annotated, Any

from api.door import Call, door_router, needs
from api.errors import CursorUnknown
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Instant, View
from ledger.database import transaction
from sbp_gateway import parked_notifications
from sbp_gateway.parked_notifications import ParkedNotification

router = door_router("/v1/sbp/parked-notifications", "SBP parked notifications")


class ParkedNotificationView(View):
    """What was said; nobody signed it."""

    about: str
    """NSPK's id of the link, or `refund:decision`, or `refund:money`."""
    trx_id: str
    """NSPK's id of the operation; of refunds that of the request."""
    said: dict[str, Any]
    """The fields that we know, personal ones masked."""
    received_at: Instant

    @classmethod
    def of(cls, parked: ParkedNotification) -> ParkedNotificationView:
        """The notification as it is shown."""
        return cls(about=parked.about, trx_id=parked.trx_id, said=dict(parked.said), received_at=parked.received_at)


@router.get("")
async def list_parked(
    call: Annotated[Call, needs("admin")], after: After = None, limit: Limit = PAGE_USUAL
) -> Page[ParkedNotificationView]:
    """All of them, oldest first: they belong to no merchant."""
    start = read_cursor("parked-notifications", after)
    try:
        async with transaction(call.engine) as session:
            found, has_more = await parked_notifications.list_parked(session, after=start, limit=limit)
    except ValueError:
        raise CursorUnknown() from None
    views = [ParkedNotificationView.of(parked) for parked in found]
    return page_of("parked-notifications", views, has_more, found[-1].place if found else None, after)
