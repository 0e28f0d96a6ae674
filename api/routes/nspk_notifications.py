"""Notifications from NSPK: hints that something happened to a link or a refund.

Nobody signs them, so none is believed: we ask NSPK and act on what it answers.
Source: NSPK agent API, notifications ``POST payment/v2/qrc/notification``, ``payment/v1/refund/notification``
and ``payment/v1/b2c-refund/notification``.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from api.door import Door, open_router
from api.errors import RateLimited
from api.payment_results import Hint
from api.wire import Instant
from ledger.database import Session, transaction
from ledger.money import Kopecks
from sbp_gateway import cash_link_repository as cash_links
from sbp_gateway import parked_notifications, repository
from sbp_gateway.nspk import PROCESSED
from sbp_gateway.parked_notifications import REFUND_DECISION, REFUND_MONEY
from sbp_gateway.phones import masked
from sbp_gateway.stickers import SaidOperation

router = open_router("/nspk", "NSPK notifications")

LinkId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-V]{32}$")]
"""As NSPK writes its ids: asked about another, it might refuse all that are asked about with it."""
TrxId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-Z]{32}$")]
RequestId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z-]{1,64}$")]


async def has_allowance(request: Request) -> None:
    """Nobody signs a notification, so each sender may send as many as one API key may. Raises: RateLimited."""
    door: Door = request.app.state.door
    sender = request.client.host if request.client is not None else ""
    allowance = door.buckets.take(f"nspk {sender}", "writes")
    if not allowance.is_granted:
        raise RateLimited(retry_after_seconds=allowance.reset_seconds)


LIMITED = [Depends(has_allowance)]


class NotificationBody(BaseModel):
    """What NSPK says; fields we do not know are let through and forgotten, for the interface is not ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    qrcId: LinkId  # noqa: N815  # NSPK's name
    trxId: TrxId  # noqa: N815
    status: Annotated[str, Field(strict=True, max_length=8)]
    amount: StrictInt
    timestamp: Instant
    payerId: Annotated[str, Field(strict=True, max_length=64)] | None = None  # noqa: N815
    paramsId: Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z_-]{1,64}$")] | None = None  # noqa: N815
    """Of a cash link alone: which sale."""
    kzo: Annotated[str, Field(strict=True, max_length=64)] | None = None


@router.post("/payment/v2/qrc/notification", dependencies=LIMITED)
async def take_notification(body: NotificationBody, request: Request) -> dict[str, str]:
    """Look at the link and answer when what NSPK says about it is done.

    What cannot be looked at now is parked, unless it is asked about anyway: NSPK may not repeat it.
    """
    door: Door = request.app.state.door
    try:
        is_ours = await _look_at_link(door, body)
    except Exception:
        await _park(door, body)
        raise
    if not is_ours:
        await _park(door, body)
    return {"code": PROCESSED, "message": ""}


async def _park(door: Door, body: NotificationBody) -> None:
    said: dict[str, Any] = body.model_dump(mode="json") | {"payerId": masked(body.payerId)}
    async with transaction(door.engine) as session:
        if not await _is_watched(session, body):
            await parked_notifications.park(session, body.qrcId, body.trxId, said, now=door.clock.now())


async def _is_watched(session: Session, body: NotificationBody) -> bool:
    """Whether the worker asks about it by itself: a code of ours, or a sale that NSPK named to us."""
    if body.paramsId is not None:
        return await cash_links.activation_by_sale(session, body.qrcId, body.paramsId) is not None
    return bool(await repository.known_qrc_ids(session, [body.qrcId]))


async def _look_at_link(door: Door, body: NotificationBody) -> bool:
    """Ask NSPK about the link, or about one sale by it, and say whether it is ours."""
    if body.paramsId is not None:
        return await door.wiring.sales.look_up(body.qrcId, body.paramsId)
    said = SaidOperation(body.trxId, Kopecks(body.amount), body.timestamp, body.kzo)
    return await door.wiring.results.look_up(Hint(body.qrcId, body.timestamp, body.payerId, said))


class RefundDecisionBody(BaseModel):
    """What NSPK says of a bank's decision; the refund's own status call has the last word."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: Annotated[str, Field(strict=True, max_length=16)]
    status: Annotated[str, Field(strict=True, max_length=8)]
    originalTrxId: TrxId  # noqa: N815
    agentRefundRequestId: RequestId  # noqa: N815
    opkcRefundRequestId: RequestId  # noqa: N815


class RefundMoneyBody(BaseModel):
    """What NSPK says of the money of a refund."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Annotated[str, Field(strict=True, max_length=8)]
    originalTrxId: TrxId  # noqa: N815
    agentRefundRequestId: RequestId  # noqa: N815
    opkcRefundRequestId: RequestId  # noqa: N815
    payeeId: Annotated[str, Field(strict=True, max_length=64)] | None = None  # noqa: N815


@router.post("/payment/v1/refund/notification", dependencies=LIMITED)
async def take_refund_decision(body: RefundDecisionBody, request: Request) -> dict[str, str]:
    """Look at the refund that a bank is said to have decided."""
    return await _look_at_refund(request, body, REFUND_DECISION)


@router.post("/payment/v1/b2c-refund/notification", dependencies=LIMITED)
async def take_refund_money(body: RefundMoneyBody, request: Request) -> dict[str, str]:
    """Look at the refund whose money is said to have moved."""
    return await _look_at_refund(request, body, REFUND_MONEY)


async def _look_at_refund(request: Request, body: RefundDecisionBody | RefundMoneyBody, about: str) -> dict[str, str]:
    """A refund of ours is asked about; of a strange one each (NSPK's request, kind of event) is kept once."""
    door: Door = request.app.state.door
    if not await door.wiring.refunds.take_hint(body.agentRefundRequestId.lower()):
        said = body.model_dump(mode="json")
        if "payeeId" in said:
            said["payeeId"] = masked(said["payeeId"])
        async with transaction(door.engine) as session:
            await parked_notifications.park(session, about, body.opkcRefundRequestId, said, now=door.clock.now())
    return {"code": PROCESSED, "message": ""}
