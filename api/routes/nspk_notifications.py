"""Notifications from NSPK: hints that something happened to a link.

Nobody signs them, so none is believed: we ask NSPK and act on what it answers.
Source: NSPK agent API, notification ``POST payment/v2/qrc/notification``.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from api.door import Door, open_router
from api.payment_results import Hint
from api.wire import Instant
from ledger.database import transaction
from sbp_gateway import repository
from sbp_gateway.nspk import PROCESSED

router = open_router("/nspk", "NSPK notifications")

LinkId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-Z]{32}$")]


class NotificationBody(BaseModel):
    """What NSPK says; fields we do not know are let through, for the interface is not ours."""

    model_config = ConfigDict(extra="allow", frozen=True)

    qrcId: LinkId  # noqa: N815  # NSPK's name
    trxId: LinkId  # noqa: N815
    status: Annotated[str, Field(strict=True, max_length=8)]
    amount: int
    timestamp: Instant


@router.post("/payment/v2/qrc/notification")
async def take_notification(body: NotificationBody, request: Request) -> dict[str, str]:
    """Look at the link and answer when what NSPK says about it is done."""
    door: Door = request.app.state.door
    if not await door.wiring.results.look_up(Hint(body.qrcId, body.timestamp)):
        said: dict[str, Any] = body.model_dump(mode="json")
        async with transaction(door.engine) as session:
            await repository.park_notification(session, body.qrcId, body.trxId, said, now=door.clock.now())
    return {"code": PROCESSED, "message": ""}
