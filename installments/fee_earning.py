"""Fees earned: each night the parts whose time is over become income, by one entry a batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from installments import movement_rows, repository
from installments.debts import load_products, schedule_of
from installments.effects import entry_of
from installments.fee_recognition import earned_by, next_earned_on
from installments.movement_rows import PlanBooks
from installments.plan import Plan
from installments.products import Product
from installments.reckoning import ENDED
from installments.setbacks import Pick
from ledger import chart, journal
from ledger.database import Session, text

PLANS_MAX = 500


async def earn(
    session: Session, on: date, *, reference: str, now: datetime, pick: Pick | None = None
) -> tuple[int, int]:
    """Row 8 for up to ``PLANS_MAX`` plans: how many, and kopecks earned. None left: zero.

    Дт liability:plan_deferred_fee        Кт income:plan_fee

    Locks: the plans in the order of their ids, then the accounts.
    """
    pick = pick or Pick()
    plan_ids = await _due(session, on, pick)
    pick.take(plan_ids)
    if not plan_ids:
        return 0, 0
    plans = await repository.load_plans(session, plan_ids, lock=True)
    kept = await movement_rows.load_books(session, plan_ids)
    products = await load_products(session, plans.values())
    books = {
        plan.id: earned(plan, products[plan.product_code, plan.product_version], kept[plan.id], on)
        for plan in plans.values()
    }
    amount = sum(after.fee_recognised - kept[plan_id].fee_recognised for plan_id, after in books.items())
    await movement_rows.save_books(session, books)
    entry = entry_of(
        {chart.PLAN_DEFERRED_FEE: amount, chart.PLAN_FEE: -amount}, kind="plan.fees_earned", reference=reference,
        happened_at=now, metadata={"on": on.isoformat(), "plans": len(books)},
    )  # fmt: skip
    if entry is not None:
        await journal.post(session, entry, now=now)
    return len(plan_ids), amount


def earned(plan: Plan, product: Product, books: PlanBooks, on: date) -> PlanBooks:
    """What the books say once a plan's fee is earned up to a day; all of it where the plan is over."""
    schedule = schedule_of(plan, product)
    is_over = plan.standing in ENDED
    due = int(plan.fee) if is_over else earned_by(schedule, int(plan.fee), on)
    recognised = max(books.fee_recognised, due)
    next_on = None if recognised >= plan.fee else next_earned_on(schedule, on)
    return replace(books, fee_recognised=recognised, fee_next_on=next_on)


async def _due(session: Session, on: date, pick: Pick) -> list[str]:
    rows = await session.execute(
        text(f"""SELECT plan_id FROM plan_books WHERE fee_next_on <= :on{pick.where("plan_id")}
                 ORDER BY fee_next_on, plan_id LIMIT :limit"""),  # noqa: S608  # our own words
        {"on": on, "limit": PLANS_MAX} | pick.facts(),
    )
    return sorted(row.plan_id for row in rows)
