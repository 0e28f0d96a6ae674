"""Refunds of tills: no card is scanned, the same ``requestId`` is the same refund, and none is taken back."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api import item_refunding
from api.answers import Answer
from api.contracts.koshelek_pay import repository
from api.contracts.koshelek_pay.answering import Proof, answer_of, let_in
from api.contracts.koshelek_pay.bodies import RefundBody, lines_back, worth_of
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.contracts.koshelek_pay.errors import PaymentNotPaid, RefundAmountWrong
from api.contracts.koshelek_pay.payments import TillPayment, TillPaymentStatus, refund_object
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from api.item_refunding import Money, Returner
from api.routes.installment_plans import actor_of
from checkout import basket_rows, item_refund_rows
from checkout.card_refunding import CardRefundAnswer
from checkout.item_refund_rows import ItemRefundStatus, Returned, quantities
from ledger.database import Session
from ledger.money import Kopecks
from sbp_gateway.refunds import RefundAnswer

router = contract_router("koshelek_pay refunds")

CanRefund = Annotated[Call, needs("refunds:write")]


@router.post("/refund/task")
async def create_refund(call: CanRefund, body: RefundBody, proof: Proof) -> Response:
    """Take goods back and ask the rail for their money; a lost answer is found out by the worker."""
    await let_in(call, body, proof)

    async def intent(session: Session, claim: Claim) -> tuple[str, Money]:
        if claim.attempt_no > 1 and await item_refund_rows.find_item_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        return claim.resource_id, await _begin(session, call, body, claim.resource_id)

    async def act(intended: tuple[str, Money]) -> RefundAnswer | CardRefundAnswer | None:
        wiring = call.door.wiring
        return await item_refunding.ask(wiring.refunds, wiring.cards, intended[1], call.caller.key_id)

    async def outcome(
        session: Session, intended: tuple[str, Money], answer: RefundAnswer | CardRefundAnswer | None
    ) -> Answer:
        await item_refunding.record(session, intended[0], answer, now=call.now)
        return await refund_answer(session, call, body)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="itr")


async def _begin(session: Session, call: Call, body: RefundBody, refund_id: str) -> Money:
    """The goods and their money are set aside, and what the contract keeps stands beside them."""
    found = await repository.load_payment(session, body.paymentTransactionId, merchant_id=merchant_id_of(call))
    if found.status is not TillPaymentStatus.PAID:
        raise PaymentNotPaid()
    wanted, total = await _goods(session, found, body)
    by = Returner(
        found.merchant_id, call.caller.key_id, actor_of(call), call.door.settings.sbp_refund_returns_fee
    )  # fmt: skip
    _, money = await item_refunding.begin(session, refund_id, found.order_id, wanted, by, reason=None, now=call.now)
    await repository.add_refund(session, {
        "refund_id": refund_id, "order_id": found.order_id, "request_id": body.requestId,
        "items": [{"article": item.article, "quantity": item.quantity} for item in body.items],
        "total_kopecks": int(total), "now": call.now,
    })  # fmt: skip
    return money


async def _goods(session: Session, found: TillPayment, body: RefundBody) -> tuple[list[Returned], Kopecks]:
    """The lines that come back and what they cost. Raises: ParameterInvalid, RefundAmountWrong. Locks: the basket."""
    of_order = await basket_rows.lock_basket(session, found.order_id)
    gone = quantities([
        each
        for each in await item_refund_rows.of_order(session, found.order_id)
        if each.status is not ItemRefundStatus.REFUSED
    ])  # fmt: skip
    wanted = lines_back(body.items, of_order.basket, gone)
    total = worth_of(wanted, of_order.basket, gone)
    if total != body.refundAmount:
        raise RefundAmountWrong(f"These items come to {int(total)}.", parameter="refundAmount")
    return wanted, total


async def refund_answer(session: Session, call: Call, body: RefundBody) -> Answer:
    """How the refund of this request stands."""
    found = await repository.load_payment(session, body.paymentTransactionId, merchant_id=merchant_id_of(call))
    refund = next(each for each in found.refunds if each.request_id == body.requestId)
    return answer_of(refund_object(found, refund), refund.id)
