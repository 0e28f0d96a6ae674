"""The till's input: four weeks of baskets of ten stores, as orders and as sums, computed without our system.

Source: data/SOURCE.md.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger.clock import MOSCOW
from ledger.money import Kopecks

FILE = Path(__file__).with_name("data") / "till_baskets.jsonl.gz"
KOPECKS_A_CENT = 100
"""2.50 dollars are read as 250 roubles."""
GRAMS_A_KILOGRAM = 1_000
WEIGHED_FROM = 100
"""From so many units on, a quantity is read as grams."""


@dataclass(frozen=True, slots=True)
class TillLine:
    """One line, in kopecks."""

    article: str
    quantity: int
    value: Kopecks
    """What the store gets for it, the promo code's part with it."""
    discount: Kopecks
    """What the till takes off the shelf's price."""
    coupon: Kopecks
    """What a promo code pays of it."""

    def body(self) -> dict[str, Any]:
        """The line as the API takes it: whatever the measure, it comes to the same kopeck."""
        measure, quantity, price = priced(int(self.value + self.discount), self.quantity)
        return {
            "article": self.article, "name": f"Товар {self.article}", "measure": measure, "quantity": quantity,
            "price_kopecks": price, "discount_kopecks": int(self.discount),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TillBasket:
    """One basket of the file."""

    id: str
    household: str
    store: str
    at: datetime
    lines: tuple[TillLine, ...]

    @property
    def number(self) -> str:
        """The order's number at its merchant."""
        return f"till-{self.id}"

    @property
    def on(self) -> date:
        """The day it was sold."""
        return self.at.date()

    @property
    def value(self) -> Kopecks:
        """What the store gets."""
        return Kopecks(sum(line.value for line in self.lines))

    @property
    def discount(self) -> Kopecks:
        """What the till takes off."""
        return Kopecks(sum(line.discount for line in self.lines))

    @property
    def coupon(self) -> Kopecks:
        """What a promo code is to pay: never all, a kopeck is the rail's."""
        return Kopecks(max(0, min(sum(line.coupon for line in self.lines), self.value - 1)))


def priced(gross: int, quantity: int) -> tuple[str, int, int]:
    """A measure, a quantity and a shelf price that come to ``gross`` exactly."""
    if quantity >= 1 and gross % quantity == 0 and quantity < WEIGHED_FROM:
        return "piece", quantity, gross // quantity
    if quantity >= WEIGHED_FROM:
        price = (gross * GRAMS_A_KILOGRAM * 2 + quantity) // (quantity * 2)
        if (price * quantity * 2 + GRAMS_A_KILOGRAM) // (GRAMS_A_KILOGRAM * 2) == gross:
            return "gram", quantity, price
    return "piece", 1, gross


def read_baskets(count: int | None = None) -> list[TillBasket]:
    """The first ``count`` baskets, in the order of time."""
    with gzip.open(FILE, "rt", encoding="ascii") as file:
        found = [_basket(json.loads(row, parse_float=Decimal)) for row in file]
    return sorted(found, key=lambda basket: (basket.at, basket.id))[:count]


def turnover(baskets: Sequence[TillBasket]) -> Kopecks:
    """What the baskets come to."""
    return Kopecks(sum(basket.value for basket in baskets))


def _basket(row: dict[str, Any]) -> TillBasket:
    at = datetime.fromisoformat(row["at"]).replace(tzinfo=MOSCOW)
    lines = [_line(*line) for line in row["lines"] if line[1] > 0 or line[2] > 0]
    return TillBasket(row["basket_id"], row["household_id"], row["store_id"], at, tuple(lines))


def _line(article: str, quantity: Decimal, value: Decimal, discount: Decimal, coupon: Decimal) -> TillLine:
    return TillLine(article, int(quantity), _kopecks(value), _kopecks(discount), _kopecks(coupon))


def _kopecks(dollars: Decimal) -> Kopecks:
    """The file's numbers are cents with noise: 1.6600000000000001 is 166 cents."""
    return Kopecks(int((dollars * 100).to_integral_value()) * KOPECKS_A_CENT)
