"""The commit (подтверждение магазином): the goods go out, the debt begins, and the first installment is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from installments import bureau, feeds
from installments import repository as rows
from installments.baskets import are_same, check_basket
from installments.errors import (
    CommitAboveApproved,
    CommitDiffers,
    MerchantTermsMissing,
    PlanCanceled,
    PlanExpired,
    PlanNotAwaitingCommit,
)
from installments.plan import Item, Plan, PlanStatus, advance
from installments.recording import open_debt
from installments.telling import BY_ITSELF, PlanActor, tell
from ledger.database import Session
from ledger.money import Kopecks

COMMITTED = frozenset({PlanStatus.COMMITTED, PlanStatus.COMPLETED, PlanStatus.REFUNDED})


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What the merchant commits; what is not said is as approved."""

    amount: Kopecks | None = None
    items: tuple[Item, ...] | None = None
    prepaid: Kopecks | None = None


async def commit_plan(
    session: Session, plan_id: str, request: CommitRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> tuple[Plan, bool]:  # fmt: skip
    """Commit a plan, whole or for less: the debt is booked. The same commit again is nothing.

    Gives the plan, and whether it was committed just now: then its first installment is to be taken.

    Raises: PlanNotFound, CommitDiffers, PlanCanceled, PlanNotAwaitingCommit, PlanExpired, CommitAboveApproved,
    BasketMalformed, BasketMismatch, PriceTooSmall, BureauNotTold. Locks: the plan, then the accounts of the voucher.
    """
    plan = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    if plan.status in COMMITTED:
        _check_same(plan, request)
        return plan, False
    _refuse(plan, now)
    await bureau.require_told(session, plan.id)
    agreed = _agreed(plan, request)
    committed = await _committed(session, agreed, by, now)
    await feeds.tell_of_commit(session, committed, plan.price, now=now)
    return committed, True


async def _committed(session: Session, plan: Plan, by: PlanActor, now: datetime) -> Plan:
    assert plan.contract_on is not None
    terms = await rows.merchant_terms_on(session, plan.merchant_id, plan.product_code, plan.contract_on)
    if terms is None:
        raise MerchantTermsMissing(merchant_id=plan.merchant_id, product_code=plan.product_code)
    agreed = replace(
        advance(plan, PlanStatus.COMMITTED), fee_basis_points=terms.fee_basis_points, expires_at=None, committed_at=now
    )
    committed = await open_debt(session, agreed, now=now)
    await rows.save_plan(session, committed)
    await tell(session, committed, "committed", by, now=now, facts={"price_kopecks": int(committed.price)})
    return committed


async def complete(session: Session, plan: Plan, *, now: datetime) -> Plan:
    """The first installment of a locked plan is paid: to the merchant the order is paid."""
    completed = advance(plan, PlanStatus.COMPLETED)
    await rows.save_plan(session, completed)
    await tell(session, completed, "completed", BY_ITSELF, now=now)
    return completed


def _refuse(plan: Plan, now: datetime) -> None:
    if plan.status in (PlanStatus.CANCELED, PlanStatus.REJECTED):
        raise PlanCanceled(plan_id=plan.id, reason=plan.reason)
    if plan.status is not PlanStatus.WAIT_FOR_COMMIT:
        raise PlanNotAwaitingCommit(plan_id=plan.id, status=plan.status.value)
    if plan.expires_at is not None and plan.expires_at <= now:
        raise PlanExpired(plan_id=plan.id)


def _agreed(plan: Plan, request: CommitRequest) -> Plan:
    price = plan.price if request.amount is None else request.amount
    prepaid = plan.prepaid if request.prepaid is None else request.prepaid
    items = plan.items if request.items is None else request.items
    if price > plan.price:
        raise CommitAboveApproved(amount_kopecks=int(price), approved_kopecks=int(plan.price))
    check_basket(items, Kopecks(price + prepaid))
    return replace(plan, price=price, prepaid=prepaid, items=items)


def _check_same(plan: Plan, request: CommitRequest) -> None:
    """After a return of goods the basket is another than was committed, and only the amount is compared."""
    is_same = request.amount in (None, plan.price) and (
        request.items is None or plan.refunded > 0 or are_same(request.items, plan.items)
    )
    if not is_same:
        raise CommitDiffers(plan_id=plan.id, committed_kopecks=int(plan.price))
