"""Payments by card (платежи картой), by token: of a plan's part or a subscription, captured at once or later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt
from starlette.responses import Response

from api.card_paying import carry_out
from api.card_rail import CardTerms, request_payment
from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.routes.refunds import RefundView, card_refund_view, give_back_to_card
from api.wire import Body, Instant, Text, View
from checkout import card_payment_rows as rows
from checkout.card_capturing import begin_capture, begin_void
from checkout.card_payments import CardPayment, CardPaymentStatus, ChargeAnswer, Initiator
from checkout.errors import AmountNotPositive, AmountTooLarge, MerchantNotFound
from checkout.orders import ORDER_KOPECKS_MAX
from ledger.database import Session, transaction
from ledger.money import Kopecks
from tokenization.charges.response_codes import CASHIER_TIPS, MAY_TRY_AGAIN

router = door_router("/v1/card-payments", "card payments")

CanPay = Annotated[Call, needs("orders:write")]
CanRefund = Annotated[Call, needs("refunds:write")]
CanRead = Annotated[Call, needs("orders:read")]
Id = Annotated[str, Field(strict=True, max_length=40)]


class CardPaymentBody(Body):
    """What to charge, of which card, and who is there."""

    merchant_id: Id
    card_token: Annotated[str, Field(strict=True, max_length=64, examples=["tok_4fzK9aQ7Lr2XbN8yTc5Wd1HgE"])]
    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])]
    capture: StrictBool = True
    """False holds the money; capture or void it later."""
    initiator: Initiator = Initiator.BUYER
    keep_credential: StrictBool = False
    """The buyer agrees that the merchant charges this card later without them."""
    first_payment_id: Id | None = None
    """For the merchant's own charges: the payment at which the buyer agreed."""


class CaptureBody(Body):
    """How much of what is held is taken; all of it when not given."""

    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])] | None = None


class VoidBody(Body):
    """Nothing to say: what is held is let go."""


class CardRefundBody(Body):
    """What to give back; all that is left when not given."""

    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])] | None = None
    reason: Annotated[Text, Field(min_length=1, max_length=140)] | None = None


class CardPaymentView(View):
    """A payment by card as it stands; ``unknown`` is an answer too: read it again later."""

    id: str
    merchant_id: str
    attempt_id: str | None
    first_payment_id: str | None
    card_token: str
    card_mask: str | None
    amount_kopecks: int
    captured_kopecks: int
    refunded_kopecks: int
    """Given back, or set aside for refunds under way."""
    fee_kopecks: int
    currency: str
    initiator: Initiator
    keep_credential: bool
    status: CardPaymentStatus
    reason: str | None
    """Why it was refused, in our words."""
    cashier_tip: str | None
    """What the cashier does next, in Russian."""
    may_try_again: bool
    rrn: str | None
    """The acquirer's number of it, for its support."""
    approval_code: str | None
    created_at: Instant
    captured_at: Instant | None
    version: int

    @classmethod
    def of(cls, payment: CardPayment) -> CardPaymentView:
        """The payment as it is shown."""
        tips = {reason.value: tip for reason, tip in CASHIER_TIPS.items()}
        return cls(
            id=payment.id, merchant_id=payment.merchant_id, attempt_id=payment.attempt_id,
            first_payment_id=payment.first_payment_id, card_token=payment.card_token, card_mask=payment.card_mask,
            amount_kopecks=int(payment.amount), captured_kopecks=int(payment.captured),
            refunded_kopecks=int(payment.refunded), fee_kopecks=int(payment.fee), currency="RUB",
            initiator=payment.initiator, keep_credential=payment.is_credential_kept, status=payment.status,
            reason=payment.reason, cashier_tip=tips.get(payment.reason or ""),
            may_try_again=payment.reason in MAY_TRY_AGAIN, rrn=payment.rrn, approval_code=payment.approval_code,
            created_at=payment.created_at, captured_at=payment.captured_at, version=payment.version,
        )  # fmt: skip


@router.post("", status_code=201, response_model=CardPaymentView)
async def create_card_payment(body: CardPaymentBody, call: CanPay) -> Response:
    """Charge a card by its token. Intent: written down. Call: the vault asks the acquirer. Outcome: booked.

    When an answer is lost the payment is ``unknown``: the vault reverses it, and it ends ``refused``, or it is found
    to have been carried out. It is never charged twice.
    """

    async def intent(session: Session, claim: Claim) -> Intended:
        if claim.attempt_no > 1 and await rows.find_payment(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        _check(body, call)
        terms = CardTerms(
            body.card_token, body.capture, body.initiator, body.keep_credential, body.first_payment_id
        )  # fmt: skip
        amount = Kopecks(body.amount_kopecks)
        payment = await request_payment(session, claim.resource_id, body.merchant_id, amount, terms, now=call.now)
        return payment.id, payment

    return await in_phases(
        call, intent=intent, act=_ask(call), outcome=_carried_out(call), prefix="cpy", location="/v1/card-payments/{id}"
    )


def _check(body: CardPaymentBody, call: Call) -> None:
    if not call.caller.sees(body.merchant_id):
        raise MerchantNotFound(merchant_id=body.merchant_id)
    if body.amount_kopecks < 1:
        raise AmountNotPositive(amount_kopecks=body.amount_kopecks)
    if body.amount_kopecks > ORDER_KOPECKS_MAX:
        raise AmountTooLarge(amount_kopecks=body.amount_kopecks, amount_kopecks_max=ORDER_KOPECKS_MAX)


@router.post("/{payment_id}/capture", status_code=200, response_model=CardPaymentView)
async def capture_card_payment(payment_id: str, body: CaptureBody, call: CanPay) -> Response:
    """Take the money held, or a part of it; the rest is let go. Of an order's payment all of it."""

    async def intent(session: Session, _claim: Claim) -> Intended:
        return payment_id, await begin_capture(
            session, payment_id, body.amount_kopecks, merchant_id=call.caller.merchant_id, now=call.now
        )

    return await in_phases(call, intent=intent, act=_ask(call), outcome=_carried_out(call), status=200)


@router.post("/{payment_id}/void", status_code=200, response_model=CardPaymentView)
async def void_card_payment(payment_id: str, body: VoidBody, call: CanPay) -> Response:
    """Let the money go that is held. What was captured is refunded instead."""
    del body

    async def intent(session: Session, _claim: Claim) -> Intended:
        return payment_id, await begin_void(session, payment_id, merchant_id=call.caller.merchant_id, now=call.now)

    return await in_phases(call, intent=intent, act=_ask(call), outcome=_carried_out(call), status=200)


@router.post("/{payment_id}/refunds", status_code=201, response_model=RefundView)
async def refund_card_payment(payment_id: str, body: CardRefundBody, call: CanRefund) -> Response:
    """Give money back to the card, in part and repeatedly; the same as ``POST /v1/refunds`` with the payment named."""
    return await give_back_to_card(call, payment_id, body.amount_kopecks, body.reason)


@router.get("/{payment_id}/refunds")
async def list_card_refunds(payment_id: str, call: CanRead) -> list[RefundView]:
    """The refunds of a payment, oldest first."""
    async with transaction(call.engine) as session:
        payment = await rows.load_payment(session, payment_id, merchant_id=call.caller.merchant_id)
        found = await rows.list_refunds(session, payment_ids=[payment.id], merchant_id=None)
        return [await card_refund_view(session, refund) for refund in found]


@router.get("/{payment_id}")
async def read_card_payment(payment_id: str, call: CanRead) -> CardPaymentView:
    """One payment by card."""
    async with transaction(call.engine) as session:
        return CardPaymentView.of(await rows.load_payment(session, payment_id, merchant_id=call.caller.merchant_id))


@router.get("")
async def list_card_payments(
    call: CanRead,
    merchant_id: str | None = None,
    status: CardPaymentStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[CardPaymentView]:
    """Payments by card, oldest first."""
    whose, start = call.caller.merchant_id or merchant_id, read_cursor("card-payments", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_payments(session, merchant_id=whose, status=status, after=start, limit=limit)
    views = [CardPaymentView.of(payment) for payment in found]
    return page_of("card-payments", views, has_more, views[-1].id if views else None, after)


Intended = tuple[str, CardPayment | None]


def _ask(call: Call) -> Callable[[Intended], Awaitable[ChargeAnswer | None]]:
    """The call: whatever the payment waits for, unless nothing is new."""

    async def act(intended: Intended) -> ChargeAnswer | None:
        return None if intended[1] is None else await call.door.wiring.cards.ask(intended[1], call.caller.key_id)

    return act


def _carried_out(call: Call) -> Callable[[Session, Intended, ChargeAnswer | None], Awaitable[CardPaymentView]]:
    """The outcome: what the vault said, carried out in one transaction."""

    async def outcome(session: Session, intended: Intended, answer: ChargeAnswer | None) -> CardPaymentView:
        if answer is None or intended[1] is None:
            return CardPaymentView.of(await rows.load_payment(session, intended[0]))
        return CardPaymentView.of(await carry_out(session, intended[1], answer, now=call.now))

    return outcome
