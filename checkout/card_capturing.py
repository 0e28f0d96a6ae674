"""Captures and voids of held money: the intent. The vault's answer is carried out like that of a charge."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from checkout import card_payment_rows as rows
from checkout import till
from checkout.attempts import AttemptStatus
from checkout.card_payments import CardPayment, CardPaymentStatus, advance
from checkout.errors import (
    CardCaptureAboveAmount,
    CardCaptureNotWhole,
    CardPaymentBusy,
    CardPaymentNotAuthorised,
)
from ledger.database import Session
from ledger.money import Kopecks


async def begin_capture(
    session: Session, payment_id: str, amount_kopecks: int | None, *, merchant_id: str | None, now: datetime
) -> CardPayment | None:
    """Write down that held money is to be taken; nothing if that is so already.

    Raises: CardPaymentNotFound, CardPaymentBusy, CardPaymentNotAuthorised, CardCaptureAboveAmount,
    CardCaptureNotWhole. Locks: the payment.
    """
    payment = await rows.load_payment(session, payment_id, merchant_id=merchant_id, lock=True)
    amount = Kopecks(payment.amount if amount_kopecks is None else amount_kopecks)
    if payment.status in (CardPaymentStatus.CAPTURING, CardPaymentStatus.CAPTURED) and payment.capture == amount:
        return None
    _refuse_unheld(payment)
    if not 1 <= amount <= payment.amount:
        raise CardCaptureAboveAmount(amount_kopecks=int(amount), authorised_kopecks=int(payment.amount))
    if payment.attempt_id is not None and amount != payment.amount:
        raise CardCaptureNotWhole(amount_kopecks=int(amount), authorised_kopecks=int(payment.amount))
    capturing = advance(replace(payment, capture=amount, reason=None), CardPaymentStatus.CAPTURING, now=now)
    await rows.save_payment(session, capturing)
    return capturing


async def begin_void(
    session: Session, payment_id: str, *, merchant_id: str | None, now: datetime
) -> CardPayment | None:
    """Write down that held money is to be let go, and end its attempt; nothing if that is so already.

    Raises: CardPaymentNotFound, CardPaymentBusy, CardPaymentNotAuthorised. Locks: the payment, its attempt.
    """
    payment = await rows.load_payment(session, payment_id, merchant_id=merchant_id, lock=True)
    if payment.status in (CardPaymentStatus.VOIDING, CardPaymentStatus.VOIDED):
        return None
    _refuse_unheld(payment)
    voiding = advance(payment, CardPaymentStatus.VOIDING, now=now)
    await rows.save_payment(session, voiding)
    if payment.attempt_id is not None:
        await till.close_attempts(session, [payment.attempt_id], AttemptStatus.EXPIRED)
    return voiding


def _refuse_unheld(payment: CardPayment) -> None:
    if payment.status in (CardPaymentStatus.REQUESTED, CardPaymentStatus.UNKNOWN, CardPaymentStatus.CAPTURING):
        raise CardPaymentBusy(payment_id=payment.id, status=payment.status.value)
    if payment.status is not CardPaymentStatus.AUTHORISED:
        raise CardPaymentNotAuthorised(payment_id=payment.id, status=payment.status.value)
