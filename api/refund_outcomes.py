"""NSPK's word on a refund, written down with what follows from it at the till, in one transaction."""

from __future__ import annotations

from datetime import datetime

from checkout import item_refunds
from ledger.database import Session
from sbp_gateway import refunding
from sbp_gateway.refunds import Refund, RefundAnswer, RefundStatus


async def record_refund_answer(session: Session, refund_id: str, answer: RefundAnswer, *, now: datetime) -> Refund:
    """What NSPK said of a refund; when goods go back with it, their points and code follow.

    Locks: the basket, if it is of goods; then as ``refunding.record_answer``.
    """
    is_of_items = await item_refunds.hold(session, refund_id)
    refund = await refunding.record_answer(session, refund_id, answer, now=now)
    if is_of_items and refund.is_final:
        is_given = refund.status is RefundStatus.SUCCEEDED
        await item_refunds.settle(session, refund_id, is_given=is_given, now=now)
    return refund
