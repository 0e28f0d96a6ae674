"""Corrections (исправления корзины): a cheaper basket replaces the old one, and the difference is a refund."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from installments import feeds
from installments import repository as rows
from installments.baskets import are_same, check_basket
from installments.errors import CorrectionAboveTotal, RefundDiffers
from installments.plan import Item, Plan
from installments.plan_refunds import PlanRefund, RefundKind, find_refund, prepaid_refunded
from installments.refunding import NOTHING, carry_out, check_rest, refuse_unless_committed
from installments.telling import PlanActor, tell
from ledger.database import Session
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class CorrectionRequest:
    """The basket as it should be."""

    refund_id: str
    total: Kopecks
    """What the buyer is to pay in all, the prepaid part not counted."""
    new_items: tuple[Item, ...]
    prepaid: Kopecks = NOTHING
    """How much of the prepaid part the merchant gives back."""


async def correct(
    session: Session, plan_id: str, request: CorrectionRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> PlanRefund:  # fmt: skip
    """Replace the basket by a cheaper one. The same refund id again gives the first answer.

    Raises: PlanNotFound, RefundDiffers, PlanNotCommitted, PlanCanceled, CorrectionAboveTotal, RefundAboveRest,
    BasketMalformed, BasketMismatch. Locks: the plan, then accounts.
    """
    plan = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    return await _replace_basket(session, plan, request, RefundKind.CORRECTION, by, now)


async def complete_delivery(
    session: Session, plan_id: str, request: CorrectionRequest | None, by: PlanActor, *,
    merchant_id: str | None = None, now: datetime,
) -> Plan:  # fmt: skip
    """What was ordered was handed over, or only what the smaller basket holds: then it is a correction.

    Raises: as ``correct``. Locks: the plan, then accounts.
    """
    plan = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    refuse_unless_committed(plan)
    if request is not None and not _is_as_it_stands(plan, request):
        await _replace_basket(session, plan, request, RefundKind.DELIVERY, by, now)
        plan = await rows.load_plan(session, plan_id, lock=True)
    await tell(session, plan, "delivered", by, now=now)
    await feeds.tell_of_delivery(session, plan, now=now)
    return plan


async def _replace_basket(
    session: Session, plan: Plan, request: CorrectionRequest, kind: RefundKind, by: PlanActor, now: datetime
) -> PlanRefund:
    known = await find_refund(session, plan.id, request.refund_id)
    if known is not None:
        return _same(known, request)
    refuse_unless_committed(plan)
    if not 0 <= request.total <= plan.total or request.prepaid < 0:
        raise CorrectionAboveTotal(total_kopecks=int(request.total), rest_kopecks=int(plan.total))
    amount = Kopecks(plan.total - request.total)
    await check_rest(session, plan, amount, request.prepaid)
    prepaid_left = Kopecks(plan.prepaid - await prepaid_refunded(session, plan.id) - request.prepaid)
    check_basket(request.new_items, Kopecks(request.total + prepaid_left), may_be_empty=request.total == 0)
    wanted = PlanRefund(
        plan.id, request.refund_id, kind, amount, request.prepaid, (), request.new_items, request.total, now
    )
    return await carry_out(session, plan, wanted, request.new_items, by, now=now)


def _is_as_it_stands(plan: Plan, request: CorrectionRequest) -> bool:
    return (request.total, int(request.prepaid)) == (plan.total, 0) and are_same(request.new_items, plan.items)


def _same(known: PlanRefund, request: CorrectionRequest) -> PlanRefund:
    is_same = (known.total, known.prepaid) == (request.total, request.prepaid) and (
        known.new_items is not None and are_same(known.new_items, request.new_items)
    )
    if not is_same:
        raise RefundDiffers(refund_id=known.refund_id, amount_kopecks=int(known.amount))
    return known
