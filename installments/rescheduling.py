"""Moving days of a plan: snooze (перенос платежа), re-age (новый график) and re-amortisation (перераспределение).

None of them changes what is owed. Whether the new last day is within the law is asked of ``law.check_term``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from installments.errors import ReAgeNotPossible, SnoozeNotPossible, SnoozeSpent
from installments.law import check_term
from installments.movements import Movement, MovementKind
from installments.parts import Parts
from installments.products import Product
from installments.schedule import INSTALLMENTS_MAX, due_days
from installments.splitting import even_parts, unit_of
from installments.state import PlanState

PARTS_MAX = 60
"""Installments a plan may come to have, with all its re-ages."""


def snooze(parts: Parts, movement: Movement) -> None:
    """Move one unpaid installment to a later day. If it was paid in the meantime, nothing happens."""
    number, new_due_on = movement.installment_number, movement.new_due_on
    if number is None or new_due_on is None or not 1 <= number <= PARTS_MAX:
        raise SnoozeNotPossible(installment_number=number)
    index = number - 1
    if index < len(parts.due_on) and parts.unpaid(index) > 0 and parts.due_on[index] < new_due_on:
        parts.due_on[index] = new_due_on
        parts.by_day()


def re_age(parts: Parts, movement: Movement, product: Product, day: date) -> None:
    """Cut all that is unpaid into new installments from a later day; the old ones keep what was paid of them.

    Source: Apache Fineract, re-age: the rest in equal parts, the odd kopecks in the last.
    """
    count, start = movement.count or 0, movement.new_due_on
    if start is None or start < day or not 1 <= count <= INSTALLMENTS_MAX or len(parts.due_on) + count > PARTS_MAX:
        raise ReAgeNotPossible(count=count, installments_max=INSTALLMENTS_MAX)
    total, again = _cleared(parts, range(len(parts.amount)))
    days = due_days(start, count, step=movement.step or product.step, every=movement.every or product.every)
    added = [
        parts.add(due_on, amount)
        for due_on, amount in zip(days, even_parts(total, count, unit=unit_of(product)), strict=True)
        if amount
    ]
    parts.mark_again(added, again)
    parts.extra = None


def re_amortise(parts: Parts, product: Product, day: date) -> None:
    """Spread what is past due or due over what is not yet due, evenly. With nothing left to come, nothing happens.

    Source: Apache Fineract, re-amortization.
    """
    ahead = [index for index in parts.order if parts.due_on[index] > day and index != parts.extra]
    if not ahead:
        return
    total, again = _cleared(parts, [index for index in parts.order if parts.due_on[index] <= day])
    for index, portion in zip(ahead, even_parts(total, len(ahead), unit=unit_of(product)), strict=True):
        parts.amount[index] += portion
    parts.mark_again(ahead, again)


def _cleared(parts: Parts, indexes: Iterable[int]) -> tuple[int, int]:
    """All that is unpaid of these, and how much of it was owed again; they keep what was paid."""
    cleared = [parts.clear(index) for index in indexes]
    return sum(unpaid for unpaid, _ in cleared), sum(again for _, again in cleared)


def check_reschedule(before: PlanState, after: PlanState, movement: Movement, *, contract_on: date) -> None:
    """A snooze or re-age about to be recorded does something, and its last day is within the law of the contract.

    Raises: SnoozeNotPossible; ReAgeNotPossible; TermAboveLaw.
    """
    if before.installments == after.installments:
        raise SnoozeNotPossible if movement.kind is MovementKind.SNOOZE else ReAgeNotPossible
    last = max((part.due_on for part in after.installments if part.unpaid > 0), default=contract_on)
    check_term(contract_on, last)


def check_once(movements: Sequence[Movement]) -> None:
    """One snooze in a plan. Raises: SnoozeSpent."""
    if sum([movement.kind is MovementKind.SNOOZE for movement in movements]) > 1:
        raise SnoozeSpent
