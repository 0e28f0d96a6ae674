"""NSPK's word on a refund, written down with what follows from it at the till, in one transaction."""

from __future__ import annotations

from datetime import datetime

from checkout import item_refunds, shift_operations
from ledger.database import Session
from sbp_gateway import refund_rows, refunding
from sbp_gateway.refunds import Refund, RefundAnswer, RefundStatus


async def record_refund_answer(session: Session, refund_id: str, answer: RefundAnswer, *, now: datetime) -> Refund:
    """What NSPK said of a refund; when goods go back with it, their points and code follow. It goes into a shift.

    Points and code are locked before the money's accounts, as by whoever pays an order.
    Locks: the basket, the payment, the refund, code and points, if it is of goods; then as
    ``refunding.record_answer``, then the shift.
    """
    if await item_refunds.hold(session, refund_id):
        end = await refunding.end_by(session, refund_id, answer, now=now)
        if end is not None:
            await item_refunds.settle(session, refund_id, is_given=end is RefundStatus.SUCCEEDED, now=now)
    refund = await refunding.record_answer(session, refund_id, answer, now=now)
    if refund.status is RefundStatus.SUCCEEDED:
        payment = await refund_rows.load_payment(session, refund.payment_id)
        if payment.attempt_id is not None and not payment.is_late:
            await shift_operations.note_refund(session, refund.id, payment.attempt_id, refund.amount, now=now)
    return refund
