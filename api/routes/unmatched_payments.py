"""Unmatched payments (платежи без заказа): money that a person gives to an order or back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api import unmatched_money
from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, View
from ledger.database import Session, transaction
from sbp_gateway import unmatched_repository as rows
from sbp_gateway.unmatched_payments import UnmatchedPayment, UnmatchedReason, UnmatchedStatus

router = door_router("/v1/sbp/unmatched-payments", "SBP unmatched payments")


class UnmatchedMatchBody(Body):
    """Whose order the money pays."""

    order_id: Annotated[str, Field(strict=True, max_length=40)]


class UnmatchedPaymentView(View):
    """Money that belongs to no order, or did."""

    id: str
    merchant_id: str
    sticker_id: str | None
    cash_link_id: str | None
    qr_id: str | None
    reason: UnmatchedReason
    trx_id: str
    amount_kopecks: int
    status: UnmatchedStatus
    order_id: str | None
    payment_id: str | None
    """What it became: the payment of the order, or the late one whose refunds `GET /v1/refunds` lists."""
    paid_at: Instant
    recorded_at: Instant
    matched_at: Instant | None
    returned_at: Instant | None

    @classmethod
    def of(cls, payment: UnmatchedPayment) -> UnmatchedPaymentView:
        """The payment as it is shown."""
        return cls(
            id=payment.id, merchant_id=payment.merchant_id, sticker_id=payment.sticker_id,
            cash_link_id=payment.cash_link_id, qr_id=payment.qr_id, reason=payment.reason, trx_id=payment.trx_id,
            amount_kopecks=int(payment.amount), status=payment.status, order_id=payment.order_id,
            payment_id=payment.payment_id, returned_at=payment.returned_at,
            paid_at=payment.paid_at, recorded_at=payment.recorded_at, matched_at=payment.matched_at,
        )  # fmt: skip


@router.get("/{unmatched_payment_id}")
async def read_unmatched(
    unmatched_payment_id: str, call: Annotated[Call, needs("orders:read")]
) -> UnmatchedPaymentView:
    """One unmatched payment."""
    whose = call.caller.merchant_id
    async with transaction(call.engine) as session:
        return UnmatchedPaymentView.of(await rows.load_unmatched(session, unmatched_payment_id, merchant_id=whose))


@router.get("")
async def list_unmatched(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    status: UnmatchedStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[UnmatchedPaymentView]:
    """The queue, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("unmatched-payments", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_unmatched(session, merchant_id=whose, status=status, after=start, limit=limit)
    views = [UnmatchedPaymentView.of(payment) for payment in found]
    return page_of("unmatched-payments", views, has_more, views[-1].id if views else None, after)


@router.post("/{unmatched_payment_id}/match", status_code=200, response_model=UnmatchedPaymentView)
async def match(
    unmatched_payment_id: str, call: Annotated[Call, needs("orders:write")], body: UnmatchedMatchBody
) -> Response:
    """Give the money to an open order of the same amount. It is paid by it, once."""

    async def work(session: Session, _claim: Claim) -> UnmatchedPaymentView:
        matched = await unmatched_money.match(
            session, unmatched_payment_id, body.order_id, merchant_id=call.caller.merchant_id, now=call.now
        )
        return UnmatchedPaymentView.of(matched)

    return await once(call, work, status=200)


@router.post("/{unmatched_payment_id}/refund", status_code=200, response_model=UnmatchedPaymentView)
async def give_back(unmatched_payment_id: str, call: Annotated[Call, needs("refunds:write")]) -> Response:
    """Give all of the money back to its payer: it is no order's. It can be matched no more.

    The worker asks NSPK, within its limits, as for all late money; `GET /v1/refunds?payment_id=` and the events
    of refunds say how it ended.
    """

    async def work(session: Session, _claim: Claim) -> UnmatchedPaymentView:
        returned = await unmatched_money.give_back(
            session, unmatched_payment_id, merchant_id=call.caller.merchant_id, now=call.now
        )
        return UnmatchedPaymentView.of(returned)

    return await once(call, work, status=200)
