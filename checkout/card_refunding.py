"""Refunds to cards from the wish to the acquirer's last word. The call to the vault is between the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from checkout import card_payment_rows as rows
from checkout import card_vouchers as vouchers
from checkout import item_refunds, shift_operations
from checkout.card_payments import (
    ANSWER_WAIT,
    CardPayment,
    CardPaymentStatus,
    CardRefund,
    CardRefundStatus,
    advance_refund,
    fee_billed_of,
    wait_before_look,
)
from checkout.errors import (
    CardPaymentNotCaptured,
    CardRefundAboveRest,
    CardRefundAmountNotPositive,
    CardRefundNotCovered,
)
from ledger import outbox
from ledger.database import Session
from ledger.money import Kopecks
from ledger.outbox import Event


@dataclass(frozen=True, slots=True)
class CardRefundAnswer:
    """What the vault says of a refund."""

    status: CardRefundStatus
    """Requested: the vault's own answer was lost, or it was away."""
    refusal: str | None = None
    rrn: str | None = None


async def request_refund(
    session: Session, refund_id: str, payment_id: str, *, amount_kopecks: int | None, reason: str | None,
    merchant_id: str | None, now: datetime,
) -> CardRefund:  # fmt: skip
    """Intent: set the money aside and write the refund down. Nothing is written on a refusal.

    Raises: CardPaymentNotFound, CardPaymentNotCaptured, CardRefundAmountNotPositive, CardRefundAboveRest,
    CardRefundNotCovered. Locks: the payment, then the accounts of the voucher.
    """
    payment = await rows.load_payment(session, payment_id, merchant_id=merchant_id, lock=True)
    amount = amount_of(payment, amount_kopecks)
    billed = await _fee_billed(session, payment, amount)
    hold_id, fee_hold_id = await vouchers.reserve_refund(session, refund_id, payment, amount, billed, now=now)
    refund = CardRefund(
        id=refund_id, payment_id=payment.id, merchant_id=payment.merchant_id, amount=amount, fee_billed=billed,
        reason=reason, status=CardRefundStatus.REQUESTED, refusal=None, rrn=None, hold_id=hold_id,
        fee_hold_id=fee_hold_id, entry_id=None, looks=0, next_look_at=now + ANSWER_WAIT, created_at=now, ended_at=None,
    )  # fmt: skip
    await rows.add_refund(session, refund)
    counted = Kopecks(payment.refunded + amount)
    await rows.save_payment(session, replace(payment, refunded=counted, version=payment.version + 1))
    return refund


def amount_of(payment: CardPayment, amount_kopecks: int | None) -> Kopecks:
    """How much of a payment is given back; all that is left when not said.

    Raises: CardRefundAmountNotPositive, CardPaymentNotCaptured, CardRefundAboveRest.
    """
    if amount_kopecks is not None and amount_kopecks < 1:
        raise CardRefundAmountNotPositive(amount_kopecks=amount_kopecks)
    if payment.status is not CardPaymentStatus.CAPTURED:
        raise CardPaymentNotCaptured(payment_id=payment.id, status=payment.status.value)
    amount = payment.rest if amount_kopecks is None else Kopecks(amount_kopecks)
    if amount == 0 or amount > payment.rest:
        raise CardRefundAboveRest(
            amount_kopecks=int(amount), rest_kopecks=int(payment.rest), captured_kopecks=int(payment.captured)
        )
    return amount


async def _fee_billed(session: Session, payment: CardPayment, amount: Kopecks) -> Kopecks:
    available = await vouchers.available_for(session, payment)
    before = await rows.fee_billed_before(session, payment.id)
    billed = fee_billed_of(payment, amount, available=available, billed_before=before)
    if billed is None:
        raise CardRefundNotCovered(amount_kopecks=int(amount), available_kopecks=max(available, 0))
    return billed


async def record_refund(session: Session, refund_id: str, answer: CardRefundAnswer, *, now: datetime) -> CardRefund:
    """Outcome: what the vault said; a refund that has ended stays as it is.

    Of a refund of goods points and promo code follow, and are locked before the money, as by whoever pays an order.
    Locks: the basket, if it is of goods; the payment, code and points, then the accounts of the voucher.
    """
    is_of_items = await item_refunds.hold(session, refund_id)
    known = await rows.load_refund(session, refund_id)
    payment = await rows.load_payment(session, known.payment_id, lock=True)
    refund = await rows.load_refund(session, refund_id)
    if refund.is_final:
        return refund
    is_open = answer.status in (CardRefundStatus.REQUESTED, CardRefundStatus.UNKNOWN)
    if is_of_items and not is_open:
        is_given = answer.status is CardRefundStatus.SUCCEEDED
        await item_refunds.settle(session, refund_id, is_given=is_given, now=now)
    if is_open:
        refund = _still_open(refund, now)
    elif answer.status is CardRefundStatus.SUCCEEDED:
        entry_id = await vouchers.book_refund(session, refund, now=now)
        refund = advance_refund(replace(refund, rrn=answer.rrn, entry_id=entry_id), answer.status, now=now)
    else:
        await vouchers.release_refund(session, refund, now=now)
        refund = advance_refund(replace(refund, refusal=answer.refusal or "other"), answer.status, now=now)
        left = Kopecks(payment.refunded - refund.amount)
        await rows.save_payment(session, replace(payment, refunded=left, version=payment.version + 1))
    await rows.save_refund(session, refund)
    if refund.status is CardRefundStatus.SUCCEEDED and payment.attempt_id is not None:
        await shift_operations.note_refund(session, refund.id, payment.attempt_id, refund.amount, now=now)
    if refund.is_final:
        await outbox.publish_all(session, [event_of(refund)], now=now)
    return refund


def _still_open(refund: CardRefund, now: datetime) -> CardRefund:
    if refund.status is CardRefundStatus.REQUESTED:
        return advance_refund(refund, CardRefundStatus.UNKNOWN, now=now)
    return replace(refund, next_look_at=now + wait_before_look(refund.looks))


def event_of(refund: CardRefund) -> Event:
    """What the world is told of a refund that has ended."""
    data = {
        "refund_id": refund.id, "payment_id": refund.payment_id, "merchant_id": refund.merchant_id,
        "amount_kopecks": int(refund.amount), "refusal": refund.refusal, "rail": "card",
    }  # fmt: skip
    return Event(f"refund.{refund.status}", refund.id, refund.merchant_id, data)
