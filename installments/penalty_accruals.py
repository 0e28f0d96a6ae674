"""Penalty as income: each night the difference between what the replay says and what is booked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from installments import movement_rows, repository
from installments.debts import Debt, debts_of
from installments.effects import entry_of
from installments.movement_rows import PlanBooks
from installments.plan import Plan
from installments.setbacks import Pick
from installments.vouchers import penalty_accrued
from ledger import journal
from ledger.database import Session, text
from ledger.money import Kopecks

PLANS_MAX = 500


async def accrue(
    session: Session, on: date, *, after: str, reference: str, now: datetime, pick: Pick | None = None
) -> tuple[int, int, str]:
    """Row 11 for up to ``PLANS_MAX`` overdue plans: how many, kopecks, and the last one's id. None left: zero.

    Дт asset:plan_penalty_receivable      Кт income:plan_penalty

    Locks: the plans in the order of their ids, then the accounts.
    """
    pick = pick or Pick()
    plan_ids = await _overdue(session, after, pick)
    pick.take(plan_ids)
    if not plan_ids:
        return 0, 0, after
    plans = await repository.load_plans(session, plan_ids, lock=True)
    changed = [
        reached
        for debt in (await debts_of(session, plans)).values()
        if on > (debt.books.accrued_on or date.min) and (reached := _reached(debt, on)) is not None
    ]
    grown = sum(books.penalty_accrued - before for _, books, before in changed)
    if changed:
        await movement_rows.save_debts(session, [plan for plan, _, _ in changed])
        await movement_rows.save_books(session, {plan.id: books for plan, books, _ in changed})
    entry = entry_of(
        penalty_accrued(grown), kind="plan.penalties", reference=reference, happened_at=now,
        metadata={"on": on.isoformat(), "plans": len(changed)},
    )  # fmt: skip
    if entry is not None:
        await journal.post(session, entry, now=now)
    return len(plan_ids), grown, plan_ids[-1]


def _reached(debt: Debt, on: date) -> tuple[Plan, PlanBooks, int] | None:
    """The plan and its books with the penalty of the day, and what was accrued before; nothing where it is the same."""
    state = debt.replayed(on=on)
    before = debt.books.penalty_accrued
    if int(state.penalty_accrued) == before:
        return None
    plan = replace(debt.plan, penalty=Kopecks(int(state.penalty)), version=debt.plan.version + 1)
    return plan, replace(debt.books, penalty_accrued=int(state.penalty_accrued), accrued_on=state.on), before


async def _overdue(session: Session, after: str, pick: Pick) -> list[str]:
    rows = await session.execute(
        text(f"""SELECT id FROM installment_plans WHERE standing = 'overdue' AND id > :after{pick.where("id")}
                 ORDER BY id LIMIT :limit"""),  # noqa: S608  # our own words
        {"after": after, "limit": PLANS_MAX} | pick.facts(),
    )
    return [row.id for row in rows]
