"""The merchant's fee (скидка магазина) as income: earned over the plan by what is outstanding of it, to the kopeck.

A fee of 276.00 of four parts is earned as 138.00, 92.00 and 46.00, on the days of the second, third and fourth part:
while three quarters, a half and a quarter of the price are lent.

Source: installments.md 5.2, row 8: effective interest over the plan, weights 3:2:1; installments/DECISIONS.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from installments.schedule import Installment
from ledger.money import Kopecks, share_of


def fee_of(total: Kopecks, basis_points: int) -> Kopecks:
    """The merchant's discount of what is left of a price; the part of a kopeck is the merchant's."""
    return share_of(total, basis_points)


def earned_by(schedule: Sequence[Installment], fee: int, on: date) -> int:
    """How much of a fee is earned by the end of a day, were the plan to run as agreed. The sum is exactly the fee."""
    weights = _weights(schedule)
    whole = sum(weight for _, weight in weights)
    passed = sum(weight for ends_on, weight in weights if ends_on <= on)
    return fee if whole == 0 or passed == whole else fee * passed // whole


def next_earned_on(schedule: Sequence[Installment], on: date) -> date | None:
    """The next day on which a part of a fee is earned, or nothing."""
    return next((ends_on for ends_on, _ in _weights(schedule) if ends_on > on), None)


def earned_after_return(earned: int, fee_before: int, fee_after: int) -> int:
    """What stays earned of a fee when a part of it goes back to the merchant: the same share, rounded down."""
    if fee_after >= fee_before:
        return earned
    return earned * fee_after // fee_before


def _weights(schedule: Sequence[Installment]) -> list[tuple[date, int]]:
    """The end of each time between two installments, and what is lent in it."""
    lent = sum(int(part.amount) for part in schedule)
    weights = []
    for part, following in pairwise(schedule):
        lent -= int(part.amount)
        weights.append((following.due_on, lent))
    return weights
