"""Penalty (пени): simple, of the overdue part only, for each day past due and grace, never above the law.

Each installment collects kopecks times days, weighed by the length of the year, and is rounded down once, as a whole:
so a kopeck is never lost or gained by how often somebody looked. No penalty is charged on penalty.
"""

from __future__ import annotations

from datetime import date, timedelta

from installments.law import law_on
from installments.parts import Parts
from installments.products import Product
from ledger.money import BASIS_POINTS

COMMON, LEAP = 365, 366
DIVISOR = BASIS_POINTS * COMMON * LEAP


class PenaltyMeter:
    """Penalty while a plan is replayed."""

    __slots__ = ("basis_points", "grace", "paid", "reached", "waived")

    def __init__(self, product: Product, contract_on: date) -> None:
        law = law_on(contract_on)
        self.basis_points = min(product.penalty_basis_points, law.penalty_basis_points_max)
        self.grace = product.penalty_grace_days
        self.reached = contract_on
        """The last day that is counted."""
        self.waived = 0
        self.paid = 0

    def reach(self, parts: Parts, day: date) -> None:
        """Count the days up to ``day`` and with it: what is unpaid now was unpaid on all of them."""
        if day <= self.reached:
            return
        if self.basis_points:
            grace, amount, paid, reached = self.grace, parts.amount, parts.paid, self.reached
            for index, due_on in enumerate(parts.due_on):
                if due_on < day and (unpaid := amount[index] - paid[index]) > 0:
                    since = due_on + timedelta(grace) if grace else due_on
                    parts.weight[index] += unpaid * day_weights(since if since > reached else reached, day)
        self.reached = day

    def accrued(self, parts: Parts) -> int:
        """All penalty so far, each installment rounded down."""
        basis_points = self.basis_points
        return sum([weight * basis_points // DIVISOR for weight in parts.weight if weight])

    def owed(self, parts: Parts) -> int:
        """Penalty neither waived nor paid."""
        return self.accrued(parts) - self.waived - self.paid


def day_weights(since: date, until: date) -> int:
    """The days after ``since`` up to ``until``: a day of a common year weighs 366, of a leap year 365.

    So ``kopecks × weights × basis points / DIVISOR`` is a year's rate by the days of its own year, never above it.
    """
    total = 0
    while since < until:
        end = min(until, date((since + timedelta(1)).year, 12, 31))
        total += (end - since).days * (COMMON if _is_leap(end.year) else LEAP)
        since = end
    return total


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
