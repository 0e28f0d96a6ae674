"""Recording (запись движений): facts become movements of plans, plans become what their replay says, and the books
say the same, all in one transaction. Nothing else changes a debt.

    await record(session, plan_id, Movement(…), now=now)

The status that the shop sees is not changed here: ``committing`` and ``refunding`` do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from installments import clearing, movement_rows, vouchers
from installments.arrears import Bucket
from installments.debts import Debt, load_debts, load_products, schedule_of
from installments.errors import MovementDiffers, MovementInFuture, UndoneMovementUnknown
from installments.fee_recognition import fee_of, next_earned_on
from installments.merchant_money import open_purses
from installments.movement_rows import Aged
from installments.movements import Movement, MovementKind
from installments.plan import Plan, Standing
from installments.provisions import lock_allowance
from installments.reckoning import TOUCH_MERCHANT, Desk, Reckoned, reckon
from installments.recording_told import tell
from installments.state import InstallmentState, PlanState
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.errors import InvariantBroken
from ledger.money import Kopecks

RECORD_MAX = 500
"""Movements in one call: what a night records in one transaction well under a second."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one movement."""

    movement: Movement
    """As it is kept: the first one under its reference."""
    plan: Plan
    state: PlanState
    is_new: bool
    """False where its reference was recorded before: nothing happened now."""


async def open_debt(session: Session, plan: Plan, *, now: datetime) -> Plan:
    """Begin the debt of a plan that is committed now: its installments, and rows 3 and 4 in the books.

    Takes the plan with its status, price, day of contract and discount as committed; gives it with its debt, to be
    saved by the caller with ``repository.save_plan``.

    Raises: ScheduleRejected; EntryRejected. Locks: the accounts, in their one order.
    """
    assert plan.fee_basis_points is not None
    products = await load_products(session, [plan])
    schedule = schedule_of(plan, products[plan.product_code, plan.product_version])
    began = replace(
        plan, standing=Standing.CURRENT, outstanding=plan.price, fee=fee_of(plan.price, plan.fee_basis_points),
        next_due_on=schedule[0].due_on,
    )  # fmt: skip
    rows = [InstallmentState(part.number, part.due_on, part.amount, Kopecks(0)) for part in schedule]
    await movement_rows.save_installments(session, [(plan.id, Aged(row, Bucket.NOT_DUE)) for row in rows])
    books = (await movement_rows.load_books(session, [plan.id])).get(plan.id, movement_rows.PlanBooks())
    fee_next_on = next_earned_on(schedule, schedule[0].due_on) if began.fee > 0 else None
    await movement_rows.save_books(session, {plan.id: replace(books, fee_next_on=fee_next_on)})
    await vouchers.book_commit(session, began, now=now)
    return began


async def record(session: Session, plan_id: str, movement: Movement, *, now: datetime) -> tuple[Plan, PlanState]:
    """Record one movement of a plan; see ``record_all``."""
    if movement.plan_id != plan_id:
        raise InvariantBroken("a movement of another plan", plan_id=plan_id, movement_id=movement.id)
    (recorded,) = await record_all(session, [movement], now=now)
    return recorded.plan, recorded.state


async def record_all(session: Session, movements: Sequence[Movement], *, now: datetime) -> list[Recorded]:
    """Record up to 500 movements of any number of plans, each once: a reference known to its plan changes nothing.

    Дт and Кт by kind, as ``vouchers`` lists them; what an earlier movement changes in later ones is one more entry.

    Raises: PlanNotFound; PlanNotCommitted; MovementDiffers; MovementInFuture; MovementRejected; RefundAboveRest;
    EntryRejected.
    Locks: the plans in the order of their ids; merchants whose money moves; the allowance; accounts last.
    """
    assert len(movements) <= RECORD_MAX
    if not movements:
        return []
    debts = await load_debts(session, sorted({one.plan_id for one in movements}))
    new = _new_ones(debts, movements, now)
    if new:
        desk = await _desk(session, debts, new, now)
        done = {plan_id: reckon(debts[plan_id], of_plan, desk) for plan_id, of_plan in sorted(new.items())}
        await _keep(session, list(done.values()), now)
    else:
        done = {}
    return [_recorded(one, debts[one.plan_id], done.get(one.plan_id), now) for one in movements]


def _new_ones(debts: Mapping[str, Debt], movements: Iterable[Movement], now: datetime) -> dict[str, list[Movement]]:
    """By plan, what is not known yet. Raises: MovementDiffers; MovementInFuture."""
    new: dict[str, list[Movement]] = {}
    for movement in movements:
        known = (*debts[movement.plan_id].movements, *new.get(movement.plan_id, ()))
        first = next((one for one in known if one.reference == movement.reference), None)
        if first is not None:
            _refuse_another(first, movement)
        elif moscow_day(movement.happened_at) > moscow_day(now):
            raise MovementInFuture(plan_id=movement.plan_id, happened_at=movement.happened_at.isoformat())
        else:
            _refuse_second_undo(known, movement)
            new.setdefault(movement.plan_id, []).append(movement)
    return new


def _refuse_second_undo(known: Iterable[Movement], movement: Movement) -> None:
    if movement.kind is MovementKind.UNDO and any(
        one.kind is MovementKind.UNDO and one.undoes == movement.undoes for one in known
    ):
        raise UndoneMovementUnknown(undoes=movement.undoes)


def _refuse_another(first: Movement, movement: Movement) -> None:
    """The same reference tells the same fact; when we heard of it may differ."""
    if replace(movement, id=first.id, happened_at=first.happened_at) != first:
        raise MovementDiffers(plan_id=first.plan_id, reference=first.reference)


async def _desk(
    session: Session, debts: Mapping[str, Debt], new: Mapping[str, Sequence[Movement]], now: datetime
) -> Desk:
    operator_id = await clearing.operator_of(session)
    merchants = {debts[plan_id].plan.merchant_id for plan_id in new}
    await vouchers.open_accounts(session, merchants, now=now, operator_id=operator_id)
    touched = [
        debts[plan_id].plan.merchant_id
        for plan_id, movements in new.items()
        if any(one.kind in TOUCH_MERCHANT for one in movements)
    ]
    purses = await open_purses(session, touched)
    loses = any(one.kind is MovementKind.WRITE_OFF for movements in new.values() for one in movements)
    allowance = await lock_allowance(session) if loses else 0
    open_after = await session.scalar(text("SELECT closed_through_on FROM books WHERE name = 'main'"))
    return Desk(operator_id, purses, allowance, open_after, now)


async def _keep(session: Session, done: Sequence[Reckoned], now: datetime) -> None:
    await movement_rows.add_movements(session, [one for each in done for one in each.movements], now=now)
    await movement_rows.save_installments(session, [row for each in done for row in each.changed])
    await movement_rows.save_books(session, {each.plan.id: each.books for each in done})
    await movement_rows.save_debts(session, [each.plan for each in done])
    await tell(session, done, now=now)
    await vouchers.book_all(session, [entry for each in done for entry in each.entries], now=now)


def _recorded(movement: Movement, debt: Debt, done: Reckoned | None, now: datetime) -> Recorded:
    known = {one.reference: one for one in debt.movements}
    first = known.get(movement.reference)
    state = done.state if done is not None else debt.replayed(on=moscow_day(now))
    plan = done.plan if done is not None else debt.plan
    if first is not None:
        return Recorded(first, plan, state, False)
    assert done is not None
    kept = next(one for one in done.movements if one.reference == movement.reference)
    return Recorded(kept, plan, state, kept is movement)
