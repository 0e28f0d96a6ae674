"""Payments of tills: begun, asked about, canceled before the slip."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api import plan_paying
from api.answers import Answer
from api.bindings import BindingRail
from api.contracts.koshelek_pay import repository
from api.contracts.koshelek_pay.answering import Proof, let_in, told
from api.contracts.koshelek_pay.bodies import CheckoutBody, PaymentType, StatusBody, basket_of
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.contracts.koshelek_pay.error_objects import error_answer
from api.contracts.koshelek_pay.errors import (
    KoshelekPayRejected,
    MethodUnavailable,
    OrderUnknown,
    ParameterInvalid,
    PaymentAccepted,
    PaymentCanceled,
    PaymentDeclined,
    PaymentOver,
    ProviderUnavailable,
    SessionUnknown,
)
from api.contracts.koshelek_pay.payments import TillPayment, TillPaymentStatus
from api.door import Call, needs
from api.idempotency import Claim, in_phases, once
from api.plan_rail import PlanRail
from api.routes.installment_plans import actor_of
from checkout import repository as till_rows
from checkout import till
from checkout.loyalty_errors import PresentmentNotFound
from checkout.merchants import Terminal
from checkout.orders import OrderRequest, OrderStatus
from checkout.presentments import load_presentment
from checkout.rail import Offer, Rail, Start, StartStatus
from checkout.rollout import check_rail
from checkout.tenders import TendersWish
from ledger.database import Session, transaction
from ledger.ids import new_id
from sbp_gateway.errors import NspkUnavailable

router = contract_router("koshelek_pay payments")

CanWrite = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]


@router.post("/checkout/task")
async def create_checkout(call: CanWrite, body: CheckoutBody, proof: Proof) -> Response:
    """Place the order with its tenders and offer it to the buyer, all under one ``requestId``.

    When the bank's answer is lost the payment is PROCESSING: ask for its status, never check out again under
    another order.
    """
    terminal = await let_in(call, body, proof)
    rail = rail_of(call, body)

    async def intent(session: Session, claim: Claim) -> tuple[str, Offer | None]:
        merchant_id = merchant_id_of(call)
        if claim.attempt_no > 1 and await repository.find_payment(session, claim.resource_id, merchant_id=merchant_id):
            return claim.resource_id, None  # we died in the call; the worker finds out
        return claim.resource_id, await _place(session, call, body, terminal, rail, claim.resource_id)

    async def act(intended: tuple[str, Offer | None]) -> Start | None:
        return None if intended[1] is None else await rail.start(intended[1])

    async def outcome(session: Session, intended: tuple[str, Offer | None], start: Start | None) -> Answer:
        order_id, offer = intended
        if offer is not None and start is not None:
            await till.record_start(session, rail, offer, start, now=call.now)
            if start.status is StartStatus.REFUSED:  # not raised: what was written down stays
                return error_answer(refusal_of(start), call.request_id)
        found = await repository.find_payment(session, order_id, merchant_id=merchant_id_of(call))
        assert found is not None, "what was placed is there"
        return await told(session, call, found)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="ord")


def refusal_of(start: Start) -> KoshelekPayRejected:
    """How a rail's no is told."""
    return ProviderUnavailable() if start.reason == NspkUnavailable.code else PaymentDeclined()


def rail_of(call: Call, body: CheckoutBody) -> Rail:
    """By what the buyer pays: a QR of SBP, a charge by the buyer's consent, or a plan. Raises: MethodUnavailable."""
    sbp = call.door.wiring.rail
    if body.paymentType is PaymentType.DOLYAME:
        if body.subscriptionId is not None:
            raise MethodUnavailable(parameter="subscriptionId")
        return PlanRail(call.door.settings, actor_of(call))
    return sbp if body.subscriptionId is None else BindingRail(sbp, body.subscriptionId)


async def _place(
    session: Session, call: Call, body: CheckoutBody, terminal: Terminal, rail: Rail, order_id: str
) -> Offer:
    """The order, its attempt, and what the contract keeps beside them."""
    merchant_id, invoice = merchant_id_of(call), body.invoice
    wish = TendersWish(
        basket_of(invoice), presentment_id=body.sessionId, promo_code=body.promoCode, points=body.points
    )  # fmt: skip
    await check_rail(session, terminal.id, rail.name, now=call.now)
    await _check_session(session, body, terminal)
    request = OrderRequest(terminal.id, invoice.orderId, invoice.totalAmount, None, call.now, invoice.currency)
    order = await till.place_order(session, order_id, request, merchant_id=merchant_id, now=call.now, wish=wish)
    attempt, offer = await till.begin_attempt(
        session, rail, new_id("att", call.now), order_id=order.id, merchant_id=merchant_id, now=call.now
    )
    await repository.add_payment(session, {
        "order_id": order.id, "attempt_id": attempt.id, "merchant_id": merchant_id,
        "payment_type": body.paymentType.value, "session_id": body.sessionId,
        "total_kopecks": invoice.totalAmount, "now": call.now,
    })  # fmt: skip
    return offer


async def _check_session(session: Session, body: CheckoutBody, terminal: Terminal) -> None:
    """The scan that is named was made at this till. Raises: SessionUnknown."""
    if body.sessionId is None:
        return
    try:
        found = await load_presentment(session, body.sessionId, merchant_id=terminal.merchant_id)
    except PresentmentNotFound:
        raise SessionUnknown(parameter="sessionId") from None
    if found.terminal_id != terminal.id or not found.is_payment_available:
        raise SessionUnknown(parameter="sessionId")


@router.post("/status/task")
async def read_status(call: CanRead, body: StatusBody) -> Response:
    """How a payment stands, with its refunds and what is printed for support."""
    async with transaction(call.engine) as session:
        answer = await told(session, call, await find_payment(session, call, body))
    return answer.response()


async def find_payment(session: Session, call: Call, body: StatusBody) -> TillPayment:
    """The payment that is meant. Raises: ParameterInvalid, PaymentUnknown, OrderUnknown."""
    merchant_id = merchant_id_of(call)
    if (body.paymentTransactionId is None) == (body.orderId is None):
        raise ParameterInvalid("Either paymentTransactionId or orderId.", parameter="paymentTransactionId")
    if body.paymentTransactionId is not None:
        return await repository.load_payment(session, body.paymentTransactionId, merchant_id=merchant_id)
    assert body.orderId is not None
    found = await repository.find_by_number(session, body.orderId, merchant_id=merchant_id)
    if found is None:
        raise OrderUnknown(parameter="orderId")
    return found


@router.post("/cancel/task")
async def cancel_payment(call: CanWrite, body: StatusBody) -> Response:
    """End a payment that nobody has made yet. What the buyer pays all the same comes late and goes back by itself."""

    async def work(session: Session, _claim: Claim) -> Answer:
        found = await find_payment(session, call, body)
        plan_ids = await plan_paying.lock_plans_of_order(session, found.order_id)
        locked = await till_rows.lock_order(session, found.order_id, merchant_id=merchant_id_of(call))
        found = await repository.load_payment(session, found.id, merchant_id=merchant_id_of(call))
        refuse_ended(found)
        await till.withdraw_attempts(session, locked)
        await till.cancel_order(session, locked.id, merchant_id=locked.merchant_id, now=call.now)
        await plan_paying.give_up(session, plan_ids, now=call.now)
        done = await repository.load_payment(session, found.id, merchant_id=merchant_id_of(call))
        return await told(session, call, done)

    return await once(call, work, status=200)


def refuse_ended(found: TillPayment) -> None:
    """Refuse to cancel what is over. Raises: PaymentAccepted, PaymentCanceled, PaymentOver."""
    if found.order_status is OrderStatus.PAID:
        raise PaymentAccepted()
    if found.order_status is OrderStatus.CANCELED:
        raise PaymentCanceled()
    if found.status is TillPaymentStatus.DECLINED:
        raise PaymentOver()
