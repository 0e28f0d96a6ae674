"""The moment a card is charged: payment, till, tariff, events and books in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from checkout import card_payment_rows as rows
from checkout import card_vouchers, till
from checkout import repository as till_rows
from checkout.attempts import ALLOWED as ATTEMPT_ALLOWED
from checkout.attempts import AttemptStatus, OfOrder
from checkout.card_payments import (
    ALLOWED,
    CardPayment,
    CardPaymentStatus,
    ChargeAnswer,
    ChargeNews,
    advance,
    look_again,
)
from ledger import outbox
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.ids import new_uuid
from ledger.money import Kopecks
from ledger.outbox import Event
from reconciliation import repository as finance
from reconciliation.tariffs import fee_for, tariff_on

RAIL = "card"


async def carry_out(session: Session, asked: CardPayment, answer: ChargeAnswer, *, now: datetime) -> CardPayment:
    """Do what the vault's answer means for a payment, its attempt and the books. An answer come twice does nothing.

    ``asked``: the payment as it stood when the vault was asked. If it has moved since, the answer is old news; whoever
    moved it asks again. Money taken or held for an attempt that is over is let go before it is booked anywhere.
    Raises: NoTariff; EntryRejected. Locks: the payment, its order and attempt, accounts.
    """
    payment = await rows.load_payment(session, asked.id, lock=True)
    if payment.version != asked.version:
        return payment
    to = status_after(payment, answer)
    if to is None:
        if payment.status in WAITING and answer.news is ChargeNews.PENDING:
            await rows.save_payment(session, look_again(payment, now=now))
        return payment
    payment = replace(
        payment, reason=answer.reason, card_mask=answer.card_mask or payment.card_mask,
        acquirer_id=answer.acquirer_id or payment.acquirer_id, rrn=answer.rrn or payment.rrn,
        approval_code=answer.approval_code or payment.approval_code,
    )  # fmt: skip
    of_order = await _of_order(session, payment, to)
    if of_order is not None and not of_order.is_payable:
        to = CardPaymentStatus.VOIDING
    payment = await _moved(session, payment, to, answer, now)
    await rows.save_payment(session, payment)
    await _end(session, payment, of_order, now)
    return payment


WAITING = frozenset({
    CardPaymentStatus.UNKNOWN, CardPaymentStatus.CAPTURING, CardPaymentStatus.VOIDING, CardPaymentStatus.REQUESTED,
})  # fmt: skip
_STATUS_OF = {
    ChargeNews.AUTHORISED: CardPaymentStatus.AUTHORISED,
    ChargeNews.CAPTURED: CardPaymentStatus.CAPTURED,
    ChargeNews.REFUSED: CardPaymentStatus.REFUSED,
    ChargeNews.VOIDED: CardPaymentStatus.VOIDED,
    ChargeNews.PENDING: CardPaymentStatus.UNKNOWN,
}


def status_after(payment: CardPayment, answer: ChargeAnswer) -> CardPaymentStatus | None:
    """Where an answer brings a payment; nothing when it means nothing to it."""
    to = _STATUS_OF[answer.news]
    return to if to in ALLOWED[payment.status] else None


async def _of_order(session: Session, payment: CardPayment, to: CardPaymentStatus) -> OfOrder | None:
    """The order and attempt that money has come for, locked; the attempt waits for it now. Nothing if it is over."""
    if payment.status is CardPaymentStatus.VOIDING:  # the acquirer keeps it: the merchant refunds it
        return None
    if payment.attempt_id is None or to not in (CardPaymentStatus.AUTHORISED, CardPaymentStatus.CAPTURED):
        return None
    come_from = [status for status in AttemptStatus if AttemptStatus.WAITING in ATTEMPT_ALLOWED[status]]
    await till_rows.lock_with_orders(session, [payment.attempt_id])
    await till_rows.move_attempt(session, payment.attempt_id, AttemptStatus.WAITING, come_from)
    return (await till_rows.lock_with_orders(session, [payment.attempt_id]))[payment.attempt_id]


async def _moved(
    session: Session, payment: CardPayment, to: CardPaymentStatus, answer: ChargeAnswer, now: datetime
) -> CardPayment:
    if to is not CardPaymentStatus.CAPTURED:
        moved = advance(payment, to, now=now)
        return replace(moved, next_look_at=now) if to is CardPaymentStatus.VOIDING else moved
    captured = Kopecks(answer.captured_kopecks)
    fee = await fee_of(session, payment.merchant_id, captured, now)
    taken = replace(payment, captured=captured, fee=fee, captured_at=now, entry_id=new_uuid(now))
    return advance(taken, to, now=now)


async def fee_of(session: Session, merchant_id: str, amount: Kopecks, now: datetime) -> Kopecks:
    """Our fee by the tariff of the day. Raises: NoTariff, MerchantNotFound."""
    merchant = await till_rows.load_merchant(session, merchant_id)
    tariffs = await finance.load_tariffs(session, RAIL)
    tariff = tariff_on(tariffs, tariff_group=merchant.tariff_group, rail=RAIL, on=moscow_day(now))
    return fee_for(tariff, amount)


async def _end(session: Session, payment: CardPayment, of_order: OfOrder | None, now: datetime) -> None:
    """What follows from a payment's new status: the order, the books, events."""
    if payment.status is CardPaymentStatus.CAPTURED:
        events = [event_of(payment)]
        if of_order is not None:
            await till.pay_orders(session, [(of_order, payment.id)], now=now)
            events.append(order_paid_event(payment, of_order))
        await outbox.publish_all(session, events, now=now)
        await card_vouchers.book_capture(session, payment, now=now)
        return
    if payment.attempt_id is not None and payment.status in _ATTEMPT_AFTER:
        await till.close_attempts(session, [payment.attempt_id], _ATTEMPT_AFTER[payment.status])
    if payment.status in _TOLD:
        await outbox.publish_all(session, [event_of(payment)], now=now)


_ATTEMPT_AFTER = {
    CardPaymentStatus.UNKNOWN: AttemptStatus.UNKNOWN,
    CardPaymentStatus.REFUSED: AttemptStatus.REJECTED,
    CardPaymentStatus.VOIDING: AttemptStatus.EXPIRED,
    CardPaymentStatus.VOIDED: AttemptStatus.EXPIRED,
}
_TOLD = frozenset({CardPaymentStatus.AUTHORISED, CardPaymentStatus.REFUSED, CardPaymentStatus.VOIDED})


def event_of(payment: CardPayment) -> Event:
    """What the world is told about a payment by card: a token and a mask, never a number."""
    data = {
        "payment_id": payment.id, "merchant_id": payment.merchant_id, "attempt_id": payment.attempt_id,
        "card_token": payment.card_token, "card_mask": payment.card_mask, "amount_kopecks": int(payment.amount),
        "captured_kopecks": int(payment.captured), "fee_kopecks": int(payment.fee), "reason": payment.reason,
        "initiator": payment.initiator.value,
    }  # fmt: skip
    return Event(f"card_payment.{payment.status}", payment.id, payment.merchant_id, data)


def order_paid_event(payment: CardPayment, of_order: OfOrder) -> Event:
    """What the world is told about an order paid by card."""
    order = of_order.order
    data = {
        "order_id": order.id, "order_number": order.number, "merchant_id": order.merchant_id,
        "attempt_id": payment.attempt_id, "payment_id": payment.id, "amount_kopecks": int(payment.captured),
        "fee_kopecks": int(payment.fee), "rail": of_order.attempt.rail,
        "paid_at": None if payment.captured_at is None else payment.captured_at.isoformat(),
    }  # fmt: skip
    return Event("order.paid", order.id, order.merchant_id, data)


async def let_withdrawn_go(session: Session, *, now: datetime) -> int:
    """Begin to let go of money held for attempts that are over. Locks: the payments."""
    held = await rows.lock_withdrawn(session)
    for payment in held:
        voiding = replace(advance(payment, CardPaymentStatus.VOIDING, now=now), next_look_at=now)
        await rows.save_payment(session, voiding)
    return len(held)
