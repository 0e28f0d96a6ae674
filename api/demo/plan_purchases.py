"""Which purchases become plans: the dearer ones, on the days on which they were made, moved to the days of the run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date

from api.demo.purchases import Purchase, read_purchases
from ledger.money import Kopecks, split_evenly

THRESHOLD = Kopecks(500_000)
"""Five thousand roubles: what is worth being paid in four parts."""
FIRST_ON = date(1997, 1, 1)
LAST_SALES_BEFORE_END_DAYS = 28
"""The last plans of a short run have come to their third installment when it ends."""


@dataclass(frozen=True, slots=True)
class PlanRun:
    """What to run."""

    count: int
    """Plans to be asked for; zero: every purchase above the threshold."""
    days: int
    seed: int
    is_chaos: bool = False
    """Kill an api process and the worker meanwhile."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One purchase to be paid in parts."""

    purchase: Purchase
    day: int
    """Of the run, from 0."""

    @property
    def number(self) -> str:
        """The order's number at its merchant."""
        return self.purchase.number

    @property
    def phone(self) -> str:
        """The customer's, invented from their number."""
        return f"+7916{self.purchase.customer:07}"

    def items(self) -> list[dict[str, object]]:
        """The basket: a line for each disc, the odd kopecks on the first."""
        prices = split_evenly(self.purchase.amount, max(1, self.purchase.discs))
        return [
            {"name": f"CD {number}", "quantity": "1", "price_kopecks": int(price)}
            for number, price in enumerate(prices, start=1)
        ]


def read_wishes(run: PlanRun) -> list[Wish]:
    """The purchases above the threshold within the run's days, or a seeded choice of ``count`` of them, by day."""
    last = run.days - LAST_SALES_BEFORE_END_DAYS if run.count else run.days
    wishes = [
        Wish(purchase, (purchase.bought_on - FIRST_ON).days)
        for purchase in read_purchases(is_all=True)
        if purchase.amount >= THRESHOLD and (purchase.bought_on - FIRST_ON).days < last
    ]
    if run.count and run.count < len(wishes):
        wishes = random.Random(run.seed).sample(wishes, run.count)  # noqa: S311  # a seed, not a secret
    return sorted(wishes, key=lambda wish: (wish.day, wish.purchase.position))
