"""The input: purchases of CDNOW's customers, and what they add up to, computed without our system.

Two equal rows are two purchases, so an order's number is the row's own position in the file and
never a hash of what the row says. Source: data/SOURCE.md.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from ledger.clock import MOSCOW
from ledger.money import Kopecks, kopecks_of

FILE = Path(__file__).with_name("data") / "cdnow_purchases.csv.gz"
ROUBLES_A_DOLLAR = 100
"""2.50 dollars are read as 250 roubles."""
QUARTER_ENDS_ON = date(1997, 3, 31)
SHOP_OPENS = time(10, tzinfo=MOSCOW)
SHOP_MINUTES = 12 * 60


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row."""

    position: int
    """From 1, among the rows of the file."""
    customer: int
    bought_on: date
    discs: int
    amount: Kopecks
    """May be zero: such a row is refused as an order."""

    @property
    def number(self) -> str:
        """The order's number at its merchant."""
        return f"cdnow-{self.position:06}"

    @property
    def placed_at(self) -> datetime:
        """A moment of that day. The file knows no time, so rows are spread over the opening hours."""
        opening = datetime.combine(self.bought_on, SHOP_OPENS)
        return opening + timedelta(minutes=self.position * 7 % SHOP_MINUTES, seconds=self.position % 60)


def read_purchases(*, is_all: bool = False, orders: int | None = None, skipped: int = 0) -> list[Purchase]:
    """The first quarter of 1997, or everything; of that ``orders`` rows after ``skipped``. In the order of the days."""
    rows = [row for row in _rows() if is_all or row.bought_on <= QUARTER_ENDS_ON]
    taken = rows[skipped:] if orders is None else rows[skipped : skipped + orders]
    return sorted(taken, key=lambda row: (row.bought_on, row.position))


def _rows() -> Iterator[Purchase]:
    with gzip.open(FILE, "rt", encoding="ascii", newline="") as file:
        for position, row in enumerate(csv.DictReader(file), 1):
            yield Purchase(
                position=position,
                customer=int(row["customer_id"]),
                bought_on=date.fromisoformat(row["date"]),
                discs=int(row["quantity"]),
                amount=kopecks_of(row["amount"]) * ROUBLES_A_DOLLAR,
            )


def turnover(purchases: list[Purchase]) -> Kopecks:
    """What the rows add up to."""
    return sum((purchase.amount for purchase in purchases), Kopecks(0))
