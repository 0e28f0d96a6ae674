"""Reckoning (расчёт проводок): a debt and its new movements make the debt's next state and the entries between the two.

Each movement is booked as what it did when it was replayed. Whatever else differs then between the books and the plan
(a later payment that falls elsewhere because of an earlier one, penalty that never was) is one more entry. So what the
books say of a plan equals the plan after every recording, to the kopeck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from installments import vouchers
from installments.clearing import source_of
from installments.debts import Debt, aged_after, changes, schedule_of, standing_effect
from installments.effects import Effect, difference, entry_of
from installments.errors import RefundAboveRest
from installments.fee_recognition import earned_after_return, fee_of, next_earned_on
from installments.merchant_money import Purses
from installments.movement_rows import Aged, PlanBooks
from installments.movements import Movement, MovementKind
from installments.plan import Plan, Standing
from installments.state import Allocation, PlanState
from ledger import chart
from ledger.clock import moscow_day
from ledger.entry import Entry
from ledger.money import Kopecks

PAYMENTS = frozenset({
    MovementKind.DOWN_PAYMENT, MovementKind.INSTALLMENT_PAYMENT, MovementKind.EARLY_PAYMENT, MovementKind.RECOVERY,
})  # fmt: skip
"""Money of buyers, out of the clearing."""
OF_MERCHANT = frozenset({MovementKind.MERCHANT_REFUND, MovementKind.PAYOUT_REFUND})
"""Paid by the merchant."""
TOUCH_MERCHANT = OF_MERCHANT | {MovementKind.UNDO}
"""What may move a merchant's money, so it is kept still meanwhile."""
ENDED = frozenset({Standing.REPAID, Standing.WRITTEN_OFF})


@dataclass(slots=True)
class Desk:
    """What a batch of vouchers is written with; the purses and the allowance grow less as it goes on."""

    operator_id: str
    purses: Purses
    allowance: int
    """Kopecks of losses that were expected and are not used yet."""
    open_after: date | None
    """The last closed Moscow day of the books."""
    now: datetime

    def happened_at(self, movement: Movement) -> datetime:
        """When the books say that it happened: a day that is closed takes no entry any more, today does."""
        is_closed = self.open_after is not None and moscow_day(movement.happened_at) <= self.open_after
        return self.now if is_closed else movement.happened_at

    def of_allowance(self, lost: int) -> int:
        """As much of a loss as was expected."""
        taken = max(min(lost, self.allowance), 0)
        self.allowance -= taken
        return taken


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A debt after a recording."""

    before: Debt
    plan: Plan
    aged: tuple[Aged, ...]
    books: PlanBooks
    state: PlanState
    movements: tuple[Movement, ...]
    """The new ones."""
    entries: tuple[Entry, ...]

    @property
    def changed(self) -> list[tuple[str, Aged]]:
        """Installments that became others."""
        _, became = changes(self.before.aged, self.aged)
        return [(self.plan.id, row) for row in became]


def reckon(debt: Debt, movements: Sequence[Movement], desk: Desk) -> Reckoned:
    """The debt with its new movements, and their entries.

    Raises: MovementRejected; RefundAboveRest; InvariantBroken if money was lost on the way.
    """
    state = debt.replayed(movements, on=moscow_day(desk.now))
    if state.refunded > debt.plan.price:
        raise RefundAboveRest(plan_id=debt.plan.id, rest_kopecks=int(debt.plan.total))
    aged = aged_after(debt.aged, state)
    fee = _fee_after(debt, state)
    writing = _Writing(debt, state, {row.state.number: row.bucket for row in aged}, desk, movements[-1])
    writing.accrue()
    writing.return_fee(fee)  # first, so that it pays for the goods' refund too
    for movement in movements:
        writing.tell(movement)
    writing.settle(aged)
    plan = _plan_after(debt.plan, state, fee, desk.now)
    books = _books_after(debt, state, plan, writing, desk.now)
    return Reckoned(debt, plan, aged, books, state, tuple(movements), tuple(writing.entries))


class _Writing:
    """The entries of one plan while they are written."""

    def __init__(self, debt: Debt, state: PlanState, buckets: vouchers.Buckets, desk: Desk, last: Movement) -> None:
        self.debt, self.state, self.buckets, self.desk, self.last = debt, state, buckets, desk, last
        self.entries: list[Entry] = []
        self.effects: list[Effect] = []
        """Of the entries so far."""
        self.sources: list[Effect] = []
        """What the outside gave or took, whatever the debt made of it."""
        self.reserved = debt.books.reserved
        self.held = debt.books.held
        self.of_allowance = 0
        self.by_id = {one.id: one for one in debt.movements}
        self.allocations = {one.movement_id: one for one in state.allocations}

    def write(self, effect: Effect, kind: str, reference: str, happened_at: datetime, /, **facts: object) -> None:
        """One more entry, where anything moves."""
        plan = self.debt.plan
        entry = entry_of(
            effect, kind=f"plan.{kind}", reference=reference, happened_at=happened_at,
            metadata=vouchers.facts_of(plan, **facts),
        )  # fmt: skip
        if entry is not None:
            self.entries.append(entry)
            self.effects.append(effect)

    def accrue(self) -> None:
        """Penalty that has grown since the books last looked."""
        grown = int(self.state.penalty_accrued) - self.debt.books.penalty_accrued
        if grown > 0:
            effect = vouchers.penalty_accrued(grown)
            self.write(effect, "penalty_accrued", f"plan_penalty:{self.last.id}", self.desk.now)

    def tell(self, movement: Movement) -> None:
        """The entry of one new movement."""
        self.by_id[movement.id] = movement
        source = self._source(movement)
        self.sources.append(source)
        if movement.kind is MovementKind.DOWN_PAYMENT:
            self._release_hold(movement)
        allocation = self.allocations.get(movement.id)
        if allocation is None:
            return  # an undo, or undone by a later one of the same call
        effect = self._effect(movement, allocation, source)
        self.write(
            effect, movement.kind.value, f"plan_movement:{movement.id}", self.desk.happened_at(movement),
            movement_id=movement.id, told_as=movement.reference,
        )  # fmt: skip

    def _release_hold(self, movement: Movement) -> None:
        released, self.held = vouchers.hold_released(self.held), 0
        self.sources.append(released)
        self.write(released, "released", f"plan_released:{movement.id}", self.desk.now)

    def _effect(self, movement: Movement, allocation: Allocation, source: Effect) -> Effect:
        amount, buckets = movement.amount, self.buckets
        if movement.kind in PAYMENTS:
            return vouchers.payment(amount, allocation, buckets, self._clearing(movement))
        if movement.kind in OF_MERCHANT:
            return vouchers.merchant_refund(allocation, buckets, source)
        if movement.kind is MovementKind.GOODWILL:
            return vouchers.goodwill(amount, allocation, buckets)
        if movement.kind is MovementKind.CHARGEBACK:
            return vouchers.chargeback(amount, allocation, buckets, self._clearing(movement))
        if movement.kind is MovementKind.CREDIT_REFUND:
            return vouchers.credit_refund(amount, allocation, buckets)
        if movement.kind is MovementKind.WAIVER:
            return vouchers.waiver(allocation)
        if movement.kind is MovementKind.WRITE_OFF:
            return self._written_off(allocation)
        return {}  # moves days only: what that does to buckets is settled below

    def _written_off(self, allocation: Allocation) -> Effect:
        self.of_allowance += (taken := self.desk.of_allowance(vouchers.lost_by(allocation)))
        return vouchers.write_off(allocation, self.buckets, taken)

    def _source(self, movement: Movement, sign: int = 1) -> Effect:
        """What a movement takes from outside of the debt, and an undo gives back."""
        if movement.kind is MovementKind.UNDO:
            return self._source(self._named(movement), -sign)
        if sign < 0 and movement.kind in OF_MERCHANT:
            return self.desk.purses.give(self.debt.plan.merchant_id, int(movement.amount))
        return self._taken(movement, sign)

    def _taken(self, movement: Movement, sign: int) -> Effect:
        amount = sign * int(movement.amount)
        if movement.kind in PAYMENTS:
            return {self._clearing(movement): amount}
        if movement.kind in OF_MERCHANT:
            effect, used = self.desk.purses.take(self.debt.plan.merchant_id, amount, self.reserved)
            self.reserved -= used
            return effect
        if movement.kind is MovementKind.GOODWILL:
            return {chart.PLAN_GOODWILL: amount}
        if movement.kind is MovementKind.CHARGEBACK:
            return {self._clearing(movement): -amount}
        if movement.kind is MovementKind.CREDIT_REFUND:
            return {chart.PLAN_REFUND_PAYABLE: -amount}
        return {}

    def _clearing(self, movement: Movement) -> str:
        paid = self._named(movement) if movement.kind is MovementKind.CHARGEBACK else movement
        return source_of(paid, self.debt.plan, self.desk.operator_id)

    def _named(self, movement: Movement) -> Movement:
        assert movement.undoes is not None
        return self.by_id[movement.undoes]

    def return_fee(self, fee: Kopecks) -> None:
        """The discount follows the goods: less of them, less of it, and more again when a refund is undone."""
        before, books, plan = int(self.debt.plan.fee), self.debt.books, self.debt.plan
        if fee == before:
            return
        earned = books.fee_recognised - earned_after_return(books.fee_recognised, before, int(fee))
        if fee < before:
            merchant = self.desk.purses.give(plan.merchant_id, before - int(fee))
        else:
            merchant, used = self.desk.purses.take(plan.merchant_id, int(fee) - before, self.reserved)
            self.reserved -= used
        effect = vouchers.fee_returned(before - int(fee), earned, merchant)
        self.sources.append(effect)
        self.write(effect, "fee_returned", f"plan_fee:{self.last.id}", self.desk.now)

    def settle(self, aged: Sequence[Aged]) -> None:
        """Book whatever the entries so far do not say of the plan as it is now."""
        missing = difference(*self._sides(aged))
        if not missing:
            return
        is_told = any(one.reference == f"plan_movement:{self.last.id}" for one in self.entries)
        kind = "reallocated" if is_told else self.last.kind.value
        self.write(missing, kind, f"plan_settled:{self.last.id}", self.desk.now, movement_id=self.last.id)

    def _sides(self, aged: Sequence[Aged]) -> tuple[list[Effect], list[Effect]]:
        """How the plan is now, with all that moved beside it, and how the books have it with the entries so far."""
        state, plan, books = self.state, self.debt.plan, self.debt.books
        were, became = changes(self.debt.aged, aged)  # what did not change is the same on both sides
        now = standing_effect(became, overpaid=int(state.overpaid), penalty=int(state.penalty))
        then = standing_effect(were, overpaid=int(plan.overpaid), penalty=int(plan.penalty))
        charged = int(state.penalty_accrued) - int(state.penalty_waived)
        lost = int(state.written_off) - books.written_off
        results = {
            chart.PLAN_PENALTY: books.penalty_accrued - books.penalty_waived - charged,
            chart.PLAN_RECOVERY: books.recovered - int(state.recovered),
            chart.PLAN_ALLOWANCE: self.of_allowance,
            chart.PLAN_LOSS: lost - self.of_allowance,
        }
        return [now, results, *self.sources], [then, *self.effects]


def _fee_after(debt: Debt, state: PlanState) -> Kopecks:
    plan = debt.plan
    if not debt.product.is_fee_returned or plan.fee_basis_points is None or state.refunded == plan.refunded:
        return plan.fee
    return fee_of(max(plan.price - state.refunded, Kopecks(0)), plan.fee_basis_points)


def _plan_after(plan: Plan, state: PlanState, fee: Kopecks, now: datetime) -> Plan:
    is_over = state.standing in ENDED
    return replace(
        plan, standing=state.standing, fee=fee, refunded=state.refunded, outstanding=state.outstanding,
        overpaid=state.overpaid, penalty=state.penalty, next_due_on=state.next_due_on,
        ended_at=(plan.ended_at or now) if is_over else None, version=plan.version + 1,
    )  # fmt: skip


def _books_after(debt: Debt, state: PlanState, plan: Plan, writing: _Writing, now: datetime) -> PlanBooks:
    books = debt.books
    earned = earned_after_return(books.fee_recognised, int(debt.plan.fee), int(plan.fee))
    return PlanBooks(
        held=writing.held, reserved=writing.reserved, fee_recognised=earned,
        fee_next_on=_fee_next_on(debt, plan.standing, int(plan.fee) - earned, now),
        penalty_accrued=int(state.penalty_accrued), penalty_waived=int(state.penalty_waived),
        written_off=int(state.written_off), recovered=int(state.recovered), accrued_on=state.on,
    )  # fmt: skip


def _fee_next_on(debt: Debt, standing: Standing, deferred: int, now: datetime) -> date | None:
    """When the night looks at the fee again: at once where the plan is over and something is not earned yet."""
    if deferred <= 0:
        return None
    today = moscow_day(now)
    if standing in ENDED:
        return today
    return debt.books.fee_next_on or next_earned_on(schedule_of(debt.plan, debt.product), today - timedelta(1)) or today
