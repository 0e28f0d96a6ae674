"""Refunds (возвраты): goods come back, in part and repeatedly, and the debt shrinks by the product's refund policy.

What a refund does to installments is replay's work; what it does to the merchant is the voucher's. Here is decided
whether it may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from installments import feeds
from installments import repository as rows
from installments.baskets import are_same, check_basket, take_out
from installments.errors import (
    BasketMismatch,
    PlanCanceled,
    PlanNotCommitted,
    RefundAboveRest,
    RefundAmountNotPositive,
    RefundDiffers,
    RefundItemsMismatch,
)
from installments.movements import Movement, MovementKind
from installments.plan import Item, Plan, PlanStatus, advance
from installments.plan_refunds import PlanRefund, RefundKind, add_refund, find_refund, prepaid_refunded
from installments.recording import record
from installments.telling import PlanActor, tell
from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks

NOTHING = Kopecks(0)
COMMITTED = frozenset({PlanStatus.COMMITTED, PlanStatus.COMPLETED})


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What a merchant gives back."""

    refund_id: str
    """The merchant's own name of it: the same again is the same refund."""
    amount: Kopecks
    """Of the price, the prepaid part not counted."""
    items: tuple[Item, ...] = ()
    """What came back; empty when only money is told."""
    prepaid: Kopecks = NOTHING


async def refund(
    session: Session, plan_id: str, request: RefundRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> PlanRefund:  # fmt: skip
    """Take goods back. The same refund id again gives the first answer and does nothing.

    Raises: PlanNotFound, RefundDiffers, PlanNotCommitted, PlanCanceled, RefundAmountNotPositive, RefundAboveRest,
    BasketMalformed, RefundItemsMismatch. Locks: the plan, then accounts.
    """
    plan = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    known = await find_refund(session, plan.id, request.refund_id)
    if known is not None:
        return _same(known, request)
    refuse_unless_committed(plan)
    if request.amount < 0 or request.prepaid < 0 or request.amount + request.prepaid < 1:
        raise RefundAmountNotPositive(amount_kopecks=int(request.amount))
    await check_rest(session, plan, request.amount, request.prepaid)
    basket = _basket_left(plan, request)
    wanted = PlanRefund(
        plan.id, request.refund_id, RefundKind.RETURN, request.amount, request.prepaid, request.items, None,
        Kopecks(plan.total - request.amount), now,
    )  # fmt: skip
    return await carry_out(session, plan, wanted, basket, by, now=now)


def refuse_unless_committed(plan: Plan) -> None:
    """Only of a committed plan goods come back. Raises: PlanCanceled, PlanNotCommitted."""
    if plan.status in (PlanStatus.CANCELED, PlanStatus.REJECTED):
        raise PlanCanceled(plan_id=plan.id, reason=plan.reason)
    if plan.committed_at is None:
        raise PlanNotCommitted(plan_id=plan.id, status=plan.status.value)


async def check_rest(session: Session, plan: Plan, amount: Kopecks, prepaid: Kopecks) -> None:
    """No more comes back than is left, of the price and of what was prepaid. Raises: RefundAboveRest."""
    if amount > plan.total:
        raise RefundAboveRest(amount_kopecks=int(amount), rest_kopecks=int(plan.total))
    if prepaid > 0:
        left = Kopecks(plan.prepaid - await prepaid_refunded(session, plan.id))
        if prepaid > left:
            raise RefundAboveRest(prepaid_kopecks=int(prepaid), rest_kopecks=int(left))


async def carry_out(
    session: Session, plan: Plan, wanted: PlanRefund, basket: tuple[Item, ...], by: PlanActor, *, now: datetime
) -> PlanRefund:
    """Keep a refund that may be, tell the debt of it, and end the plan when nothing is left of the goods.

    Locks: the plan again, then accounts.
    """
    await add_refund(session, wanted)
    await rows.save_plan(session, replace(plan, items=basket, version=plan.version + 1))
    if wanted.amount > 0:
        movement = Movement(
            new_id("mov", now), plan.id, MovementKind.MERCHANT_REFUND, wanted.amount, now, wanted.reference
        )  # fmt: skip
        await record(session, plan.id, movement, now=now)
    after = await rows.load_plan(session, plan.id, lock=True)
    facts = {
        "refund_id": wanted.refund_id, "refund_kind": wanted.kind.value, "amount_kopecks": int(wanted.amount),
        "prepaid_kopecks": int(wanted.prepaid),
    }  # fmt: skip
    await tell(session, after, "goods_refunded", by, now=now, facts=facts)
    await feeds.tell_of_refund(session, after, wanted, now=now)
    if after.total == 0 and after.status in COMMITTED:
        ended = advance(after, PlanStatus.REFUNDED)
        await rows.save_plan(session, ended)
        await tell(session, ended, "refunded", by, now=now)
    return wanted


def _basket_left(plan: Plan, request: RefundRequest) -> tuple[Item, ...]:
    if not request.items:
        return plan.items
    try:
        check_basket(request.items, Kopecks(request.amount + request.prepaid))
    except BasketMismatch as mismatch:
        raise RefundItemsMismatch(**mismatch.facts) from None
    return take_out(plan.items, request.items)


def _same(known: PlanRefund, request: RefundRequest) -> PlanRefund:
    is_same = (
        (known.kind, known.amount, known.prepaid) == (RefundKind.RETURN, request.amount, request.prepaid)
        and are_same(known.returned_items, request.items)
    )  # fmt: skip
    if not is_same:
        raise RefundDiffers(refund_id=known.refund_id, amount_kopecks=int(known.amount))
    return known
