"""Notifications from T-Kassa: signed, and still only hints that make us ask.

Source: T-Kassa API v2, notifications: ``Token`` over the root fields; success is HTTP 200 and the body ``OK``.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from api.door import Door, open_router
from api.payment_results import Hint
from ledger.database import transaction
from sbp_gateway import parked_notifications
from sbp_gateway.errors import NotificationUnsigned
from sbp_gateway.tkassa_links import link_id

router = open_router("/tkassa", "T-Kassa notifications")


class TkassaNotificationBody(BaseModel):
    """What T-Kassa says; fields we do not know are let through, and signed all the same."""

    model_config = ConfigDict(extra="allow", frozen=True)

    TerminalKey: Annotated[str, Field(strict=True, max_length=20)]
    PaymentId: Annotated[StrictInt, Field(ge=1, lt=10**20)]
    Status: Annotated[str, Field(strict=True, max_length=40)]
    Token: Annotated[str, Field(strict=True, max_length=64)]


@router.post("/notification", response_class=PlainTextResponse)
async def take_tkassa_notification(body: TkassaNotificationBody, request: Request) -> str:
    """Ask about the payment and answer when what T-Kassa says about it is done; a strange one is parked.

    Raises: NotificationUnsigned.
    """
    door: Door = request.app.state.door
    tkassa = door.wiring.tkassa
    if tkassa is None or not tkassa.has_signed(body.model_dump()):
        raise NotificationUnsigned
    qrc_id = link_id(str(body.PaymentId))
    if not await door.wiring.results.look_up(Hint(qrc_id)):
        said = body.model_dump(mode="json", include={"TerminalKey", "PaymentId", "Status"})
        async with transaction(door.engine) as session:
            await parked_notifications.park(session, qrc_id, body.Status, said, now=door.clock.now())
    return "OK"
