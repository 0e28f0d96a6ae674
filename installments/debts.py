"""A debt (долг по плану): one plan with everything that is kept of it, as the next recording finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from installments import movement_rows, repository
from installments.arrears import Bucket, bucket_of
from installments.effects import Effect
from installments.errors import PlanNotCommitted, PlanNotFound
from installments.movement_rows import Aged, PlanBooks
from installments.movements import Movement
from installments.plan import Plan, Standing
from installments.products import Product
from installments.replay import replay
from installments.schedule import Installment, build_schedule
from installments.state import InstallmentState, PlanState
from ledger import chart
from ledger.database import Session
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class Debt:
    """A plan, its terms, and what the books and the rows say of it."""

    plan: Plan
    product: Product
    aged: tuple[Aged, ...]
    books: PlanBooks
    movements: tuple[Movement, ...]

    def replayed(self, movements: Iterable[Movement] = (), *, on: date) -> PlanState:
        """The plan with these movements too, as of a day, and never of an earlier one than is booked.

        Raises: MovementRejected.
        """
        until = max(on, self.books.accrued_on or on)
        return replay(
            schedule_of(self.plan, self.product), (*self.movements, *movements), self.product, on=until,
            contract_on=self.plan.contract_on,
        )  # fmt: skip


def schedule_of(plan: Plan, product: Product) -> tuple[Installment, ...]:
    """The installments as the plan began: its price at the commit, cut from the day of its contract."""
    assert plan.contract_on is not None
    return build_schedule(plan.price, product, first_due_on=plan.contract_on)


async def load_debts(session: Session, plan_ids: Sequence[str]) -> dict[str, Debt]:
    """Debts by plan.

    Raises: PlanNotFound; PlanNotCommitted. Locks: the plans, in the order of their ids.
    """
    plans = await repository.load_plans(session, plan_ids, lock=True)
    for plan_id in plan_ids:
        if plan_id not in plans:
            raise PlanNotFound(plan_id=plan_id)
        if plans[plan_id].standing is Standing.NONE:
            raise PlanNotCommitted(plan_id=plan_id)
    return await debts_of(session, plans)


async def debts_of(session: Session, plans: Mapping[str, Plan]) -> dict[str, Debt]:
    """The debts of plans that the caller has locked."""
    ids = list(plans)
    products = await load_products(session, plans.values())
    aged = await movement_rows.load_aged(session, ids)
    movements = await movement_rows.load_movements(session, ids)
    books = await movement_rows.load_books(session, ids)
    return {
        plan_id: Debt(
            plan, products[plan.product_code, plan.product_version], aged.get(plan_id, ()),
            books.get(plan_id, PlanBooks()), movements.get(plan_id, ()),
        )
        for plan_id, plan in plans.items()
    }  # fmt: skip


async def load_products(session: Session, plans: Iterable[Plan]) -> dict[tuple[str, int], Product]:
    """The versions of products that plans were made by: a handful."""
    wanted = sorted({(plan.product_code, plan.product_version) for plan in plans})
    return {key: await repository.load_product(session, *key) for key in wanted}


def aged_after(before: Sequence[Aged], state: PlanState) -> tuple[Aged, ...]:
    """Installments as they become: what stays unpaid on its day, or paid, stays in the bucket that it is kept in.

    An installment that is no more (its re-age was undone) is kept as nothing owed. One that did not change is the very
    same value as before, by which ``changes`` knows it.
    """
    known = {row.state.number: row for row in before}
    became = [_aged(known.get(part.number), part, state.on) for part in state.installments]
    return (*became, *[_gone(row) for row in before if row.state.number > len(became)])


def changes(before: Sequence[Aged], after: Sequence[Aged]) -> tuple[list[Aged], list[Aged]]:
    """The installments that ``aged_after`` changed, as they were and as they are."""
    same = {id(row) for row in before} & {id(row) for row in after}
    return [row for row in before if id(row) not in same], [row for row in after if id(row) not in same]


def _aged(known: Aged | None, part: InstallmentState, on: date) -> Aged:
    if known is not None and known.state == part:
        return known
    return Aged(part, _bucket(known, part, on))


def _gone(known: Aged) -> Aged:
    nothing = Kopecks(0)
    part = InstallmentState(known.state.number, known.state.due_on, nothing, nothing)
    return known if known.state == part else Aged(part, known.bucket)


def _bucket(known: Aged | None, part: InstallmentState, on: date) -> Bucket:
    if known is None or known.state.due_on != part.due_on:
        return bucket_of(part.due_on, on=on)
    is_owed_again = part.amount > part.paid and known.state.amount == known.state.paid
    return bucket_of(part.due_on, on=on) if is_owed_again else known.bucket


def standing_effect(aged: Iterable[Aged], *, overpaid: int, penalty: int) -> Effect:
    """What a debt is in the books: its installments by bucket, its penalty, the buyer's money above it."""
    effect = {chart.PLAN_PENALTY_RECEIVABLE: penalty, chart.PLAN_OVERPAYMENT: -overpaid}
    for row in aged:
        code = chart.plan_receivable(row.bucket)
        effect[code] = effect.get(code, 0) + int(row.state.amount) - int(row.state.paid)
    return effect
