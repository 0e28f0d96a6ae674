"""Payments: created, read, listed; captured and canceled only where the contract allows it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Request
from starlette.responses import Response

from api.answers import JSON, Answer
from api.cash_link_rail import CashLinkRail
from api.contracts.outer_ids import inner_id, outer_id
from api.contracts.yookassa import repository, tills
from api.contracts.yookassa.bodies import PaymentBody, PosLinkBody, check_payment
from api.contracts.yookassa.entrance import contract_router, shop_id_of
from api.contracts.yookassa.errors import ParameterInvalid, PaymentNotHeld, PaymentProcessing
from api.contracts.yookassa.lists import list_object, read_query
from api.contracts.yookassa.payments import PaymentStatus, YookassaPayment, payment_object
from api.contracts.yookassa.pos_links import find_pos_link
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from api.settings import Mode
from api.wire import read_instant
from checkout import till
from checkout.orders import OrderRequest
from checkout.rail import Offer, Rail, Start, StartStatus
from ledger.database import Session, transaction
from ledger.ids import new_id
from sbp_gateway.cash_links import ACTIVATION_MINUTES_MAX

router = contract_router("yookassa payments")

CanWrite = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]
KIND = "yookassa_payments"
WAITING_FOR_CAPTURE = "waiting_for_capture"
INSTANTS = {
    "created_at": "date_trunc('milliseconds', y.created_at)",
    "captured_at": "date_trunc('milliseconds', s.paid_at)",
}
"""Instants are compared as they are shown."""


@router.post("/payments")
async def create_payment(call: CanWrite, body: PaymentBody) -> Response:
    """Place an order for the till and offer it through SBP, all under one key.

    While NSPK's answer is awaited the answer is ``processing``: the same key asks again.
    """
    check_payment(body)
    rail = rail_of(call, body)

    async def intent(session: Session, claim: Claim) -> tuple[str, Offer | None]:
        if claim.attempt_no > 1 and await _is_placed(session, call, claim.resource_id):
            return claim.resource_id, None
        return claim.resource_id, await _place(session, call, body, rail, claim.resource_id)

    async def act(intended: tuple[str, Offer | None]) -> Start | None:
        offer = intended[1]
        if offer is None:
            return None
        start = await rail.start(offer)
        if start.status is StartStatus.UNKNOWN:  # kept at once: the answer below undoes its own transaction
            async with transaction(call.engine) as session:
                await till.record_start(session, rail, offer, start, now=call.now)
        return start

    async def outcome(session: Session, intended: tuple[str, Offer | None], start: Start | None) -> Answer:
        order_id, offer = intended
        if offer is not None and start is not None and start.status is not StartStatus.UNKNOWN:
            await till.record_start(session, rail, offer, start, now=call.now)
        payment = await repository.load_payment(session, order_id, merchant_id=shop_id_of(call.caller))
        if payment.is_processing:
            raise PaymentProcessing()
        return answer_of(call, payment)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="ord")


async def _is_placed(session: Session, call: Call, order_id: str) -> bool:
    return await repository.find_payment(session, order_id, merchant_id=shop_id_of(call.caller)) is not None


def rail_of(call: Call, body: PaymentBody) -> Rail:
    """A new QR, or the plate that the buyer scans. Raises: ParameterInvalid."""
    if body.pos_link is None:
        return call.door.wiring.rail
    cash_link_id = inner_id("csh", body.pos_link.id)
    assert cash_link_id is not None
    return CashLinkRail(call.door.wiring.sales.nspk, cash_link_id, minutes_of(body.pos_link, call.now))


def minutes_of(given: PosLinkBody, now: datetime) -> int:
    """For how long a plate is armed; a part of a minute counts as one. Raises: ParameterInvalid."""
    if given.expires_at is None:
        return ACTIVATION_MINUTES_MAX
    try:
        left = read_instant(given.expires_at) - now
    except ValueError as error:
        raise ParameterInvalid(f"Give {error}.", parameter="pos_link.expires_at") from None
    minutes = -(-left // timedelta(minutes=1))
    if not 1 <= minutes <= ACTIVATION_MINUTES_MAX:
        raise ParameterInvalid(f"From 1 to {ACTIVATION_MINUTES_MAX} minutes from now.", parameter="pos_link.expires_at")
    return minutes


async def _till_of(session: Session, call: Call, body: PaymentBody) -> tuple[str, str]:
    """The gateway and terminal that are paid: those of the plate, if one is named. Raises: ParameterInvalid."""
    merchant_id = shop_id_of(call.caller)
    wished = body.recipient.gateway_id if body.recipient else None
    if body.pos_link is None:
        gateway_id = wished or tills.DEFAULT_GATEWAY
        return gateway_id, await tills.terminal_of(session, merchant_id, gateway_id, now=call.now)
    cash_link_id = inner_id("csh", body.pos_link.id)
    link = None if cash_link_id is None else await find_pos_link(session, cash_link_id, merchant_id=merchant_id)
    if link is None or not link.is_active:
        raise ParameterInvalid("There is no active cash link with this id.", parameter="pos_link.id")
    if wished not in (None, link.gateway_id):
        raise ParameterInvalid("The cash link is at another gateway.", parameter="recipient.gateway_id")
    return link.gateway_id, link.terminal_id


async def _place(session: Session, call: Call, body: PaymentBody, rail: Rail, order_id: str) -> Offer:
    """The order, its attempt, and what the contract keeps beside them."""
    assert body.confirmation is not None
    merchant_id = shop_id_of(call.caller)
    gateway_id, terminal_id = await _till_of(session, call, body)
    request = OrderRequest(terminal_id, outer_id(order_id), int(body.amount.kopecks), body.description, call.now)
    order = await till.place_order(session, order_id, request, merchant_id=merchant_id, now=call.now)
    attempt, offer = await till.begin_attempt(
        session, rail, new_id("att", call.now), order_id=order.id, merchant_id=merchant_id, now=call.now
    )
    await repository.add_payment(session, {
        "order_id": order.id, "attempt_id": attempt.id, "merchant_id": merchant_id, "gateway_id": gateway_id,
        "confirmation_type": body.confirmation.type, "return_url": body.confirmation.return_url,
        "pos_link_id": inner_id("csh", body.pos_link.id) if body.pos_link else None,
        "customer_id": body.merchant_customer_id, "metadata": body.metadata, "created_at": call.now,
    })  # fmt: skip
    return offer


@router.get("/payments/{payment_id}")
async def read_payment(payment_id: str, call: CanRead) -> Response:
    """One payment."""
    return answer_of(call, await _payment(call, payment_id)).response()


@router.get("/payments")
async def list_payments(call: CanRead, request: Request) -> Response:
    """The shop's payments, newest first."""
    query = read_query(KIND, request.query_params, instants=INSTANTS, exact=frozenset({"status", "payment_method"}))
    if query.exact.get("status") == WAITING_FOR_CAPTURE or query.exact.get("payment_method", "sbp") != "sbp":
        return said(list_object(KIND, [], None, has_more=False)).response()
    if query.exact.get("status") not in (None, *PaymentStatus):
        raise ParameterInvalid("There is no such status.", parameter="status")
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_payments(session, query, merchant_id=shop_id_of(call.caller))
    items = [payment_object(payment, is_test=is_test(call)) for payment in found]
    return said(list_object(KIND, items, found[-1].order_id if found else None, has_more=has_more)).response()


@router.post("/payments/{payment_id}/capture")
@router.post("/payments/{payment_id}/cancel")
async def end_payment(payment_id: str, call: CanWrite) -> Response:
    """Refuse: only a payment with a hold is captured or canceled, and SBP has none.

    A QR once shown cannot be taken back from NSPK; a payment that nobody makes ends by itself.
    """
    payment = await _payment(call, payment_id)
    raise PaymentNotHeld(
        f"The payment is {payment.status.value}; only waiting_for_capture can be captured or canceled, "
        "and SBP has no such status.", parameter="payment_id",
    )  # fmt: skip


async def _payment(call: Call, payment_id: str) -> YookassaPayment:
    async with transaction(call.engine) as session:
        return await repository.load_payment(session, inner_id("ord", payment_id), merchant_id=shop_id_of(call.caller))


def answer_of(call: Call, payment: YookassaPayment) -> Answer:
    """The payment as an answer."""
    return said(payment_object(payment, is_test=is_test(call)), resource_id=payment.order_id)


def is_test(call: Call) -> bool:
    """Whether no real money moves here."""
    return call.door.settings.mode is Mode.SANDBOX


def said(body: dict[str, Any], *, resource_id: str | None = None) -> Answer:
    """An object of the contract on its way out. The contract answers 200 to everything that succeeded."""
    return Answer(200, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), JSON, None, resource_id)
