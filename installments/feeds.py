"""What others are told when a plan turns: the credit bureau and the tills, in the transaction of the turn.

One call for each turn, so that the life of a plan needs to know neither of them. Movements tell by ``recording_told``.
"""

from __future__ import annotations

from datetime import datetime

from installments import bureau, receipts
from installments.movement_rows import load_installments
from installments.plan import Plan
from installments.plan_refunds import PlanRefund
from installments.repository import licence_on, load_product
from installments.schedule import build_schedule
from installments.state import InstallmentState
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.money import Kopecks

UNREGISTERED = "-"
"""Stands for our number in the register where we have none; where the law asks for one, no plan is made then."""


async def tell_of_approval(session: Session, plan: Plan, *, needs_bureau: bool, now: datetime) -> None:
    """A plan was approved: where the law or the settings want it, the bureau is begun to be told."""
    if not needs_bureau and not await bureau.is_told_of_all(session):
        return
    assert plan.contract_on is not None
    product = await load_product(session, plan.product_code, plan.product_version)
    licence = await licence_on(session, plan.contract_on)
    await bureau.open_at_bureau(
        session, plan, build_schedule(plan.price, product, first_due_on=plan.contract_on),
        register_number=UNREGISTERED if licence is None else licence.register_number, now=now,
    )  # fmt: skip


async def tell_of_commit(session: Session, plan: Plan, approved: Kopecks, *, now: datetime) -> None:
    """A plan was committed, perhaps for less than ``approved``: a receipt for the prepayment is wanted."""
    installments = await _installments(session, plan)
    told = bureau.begun(plan, installments, int(approved), moscow_day(now))
    await bureau.tell_all(session, told, now=now)
    await receipts.want_of_commit(session, plan, installments[0].amount, now=now)


async def tell_of_end(session: Session, plan: Plan, *, now: datetime) -> None:
    """A plan ended before it began: what the bureau was told of it is closed."""
    told = bureau.closed(plan.id, plan.status.value, moscow_day(now), cause=plan.status.value)
    await bureau.tell_all(session, [told], now=now)


async def tell_of_delivery(session: Session, plan: Plan, *, now: datetime) -> None:
    """The goods were handed over: the receipt with them is wanted."""
    if plan.total > 0:
        first = (await _installments(session, plan))[0]
        await receipts.want_of_hand_over(session, plan, first.amount, now=now)


async def tell_of_refund(session: Session, plan: Plan, refund: PlanRefund, *, now: datetime) -> None:
    """Goods came back: a return receipt is wanted."""
    await receipts.want_of_refund(
        session, plan, refund.refund_id, refund.amount, refund.prepaid, refund.returned_items, now=now
    )


async def _installments(session: Session, plan: Plan) -> tuple[InstallmentState, ...]:
    return (await load_installments(session, [plan.id]))[plan.id]
