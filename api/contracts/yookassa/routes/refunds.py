"""Refunds: created, read, listed. The money moves later; a refund is ``pending`` until NSPK has said its last word."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from starlette.responses import Response

from api.answers import Answer
from api.contracts.outer_ids import inner_id
from api.contracts.yookassa import refunds, repository
from api.contracts.yookassa.bodies import RefundBody
from api.contracts.yookassa.entrance import contract_router, shop_id_of
from api.contracts.yookassa.errors import ParameterInvalid
from api.contracts.yookassa.lists import list_object, read_query
from api.contracts.yookassa.payments import PaymentStatus
from api.contracts.yookassa.routes.payments import said
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from api.refund_outcomes import record_refund_answer
from ledger.database import Session, transaction
from sbp_gateway import refund_rows, refunding
from sbp_gateway.nspk_refunds import RefundRequest
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import RefundAnswer

router = contract_router("yookassa refunds")

CanRefund = Annotated[Call, needs("refunds:write")]
CanRead = Annotated[Call, needs("orders:read")]
KIND = "yookassa_refunds"
INSTANTS = {"created_at": "date_trunc('milliseconds', r.created_at)"}
NOT_DONE = ("receipt", "sources", "deal", "refund_method_data")


@router.post("/refunds")
async def create_refund(call: CanRefund, body: RefundBody) -> Response:
    """Set the money aside, ask NSPK, and answer what is known; a lost answer is found out by the worker."""
    for name in NOT_DONE:
        if getattr(body, name):
            raise ParameterInvalid(f"{name} is not supported.", parameter=name)
    merchant_id = shop_id_of(call.caller)

    async def intent(session: Session, claim: Claim) -> tuple[str, RefundRequest | None]:
        if claim.attempt_no > 1 and await refund_rows.find_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None
        return claim.resource_id, await _request(session, call, body, claim.resource_id)

    async def act(intended: tuple[str, RefundRequest | None]) -> RefundAnswer | None:
        return None if intended[1] is None else await call.door.wiring.refunds.ask(intended[1], of_try=1)

    async def outcome(
        session: Session, intended: tuple[str, RefundRequest | None], answer: RefundAnswer | None
    ) -> Answer:
        if answer is not None:
            await record_refund_answer(session, intended[0], answer, now=call.now)
        refund = await refunds.load_refund(session, intended[0], merchant_id=merchant_id)
        return said(refunds.refund_object(refund), resource_id=refund.id)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="ref")


async def _request(session: Session, call: Call, body: RefundBody, refund_id: str) -> RefundRequest:
    """The refund of ours, and what the contract keeps beside it."""
    merchant_id = shop_id_of(call.caller)
    payment = await repository.load_payment(session, inner_id("ord", body.payment_id), merchant_id=merchant_id)
    if payment.payment_id is None or payment.status is not PaymentStatus.SUCCEEDED:
        raise ParameterInvalid(
            f"The payment is {payment.status.value}; only succeeded is refunded.", parameter="payment_id"
        )
    wish = RefundWish(
        payment.payment_id, int(body.amount.kopecks), None if body.description is None else body.description[:140],
        is_fee_returned=call.door.settings.sbp_refund_returns_fee,
    )  # fmt: skip
    refund, request = await refunding.request_refund(session, refund_id, wish, merchant_id=merchant_id, now=call.now)
    await refunds.add_refund(session, {
        "refund_id": refund.id, "order_id": payment.order_id, "merchant_id": merchant_id,
        "description": body.description, "metadata": body.metadata, "created_at": call.now,
    })  # fmt: skip
    return request


@router.get("/refunds/{refund_id}")
async def read_refund(refund_id: str, call: CanRead) -> Response:
    """One refund."""
    async with transaction(call.engine) as session:
        refund = await refunds.load_refund(session, inner_id("ref", refund_id), merchant_id=shop_id_of(call.caller))
    return said(refunds.refund_object(refund)).response()


@router.get("/refunds")
async def list_refunds(call: CanRead, request: Request) -> Response:
    """The shop's refunds, newest first."""
    query = read_query(KIND, request.query_params, instants=INSTANTS, exact=frozenset({"status", "payment_id"}))
    if query.exact.get("status") not in (None, *PaymentStatus):
        raise ParameterInvalid("There is no such status.", parameter="status")
    order_id = None
    if "payment_id" in query.exact and (order_id := inner_id("ord", query.exact["payment_id"])) is None:
        raise ParameterInvalid("A payment id is the text of a UUID.", parameter="payment_id")
    async with transaction(call.engine) as session:
        found, has_more = await refunds.list_refunds(
            session, query, merchant_id=shop_id_of(call.caller), order_id=order_id
        )
    items = [refunds.refund_object(refund) for refund in found]
    return said(list_object(KIND, items, found[-1].id if found else None, has_more=has_more)).response()
