"""Giving a plan up before its commit: by merchant, buyer or time. Nothing was booked, so nothing is reversed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from installments import feeds
from installments import repository as rows
from installments.errors import PlanCanceled, PlanCommitted
from installments.plan import ALLOWED, Plan, PlanStatus, advance
from installments.telling import BY_ITSELF, PlanActor, tell
from ledger.database import Session

BATCH_MAX = 100
"""Plans given up by time in one transaction."""


class CancelReason(StrEnum):
    """Who gave a plan up, or why it ended."""

    MERCHANT = "canceled_by_merchant"
    BUYER = "canceled_by_buyer"
    ORDER_EXPIRED = "order_expired"
    """The buyer did not accept in time."""
    HOLD_EXPIRED = "hold_expired"
    """The merchant did not commit in time."""
    HOLD_LOST = "hold_lost"
    """The bank let the first installment go before the commit."""


async def cancel(
    session: Session, plan_id: str, reason: CancelReason, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> Plan:  # fmt: skip
    """Give a plan up; what is held on a card is let go by whoever called. Again changes nothing.

    Raises: PlanNotFound; PlanCommitted, when it must be refunded instead; PlanCanceled if it was rejected.
    Locks: the plan.
    """
    plan = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    if plan.status is PlanStatus.CANCELED:
        return plan
    if plan.status is PlanStatus.REJECTED:
        raise PlanCanceled(plan_id=plan.id, reason=plan.reason)
    if PlanStatus.CANCELED not in ALLOWED[plan.status]:
        raise PlanCommitted(plan_id=plan.id, status=plan.status.value)
    return await end_canceled(session, plan, reason, by, now=now)


async def end_canceled(session: Session, plan: Plan, reason: CancelReason, by: PlanActor, *, now: datetime) -> Plan:
    """A locked plan that is given up."""
    canceled = replace(advance(plan, PlanStatus.CANCELED), reason=reason.value, expires_at=None, ended_at=now)
    await rows.save_plan(session, canceled)
    await tell(session, canceled, "canceled", by, now=now, facts={"reason": reason.value})
    await feeds.tell_of_end(session, canceled, now=now)
    return canceled


async def plans_over(session: Session, *, now: datetime) -> list[str]:
    """Plans whose time is over, a batch of them."""
    return await rows.expired_plans(session, now=now, limit=BATCH_MAX)


async def expire(session: Session, plan_ids: Sequence[str], *, now: datetime) -> list[Plan]:
    """Give up those of the plans whose time is over. Locks: those it takes, skipping those that others hold."""
    due = await rows.take_expired(session, plan_ids, now=now)
    return [
        await end_canceled(
            session,
            plan,
            CancelReason.HOLD_EXPIRED if plan.status is PlanStatus.WAIT_FOR_COMMIT else CancelReason.ORDER_EXPIRED,
            BY_ITSELF,
            now=now,
        )
        for plan in due
    ]
