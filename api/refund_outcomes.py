"""NSPK's word on a refund, written down with what follows from it at the till, in one transaction."""

from __future__ import annotations

from datetime import datetime

from checkout import item_refunds, shift_operations
from ledger.database import Session
from sbp_gateway import refund_rows, refunding
from sbp_gateway.refunds import Refund, RefundAnswer, RefundStatus


async def record_refund_answer(session: Session, refund_id: str, answer: RefundAnswer, *, now: datetime) -> Refund:
    """What NSPK said of a refund; when goods go back with it, their points and code follow. It goes into a shift.

    Locks: the basket, if it is of goods; then as ``refunding.record_answer``, then the shift.
    """
    is_of_items = await item_refunds.hold(session, refund_id)
    refund = await refunding.record_answer(session, refund_id, answer, now=now)
    if is_of_items and refund.is_final:
        is_given = refund.status is RefundStatus.SUCCEEDED
        await item_refunds.settle(session, refund_id, is_given=is_given, now=now)
    if refund.status is RefundStatus.SUCCEEDED:
        payment = await refund_rows.load_payment(session, refund.payment_id)
        if payment.attempt_id is not None and not payment.is_late:
            await shift_operations.note_refund(session, refund.id, payment.attempt_id, refund.amount, now=now)
    return refund
