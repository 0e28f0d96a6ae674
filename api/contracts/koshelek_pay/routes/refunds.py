"""Refunds of tills: no card is scanned, the same ``requestId`` is the same refund, and none is taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from api.answers import Answer
from api.contracts.koshelek_pay import repository
from api.contracts.koshelek_pay.answering import answer_of, let_in
from api.contracts.koshelek_pay.bodies import RefundBody, quantities_of
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.contracts.koshelek_pay.errors import TransactionNotPaid
from api.contracts.koshelek_pay.payments import TransactionStatus, refund_object
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from ledger.database import Session
from sbp_gateway import refund_rows, refunding
from sbp_gateway.nspk_refunds import RefundRequest
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import RefundAnswer

router = contract_router("koshelek_pay refunds")

CanRefund = Annotated[Call, needs("refunds:write")]
Token = Annotated[str | None, Header(max_length=100)]


@router.post("/refund/task")
async def create_refund(call: CanRefund, body: RefundBody, token: Token = None) -> Response:
    """Set the money aside, ask the bank, and answer what is known; a lost answer is found out by the worker."""
    await let_in(call, body, token)
    quantities_of(body.items)

    async def intent(session: Session, claim: Claim) -> tuple[str, RefundRequest | None]:
        if claim.attempt_no > 1 and await refund_rows.find_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        return claim.resource_id, await _request(session, call, body, claim.resource_id)

    async def act(intended: tuple[str, RefundRequest | None]) -> RefundAnswer | None:
        return None if intended[1] is None else await call.door.wiring.refunds.ask(intended[1], of_try=1)

    async def outcome(
        session: Session, intended: tuple[str, RefundRequest | None], answer: RefundAnswer | None
    ) -> Answer:
        if answer is not None:
            await refunding.record_answer(session, intended[0], answer, now=call.now)
        return await refund_answer(session, call, body)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="ref")


async def _request(session: Session, call: Call, body: RefundBody, refund_id: str) -> RefundRequest:
    """The refund of ours, and what the contract keeps beside it."""
    merchant_id = merchant_id_of(call)
    found = await repository.load_transaction(session, body.paymentTransactionId, merchant_id=merchant_id)
    if found.payment_id is None or found.status is not TransactionStatus.PAID:
        raise TransactionNotPaid()
    wish = RefundWish(
        found.payment_id, body.refundAmount, is_fee_returned=call.door.settings.sbp_refund_returns_fee
    )  # fmt: skip
    refund, request = await refunding.request_refund(session, refund_id, wish, merchant_id=merchant_id, now=call.now)
    await repository.add_refund(session, {
        "refund_id": refund.id, "order_id": found.order_id, "request_id": body.requestId,
        "items": [{"article": item.article, "quantity": item.quantity} for item in body.items], "now": call.now,
    })  # fmt: skip
    return request


async def refund_answer(session: Session, call: Call, body: RefundBody) -> Answer:
    """How the refund of this request stands."""
    found = await repository.load_transaction(session, body.paymentTransactionId, merchant_id=merchant_id_of(call))
    refund = next(each for each in found.refunds if each.request_id == body.requestId)
    return answer_of(refund_object(found, refund), refund.id)
