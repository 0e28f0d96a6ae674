"""Refunds from our wish to NSPK's last word: intent, call, outcome. Calls are made in ``api.refund_calls``.

``request_refund`` writes the intent down with the money set aside; ``begin_try`` counts each request that
is about to leave; ``record_answer`` is the one place where NSPK's word changes a refund and the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ledger import outbox
from ledger.database import Session
from ledger.ids import new_uuid
from ledger.money import Kopecks
from ledger.outbox import Event
from sbp_gateway import refund_rows as rows
from sbp_gateway import refund_vouchers as vouchers
from sbp_gateway.errors import (
    PaymentLate,
    PaymentRefunded,
    RefundAboveRest,
    RefundAmountNotPositive,
    RefundNotCovered,
    RefundTooSoon,
)
from sbp_gateway.nspk_refunds import RefundRequest
from sbp_gateway.refunds import (
    ANSWER_WAIT,
    FINAL,
    LATE_REFUNDS_MAX,
    Refund,
    RefundablePayment,
    RefundAnswer,
    RefundCover,
    RefundNews,
    RefundStatus,
    advance,
    cover_of,
    fee_to_return,
    is_old,
    next_allowed_at,
    status_after,
    wait_before_late_refund,
    wait_before_look,
)


@dataclass(frozen=True, slots=True)
class RefundWish:
    """What somebody wants to give back."""

    payment_id: str
    amount_kopecks: int | None = None
    """All that is left when not given."""
    reason: str | None = None
    is_automatic: bool = False
    """Of late money, by the worker."""
    is_fee_returned: bool = False
    """Our fee pays for its share of the refund."""


async def request_refund(
    session: Session, refund_id: str, wish: RefundWish, *, merchant_id: str | None, now: datetime
) -> tuple[Refund, RefundRequest]:
    """Intent: set the money aside, write the refund down, and say what to ask NSPK. Nothing is written on a refusal.

    Raises: PaymentNotFound, PaymentLate, PaymentRefunded, RefundAmountNotPositive, RefundAboveRest,
    RefundTooSoon, RefundNotCovered. Locks: the payment, then the accounts of the voucher.
    """
    payment = await rows.lock_payment(session, wish.payment_id, merchant_id=merchant_id)
    await _refuse_late(session, payment, wish)
    amount = amount_of(payment, wish)
    await _refuse_too_soon(session, payment, now)
    cover = await _cover(session, payment, amount, wish)
    hold_id, fee_hold_id = await vouchers.reserve(session, refund_id, payment, cover, now=now)

    refund = _new_refund(refund_id, payment, wish, amount, cover, now)
    refund = replace(refund, hold_id=hold_id, fee_hold_id=fee_hold_id)
    await rows.add_refund(session, refund, next_look_at=now + ANSWER_WAIT)
    return await _count_try(session, refund, now), request_of(refund, payment)


def amount_of(payment: RefundablePayment, wish: RefundWish) -> Kopecks:
    """How much of a payment is given back.

    Raises: RefundAmountNotPositive, PaymentRefunded, RefundAboveRest.
    """
    if wish.amount_kopecks is not None and wish.amount_kopecks < 1:
        raise RefundAmountNotPositive(amount_kopecks=wish.amount_kopecks)
    if payment.rest == 0:
        raise PaymentRefunded(payment_id=payment.id, paid_kopecks=int(payment.amount))
    if wish.amount_kopecks is not None and wish.amount_kopecks > payment.rest:
        raise RefundAboveRest(
            amount_kopecks=wish.amount_kopecks, rest_kopecks=int(payment.rest), paid_kopecks=int(payment.amount)
        )
    return payment.rest if wish.amount_kopecks is None else Kopecks(wish.amount_kopecks)


async def _refuse_late(session: Session, payment: RefundablePayment, wish: RefundWish) -> None:
    """A person gives late money back only when the worker has given up and nothing of its is under way."""
    if not payment.is_late or wish.is_automatic:
        return
    refunds = await rows.refunds_of_payment(session, payment.id)
    if payment.is_refund_planned or any(each.is_automatic and not each.is_final for each in refunds):
        raise PaymentLate(payment_id=payment.id)


async def _refuse_too_soon(session: Session, payment: RefundablePayment, now: datetime) -> None:
    allowed_at = next_allowed_at(await rows.tries_of(session, payment.id, now), now)
    if allowed_at > now:
        raise RefundTooSoon(payment_id=payment.id, next_allowed_at=allowed_at)


async def _cover(session: Session, payment: RefundablePayment, amount: Kopecks, wish: RefundWish) -> RefundCover:
    """Whose money the refund is. Our fee pays its share, or is billed when the merchant cannot bear it."""
    others = await rows.refunds_of_payment(session, payment.id) if payment.fee > 0 else []
    live = [each for each in others if each.status not in _COME_TO_NOTHING]
    used = sum((each.fee_returned + each.fee_billed for each in live), Kopecks(0))
    returned, billable = Kopecks(0), Kopecks(payment.fee - used)
    if wish.is_fee_returned:
        returned, billable = fee_to_return(payment, amount, used), Kopecks(0)
    available = await vouchers.available_for(session, payment)
    cover = cover_of(payment, amount, available=available, fee_returned=returned, fee_billable=billable)
    if cover is None:
        raise RefundNotCovered(amount_kopecks=int(amount), available_kopecks=max(available, 0))
    return cover


_COME_TO_NOTHING = (RefundStatus.REFUSED, RefundStatus.FAILED)


def _new_refund(
    refund_id: str, payment: RefundablePayment, wish: RefundWish, amount: Kopecks, cover: RefundCover, now: datetime
) -> Refund:
    return Refund(
        id=refund_id, payment_id=payment.id, merchant_id=payment.merchant_id, amount=amount,
        fee_returned=cover.fee_returned, fee_billed=cover.fee_billed, reason=wish.reason,
        is_automatic=wish.is_automatic, status=RefundStatus.REQUESTED, agent_request_id=new_uuid(now).hex,
        opkc_request_id=None, trx_id=None, payee_mask=None, refusal_code=None, refusal_message=None, hold_id=None,
        fee_hold_id=None, entry_id=None, tries=0, looks=0, asked_at=None, created_at=now, ended_at=None,
    )  # fmt: skip


def request_of(refund: Refund, payment: RefundablePayment) -> RefundRequest:
    """What NSPK is asked: the same words and the same id however often."""
    return RefundRequest(
        payment.trx_id, payment.qrc_id, payment.member_id, payment.nspk_merchant_id, refund.amount, payment.kzo,
        refund.agent_request_id, payment.params_id,
    )  # fmt: skip


async def begin_try(session: Session, refund_id: str, *, now: datetime) -> tuple[Refund, RefundRequest] | None:
    """Intent of a repeated request: count it, and say what to ask NSPK with the same id as before.

    Nothing if the refund waits for no request, or NSPK may not be asked yet: then it is looked at again in time.
    Raises: RefundNotFound. Locks: the payment, then the refund.
    """
    refund = await rows.lock_refund(session, refund_id)
    if refund.status is not RefundStatus.REQUESTED or refund.asked_at is not None:
        return None
    allowed_at = next_allowed_at(await rows.tries_of(session, refund.payment_id, now), now)
    if allowed_at > now:
        await rows.save_refund(session, refund, next_look_at=allowed_at)
        return None
    payment = await rows.load_payment(session, refund.payment_id)
    return await _count_try(session, refund, now), request_of(refund, payment)


async def _count_try(session: Session, refund: Refund, now: datetime) -> Refund:
    await rows.add_try(session, refund, now=now)
    asked = replace(refund, tries=refund.tries + 1, asked_at=now)
    await rows.save_refund(session, asked, next_look_at=now + ANSWER_WAIT)
    return asked


async def record_answer(session: Session, refund_id: str, answer: RefundAnswer, *, now: datetime) -> Refund:
    """Outcome: what NSPK said changes the refund, and the books when it is the last word.

    Told twice or out of order it changes nothing more; a refund that has ended stays as it is.
    Raises: RefundNotFound. Locks: the payment, the refund, then the holds and their accounts.
    """
    refund = await rows.lock_refund(session, refund_id)
    if is_old(refund, answer):
        return refund
    if answer.kzo is not None:
        await rows.keep_kzo(session, refund.payment_id, answer.kzo)
    to = status_after(refund, answer, now=now)
    learnt = _learn(refund, answer, to)
    if to in FINAL:
        return await _end(session, advance(learnt, to, now=now), now)
    if to is RefundStatus.REQUESTED and refund.asked_at is not None and learnt.asked_at is None:
        await rows.mark_unheard(session, refund)
    moved = learnt if to is refund.status else advance(learnt, to, now=now)
    await rows.save_refund(session, moved, next_look_at=now + wait_before_look(moved.looks))
    return moved


async def end_by(session: Session, refund_id: str, answer: RefundAnswer, *, now: datetime) -> RefundStatus | None:
    """How a refund is going to end by an answer; nothing if it ends not by it. ``record_answer`` follows.

    Raises: RefundNotFound. Locks: the payment, the refund.
    """
    refund = await rows.lock_refund(session, refund_id)
    to = refund.status if is_old(refund, answer) else status_after(refund, answer, now=now)
    return to if to in FINAL else None


def _learn(refund: Refund, answer: RefundAnswer, to: RefundStatus) -> Refund:
    """What an answer tells about a refund beside its status."""
    if to is RefundStatus.SUCCEEDED:
        return replace(refund, trx_id=answer.trx_id, payee_mask=answer.payee_mask)
    if to is RefundStatus.ASKED and refund.status is not to:
        return replace(refund, opkc_request_id=answer.opkc_request_id, refusal_code=None, refusal_message=None)
    if answer.news is RefundNews.REFUSED and to in (RefundStatus.UNKNOWN, RefundStatus.REFUSED):
        return _refused(refund, answer)
    if answer.news in (RefundNews.DECLINED, RefundNews.NOT_MOVED) and to in FINAL:
        return _refused(refund, answer)
    if answer.news in (RefundNews.UNHEARD, RefundNews.NOT_SENT) and to is RefundStatus.REQUESTED:
        return replace(refund, asked_at=None)
    return refund


def _refused(refund: Refund, answer: RefundAnswer) -> Refund:
    return replace(refund, refusal_code=answer.code or "unknown", refusal_message=answer.message)


async def _end(session: Session, ended: Refund, now: datetime) -> Refund:
    if ended.status is RefundStatus.SUCCEEDED:
        ended = replace(ended, entry_id=await vouchers.book_moved(session, ended, now=now))
    else:
        await vouchers.release(session, ended, now=now)
        await rows.uncount(session, ended)
    await rows.save_refund(session, ended, next_look_at=None)
    await outbox.publish_all(session, [event_of(ended), *await _plan_late(session, ended, now)], now=now)
    return ended


async def _plan_late(session: Session, ended: Refund, now: datetime) -> Sequence[Event]:
    """What follows for late money: nothing more, another refund later, or a person must look."""
    if not ended.is_automatic or ended.status is RefundStatus.SUCCEEDED:
        return ()
    refunds = len(await rows.refunds_of_payment(session, ended.payment_id))
    if refunds < LATE_REFUNDS_MAX:
        await rows.plan_late_refund(session, ended.payment_id, now + wait_before_late_refund(refunds))
        return ()
    data = {"payment_id": ended.payment_id, "merchant_id": ended.merchant_id, "refunds": refunds}
    return (Event("payment.refund_parked", ended.payment_id, ended.merchant_id, data),)


def event_of(refund: Refund) -> Event:
    """What the world is told about a refund that has ended."""
    data = {
        "refund_id": refund.id,
        "payment_id": refund.payment_id,
        "merchant_id": refund.merchant_id,
        "amount_kopecks": int(refund.amount),
        "fee_returned_kopecks": int(refund.fee_returned),
        "fee_billed_kopecks": int(refund.fee_billed),
        "status": refund.status.value,
        "trx_id": refund.trx_id,
        "refusal_code": refund.refusal_code,
        "is_automatic": refund.is_automatic,
    }
    return Event(f"refund.{refund.status.value}", refund.id, refund.merchant_id, data)


async def refund_late_payment(session: Session, refund_id: str, payment_id: str, *, now: datetime) -> RefundRequest:
    """Intent for late money: all that is left of it goes back. ``record_answer`` plans what follows.

    Raises: what ``request_refund`` refuses. Locks: as ``request_refund``.
    """
    payment = await rows.load_payment(session, payment_id)
    reason = "unmatched payment" if payment.attempt_id is None else "late payment"
    wish = RefundWish(payment_id, reason=reason, is_automatic=True)
    _, request = await request_refund(session, refund_id, wish, merchant_id=None, now=now)
    await rows.plan_late_refund(session, payment_id, None)
    return request
