"""Refunds (возвраты): money back to the buyer of an SBP payment, whole or in part, repeatedly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StrictInt, model_validator
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.refund_outcomes import record_refund_answer
from api.wire import Body, Instant, Text, View
from checkout import card_payment_rows as card_rows
from checkout import card_refunding, item_refunds
from checkout import repository as till_rows
from checkout.card_payments import CardRefund, CardRefundStatus
from checkout.card_refunding import CardRefundAnswer
from checkout.errors import OrderNotPaid
from ledger.database import Session, transaction
from sbp_gateway import refund_rows, refunding
from sbp_gateway.errors import RefundNotRoubles
from sbp_gateway.nspk_refunds import RefundRequest
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import REASON_CHARACTERS_MAX, Refund, RefundAnswer, RefundStatus, next_allowed_at

router = door_router("/v1/refunds", "refunds")
OF_CARDS = "cpy_"
"""How the id of a payment begins that the vault charged, whichever rail asked for it."""

CanRefund = Annotated[Call, needs("refunds:write")]
CanRead = Annotated[Call, needs("orders:read")]
Id = Annotated[str, Field(strict=True, max_length=40)]


class RefundBody(Body):
    """What to give back: of an order or of a payment, all that is left or a part of it."""

    order_id: Id | None = None
    payment_id: Id | None = None
    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])] | None = None
    """All that is left when not given."""
    currency: Annotated[str, Field(strict=True, max_length=8, examples=["RUB"])] = "RUB"
    reason: Annotated[Text, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)] | None = None

    @model_validator(mode="after")
    def _names_one(self) -> RefundBody:
        if (self.order_id is None) == (self.payment_id is None):
            raise ValueError("name either order_id or payment_id")
        return self


class RefundView(View):
    """A refund as it stands; ``unknown`` is an answer too: read it again later."""

    id: str
    rail: str = "sbp"
    """Which way the money goes back: the way it came."""
    payment_id: str
    order_id: str | None
    merchant_id: str
    amount_kopecks: int
    fee_returned_kopecks: int
    """What of it our fee pays."""
    fee_billed_kopecks: int
    """What of it the merchant owes us from now on: our fee, which it had no money left to bear."""
    currency: str
    reason: str | None
    status: RefundStatus | CardRefundStatus
    is_final: bool
    is_automatic: bool
    agent_refund_request_id: str
    """The id under which NSPK, or the acquirer, knows our request."""
    opkc_refund_request_id: str | None
    """NSPK's own id of it."""
    trx_id: str | None
    """NSPK's id of the operation that gave the money back; of a card the acquirer's number of it."""
    refusal_code: str | None
    refusal_message: str | None
    next_allowed_at: Instant | None
    """From when NSPK may be asked to refund this payment again; empty when it may be now."""
    created_at: Instant
    ended_at: Instant | None


@router.post("", status_code=201, response_model=RefundView)
async def create_refund(body: RefundBody, call: CanRefund) -> Response:
    """Give money back. Intent: it is set aside. Call: NSPK is asked. Outcome: what NSPK said.

    The bank decides and the money moves later; read the refund again, or listen to ``refund.succeeded``,
    ``refund.refused`` and ``refund.failed``. When NSPK's answer is lost the refund is ``unknown``.
    """

    if (by_card := await _card_payment_of(body, call)) is not None:
        _refuse_other_money(body.currency)
        return await give_back_to_card(call, by_card, body.amount_kopecks, body.reason)

    async def intent(session: Session, claim: Claim) -> tuple[str, RefundRequest | None]:
        if claim.attempt_no > 1 and await refund_rows.find_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        _refuse_other_money(body.currency)
        payment_id = await _payment_of(session, body, call)
        wish = RefundWish(
            payment_id, body.amount_kopecks, body.reason,
            is_fee_returned=call.door.settings.sbp_refund_returns_fee,
        )  # fmt: skip
        refund, request = await refunding.request_refund(
            session, claim.resource_id, wish, merchant_id=call.caller.merchant_id, now=call.now
        )
        paid = await refund_rows.attempts_of_payments(session, [payment_id])
        await _refuse_baskets(session, payment_id, paid.get(payment_id))
        return refund.id, request

    async def act(intended: tuple[str, RefundRequest | None]) -> RefundAnswer | None:
        return None if intended[1] is None else await call.door.wiring.refunds.ask(intended[1], of_try=1)

    async def outcome(
        session: Session, intended: tuple[str, RefundRequest | None], answer: RefundAnswer | None
    ) -> RefundView:
        if answer is None:
            refund = await refund_rows.load_refund(session, intended[0])
        else:
            refund = await record_refund_answer(session, intended[0], answer, now=call.now)
        return (await _views(call, session, [refund]))[0]

    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="ref", location="/v1/refunds/{id}")


def _refuse_other_money(currency: str) -> None:
    if currency != "RUB":
        raise RefundNotRoubles(currency_expected="RUB")


async def _refuse_baskets(session: Session, payment_id: str, attempt_id: str | None) -> None:
    """What paid for goods is given back by goods; money that came late is not. Raises: RefundByItems."""
    attempt = None if attempt_id is None else await till_rows.load_attempt(session, attempt_id)
    if attempt is not None and attempt.payment_id == payment_id:
        await item_refunds.refuse_other(session, [attempt.order_id])


async def _card_payment_of(body: RefundBody, call: Call) -> str | None:
    """The payment by card that is meant; nothing if it was paid another way, or not at all."""
    if body.order_id is None:
        return body.payment_id if (body.payment_id or "").startswith(OF_CARDS) else None
    async with transaction(call.engine) as session:
        attempts = await till_rows.attempts_of_orders(session, [body.order_id])
    paid = [each.payment_id for each in attempts if each.payment_id is not None]
    return next((each for each in paid if each.startswith(OF_CARDS)), None)  # a buyer's device is a card's rail too


async def give_back_to_card(call: Call, payment_id: str, amount_kopecks: int | None, reason: str | None) -> Response:
    """Give money back to a card. Intent: it is set aside. Call: the vault asks the acquirer. Outcome: booked."""

    async def intent(session: Session, claim: Claim) -> tuple[str, CardRefund | None]:
        if claim.attempt_no > 1 and await card_rows.find_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        payment = await card_rows.load_payment(session, payment_id, merchant_id=call.caller.merchant_id)
        await _refuse_baskets(session, payment.id, payment.attempt_id)
        refund = await card_refunding.request_refund(
            session, claim.resource_id, payment_id, amount_kopecks=amount_kopecks, reason=reason,
            merchant_id=call.caller.merchant_id, now=call.now,
        )  # fmt: skip
        return refund.id, refund

    async def act(intended: tuple[str, CardRefund | None]) -> CardRefundAnswer | None:
        return None if intended[1] is None else await call.door.wiring.cards.ask_refund(intended[1], call.caller.key_id)

    async def outcome(
        session: Session, intended: tuple[str, CardRefund | None], answer: CardRefundAnswer | None
    ) -> RefundView:
        if answer is None:
            return await card_refund_view(session, await card_rows.load_refund(session, intended[0]))
        refund = await card_refunding.record_refund(session, intended[0], answer, now=call.now)
        return await card_refund_view(session, refund)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="ref", location="/v1/refunds/{id}")


async def card_refund_view(session: Session, refund: CardRefund) -> RefundView:
    """A refund to a card as it is shown."""
    payment = await card_rows.load_payment(session, refund.payment_id)
    attempts = [] if payment.attempt_id is None else [payment.attempt_id]
    orders = await till_rows.orders_of_attempts(session, attempts)
    return RefundView(
        id=refund.id, rail="card", payment_id=refund.payment_id, order_id=orders.get(payment.attempt_id or ""),
        merchant_id=refund.merchant_id, amount_kopecks=int(refund.amount), fee_returned_kopecks=0,
        fee_billed_kopecks=int(refund.fee_billed), currency="RUB", reason=refund.reason, status=refund.status,
        is_final=refund.is_final, is_automatic=False, agent_refund_request_id=refund.id,
        opkc_refund_request_id=None, trx_id=refund.rrn, refusal_code=refund.refusal, refusal_message=None,
        next_allowed_at=None, created_at=refund.created_at, ended_at=refund.ended_at,
    )  # fmt: skip


async def _payment_of(session: Session, body: RefundBody, call: Call) -> str:
    """The payment named, or the one that paid the order named. Raises: OrderNotFound, OrderNotPaid."""
    if body.payment_id is not None:
        return body.payment_id
    assert body.order_id is not None
    order = await till_rows.load_order(session, body.order_id, merchant_id=call.caller.merchant_id)
    attempts = await till_rows.attempts_of_orders(session, [order.id])
    paid = [attempt.payment_id for attempt in attempts if attempt.payment_id is not None]
    if not paid:
        raise OrderNotPaid(order_id=order.id, status=order.status.value)
    return paid[0]


@router.get("/{refund_id}")
async def read_refund(refund_id: str, call: CanRead) -> RefundView:
    """One refund."""
    async with transaction(call.engine) as session:
        by_card = await card_rows.find_refund(session, refund_id)
        if by_card is not None and call.caller.merchant_id in (None, by_card.merchant_id):
            return await card_refund_view(session, by_card)
        refund = await refund_rows.load_refund(session, refund_id, merchant_id=call.caller.merchant_id)
        return (await _views(call, session, [refund]))[0]


@router.get("")
async def list_refunds(
    call: CanRead,
    order_id: str | None = None,
    payment_id: str | None = None,
    merchant_id: str | None = None,
    status: RefundStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[RefundView]:
    """Refunds, oldest first; of an order also those of its late payments."""
    start = read_cursor("refunds", after) or ""
    async with transaction(call.engine) as session:
        payments = None if payment_id is None else [payment_id]
        if order_id is not None:
            order = await till_rows.load_order(session, order_id, merchant_id=call.caller.merchant_id)
            attempts = [attempt.id for attempt in await till_rows.attempts_of_orders(session, [order.id])]
            of_order = await refund_rows.payments_of_attempts(session, attempts)
            payments = [each for each in of_order if payment_id in (None, each)]
        whose = call.caller.merchant_id or merchant_id
        found, has_more = await refund_rows.list_refunds(
            session, payment_ids=payments, merchant_id=whose, status=status, after=start, limit=limit
        )
        cards = await _refunds_to_cards(session, payment_id, order_id, whose, status, start, limit)
        views = await _views(call, session, found) + cards
    views.sort(key=lambda view: view.id)
    has_more, views = has_more or len(views) > limit, views[:limit]
    return page_of("refunds", views, has_more, views[-1].id if views else None, after)


async def _refunds_to_cards(
    session: Session, payment_id: str | None, order_id: str | None, merchant_id: str | None,
    status: RefundStatus | None, start: str, limit: int,
) -> list[RefundView]:  # fmt: skip
    """The same of refunds to cards, one more than asked for when there are more."""
    if status is not None and status.value not in [each.value for each in CardRefundStatus]:
        return []
    payments = None if payment_id is None else [payment_id]
    if order_id is not None:
        attempts = await till_rows.attempts_of_orders(session, [order_id])
        paid = [each.payment_id for each in attempts if each.payment_id is not None]
        payments = [each for each in paid if payment_id in (None, each)]
    found = await card_rows.list_refunds(
        session, payment_ids=payments, merchant_id=merchant_id, after=start, limit=limit,
        status=None if status is None else CardRefundStatus(status.value),
    )  # fmt: skip
    return [await card_refund_view(session, refund) for refund in found]


async def _views(call: Call, session: Session, refunds: Sequence[Refund]) -> list[RefundView]:
    payments = list({refund.payment_id for refund in refunds})
    attempts = await refund_rows.attempts_of_payments(session, payments)
    orders = await till_rows.orders_of_attempts(session, list(attempts.values()))
    tries = await refund_rows.tries_of_payments(session, payments, call.now)
    allowed = {payment: next_allowed_at(tries.get(payment, []), call.now) for payment in payments}
    return [
        RefundView(
            id=refund.id, payment_id=refund.payment_id, order_id=orders.get(attempts.get(refund.payment_id, "")),
            merchant_id=refund.merchant_id, amount_kopecks=int(refund.amount),
            fee_returned_kopecks=int(refund.fee_returned), fee_billed_kopecks=int(refund.fee_billed),
            currency="RUB", reason=refund.reason,
            status=refund.status, is_final=refund.is_final, is_automatic=refund.is_automatic,
            agent_refund_request_id=refund.agent_request_id, opkc_refund_request_id=refund.opkc_request_id,
            trx_id=refund.trx_id, refusal_code=refund.refusal_code, refusal_message=refund.refusal_message,
            next_allowed_at=allowed[refund.payment_id] if allowed[refund.payment_id] > call.now else None,
            created_at=refund.created_at, ended_at=refund.ended_at,
        )
        for refund in refunds
    ]  # fmt: skip
