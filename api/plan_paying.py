"""The moment a plan pays an order, and everything else that follows from how an attempt and its plan stand.

Like ``plan_first_payments``: each function looks at both and does what is missing, so whoever calls it, how often, or
where a process died makes no difference. Locks: the plan, its first payment, the order, the attempt, then accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.plan_acts import cancel as cancel_plan
from api.plan_acts import commit as commit_plan
from api.plan_acts import refund as refund_plan
from api.plan_rail import RAIL
from checkout import card_payment_rows as cards
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import LIVE, AttemptStatus, OfOrder
from installments import bureau
from installments import repository as plans
from installments.cancelling import CancelReason
from installments.committing import CommitRequest
from installments.plan import Plan, PlanStatus
from installments.refunding import RefundRequest
from installments.telling import BY_ITSELF
from ledger import outbox
from ledger.database import Session, text
from ledger.outbox import Event

BEFORE_COMMIT = frozenset({PlanStatus.NEW, PlanStatus.APPROVED, PlanStatus.WAIT_FOR_COMMIT})
COMMITTED = frozenset({PlanStatus.COMMITTED, PlanStatus.COMPLETED})


@dataclass(frozen=True, slots=True)
class Tied:
    """A plan, the attempt that it pays for and the order of that, all locked."""

    plan: Plan
    of_order: OfOrder

    @property
    def is_settled(self) -> bool:
        """Whether the two say the same and neither can change it any more."""
        status, plan = self.of_order.attempt.status, self.plan.status
        return status not in LIVE and (status is AttemptStatus.PAID or plan not in BEFORE_COMMIT | COMMITTED)


async def tie(session: Session, plan_id: str) -> Tied | None:
    """The attempt of a plan, if it was made for one that is not settled. Locks: plan, first payment, order, attempt."""
    attempt_id = await session.scalar(
        text("SELECT attempt_id FROM plan_attempts WHERE plan_id = :id AND settled_at IS NULL"), {"id": plan_id}
    )
    if attempt_id is None:
        return None
    plan = await plans.load_plan(session, plan_id, lock=True)
    if plan.first_payment_id is not None:
        await cards.load_payment(session, plan.first_payment_id, lock=True)
    found = await till_rows.lock_with_orders(session, [attempt_id])
    return Tied(plan, found[attempt_id])


async def follow_attempt(session: Session, plan_id: str, *, now: datetime) -> bool:
    """Do what follows from how a plan and its attempt stand; whether anything did.

    The buyer's yes commits the plan, because goods leave a till at once, and the commit pays the order. A plan that
    came to nothing ends its attempt; an attempt that is over gives its plan up, or gives the goods of it back.
    """
    tied = await tie(session, plan_id)
    if tied is None:
        return False
    is_moved = await _move(session, tied, now)
    left = await tie(session, plan_id)
    if left is not None and left.is_settled:
        await session.execute(
            text("UPDATE plan_attempts SET settled_at = :now WHERE plan_id = :id"), {"id": plan_id, "now": now}
        )
    return is_moved


async def _move(session: Session, tied: Tied, now: datetime) -> bool:
    plan, of_order = tied.plan, tied.of_order
    is_over = of_order.attempt.status not in LIVE
    if is_over and plan.status in BEFORE_COMMIT:
        await cancel_plan(session, plan.id, CancelReason.MERCHANT, BY_ITSELF, now=now)
    elif is_over and plan.status in COMMITTED and of_order.attempt.payment_id is None:
        await _give_back(session, tied, now)
    elif is_over or plan.status in (PlanStatus.NEW, PlanStatus.APPROVED):
        return False
    elif plan.status is PlanStatus.WAIT_FOR_COMMIT:
        if await _must_wait(session, plan, now):
            return False
        await _pay(session, tied, now, is_committed=False)
    elif plan.status in COMMITTED:
        await _pay(session, tied, now, is_committed=True)
    else:
        to = AttemptStatus.REJECTED if plan.status is PlanStatus.REJECTED else AttemptStatus.EXPIRED
        await till.close_attempts(session, [of_order.attempt.id], to)
    return True


async def _must_wait(session: Session, plan: Plan, now: datetime) -> bool:
    """Whether a plan may not be committed just now: its time is over, or a credit bureau was not told yet."""
    is_late = plan.expires_at is not None and plan.expires_at <= now
    return is_late or await bureau.is_awaited(session, plan.id)


async def _pay(session: Session, tied: Tied, now: datetime, *, is_committed: bool) -> None:
    """Commit the plan unless its terms did, and pay the order by it, in one transaction.

    The order first: its code and points are locked before the accounts of money, as on every rail.
    """
    attempt_id, plan = tied.of_order.attempt.id, tied.plan
    await till.close_attempts(session, [attempt_id], AttemptStatus.WAITING)  # the buyer was quicker than our own answer
    of_order = (await till_rows.lock_with_orders(session, [attempt_id]))[attempt_id]
    await till.pay_orders(session, [(of_order, plan.id)], now=now)
    if not is_committed:
        plan = await commit_plan(session, plan.id, CommitRequest(), BY_ITSELF, now=now)
    await outbox.publish(session, event_of(plan, of_order, now), now=now)


async def _give_back(session: Session, tied: Tied, now: datetime) -> None:
    """A plan committed for an attempt that is over: all goods of it come back, once, by the attempt's id."""
    plan, attempt = tied.plan, tied.of_order.attempt
    request = RefundRequest(f"late:{attempt.id}", plan.total, prepaid=plan.prepaid)
    await refund_plan(session, plan.id, request, BY_ITSELF, now=now)
    await outbox.publish(session, late_event(plan, tied.of_order, now), now=now)


def event_of(plan: Plan, of_order: OfOrder, now: datetime) -> Event:
    """What the world is told about an order paid by a plan."""
    order = of_order.order
    data = {
        "order_id": order.id, "order_number": order.number, "merchant_id": order.merchant_id,
        "attempt_id": of_order.attempt.id, "payment_id": plan.id, "amount_kopecks": int(of_order.attempt.amount),
        "fee_kopecks": int(plan.fee), "rail": RAIL, "paid_at": now.isoformat(),
    }  # fmt: skip
    return Event("order.paid", order.id, order.merchant_id, data)


def late_event(plan: Plan, of_order: OfOrder, now: datetime) -> Event:
    """What the world is told of a plan whose order was over: the buyer owes nothing and has everything back."""
    order = of_order.order
    data = {
        "order_id": order.id, "order_number": order.number, "merchant_id": order.merchant_id,
        "attempt_id": of_order.attempt.id, "payment_id": plan.id, "amount_kopecks": int(of_order.attempt.amount),
        "fee_kopecks": 0, "rail": RAIL, "paid_at": now.isoformat(),
    }  # fmt: skip
    return Event("payment.late", plan.id, order.merchant_id, data)


async def lock_plans_of_order(session: Session, order_id: str) -> list[str]:
    """Plans that may yet pay an order. Locks: them and their first payments, so that they come before the order."""
    found = await session.scalars(
        text("""SELECT t.plan_id FROM plan_attempts AS t JOIN attempts AS a ON a.id = t.attempt_id
                 WHERE a.order_id = :id AND t.settled_at IS NULL ORDER BY t.plan_id"""),
        {"id": order_id},
    )
    plan_ids = list(found)
    for plan_id in plan_ids:
        plan = await plans.load_plan(session, plan_id, lock=True)
        if plan.first_payment_id is not None:
            await cards.load_payment(session, plan.first_payment_id, lock=True)
    return plan_ids


async def give_up(session: Session, plan_ids: Sequence[str], *, now: datetime) -> None:
    """Follow an order that was just canceled: its plans are given up with it."""
    for plan_id in plan_ids:
        await follow_attempt(session, plan_id, now=now)
