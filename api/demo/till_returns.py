"""Goods that come back: some buyers bring all of a basket or a part of it, before their store closes the day.

What must go back is worked out here from the order's own lines, without asking anybody.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from api.demo.caller import Caller
from api.demo.errors import DemoFailed
from api.demo.hearing import Hearing
from api.demo.till_sale import TillSale
from api.demo.till_shop import EARN_BASIS_POINTS, POINT_KOPECKS, created
from ledger.clock import monotonic

RETURN_SHARE = 0.06
"""Of the baskets some goods come back."""
WHOLE_SHARE = 0.4
"""Of those, everything comes back."""
LINES_BACK_MAX = 3
SECONDS_MAX = 180.0
"""A lost answer to a refund is asked for after a minute at the latest."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Goods:
    """What one buyer brings."""

    items: list[dict[str, int]]
    """Lines and quantities; none: everything."""
    amount: int
    points: int
    """What must go back for it, in kopecks and in points."""


@dataclass(slots=True)
class GoodsBack:
    """What one buyer brought back."""

    sale: TillSale
    on: date
    """The day of the file on which it came back."""
    is_whole: bool
    amount: int
    points: int
    """What must go back, in kopecks and in points."""
    answer: dict[str, Any]
    """The refund as the door told it last."""

    @property
    def earned_back(self) -> int:
        """Of the points that the order earned, what the refund takes back."""
        paid = self.sale.tenders["amount_kopecks"]
        earned = paid * EARN_BASIS_POINTS // 10_000 // POINT_KOPECKS
        return int(earned * self.amount // paid)


@dataclass(slots=True)
class Returns:
    """Everything that comes back in a run."""

    hearing: Hearing
    seed: int
    share: float = 0.0
    due: dict[str, list[TillSale]] = field(default_factory=dict)
    """By store: sold, and to be brought back."""
    made: list[GoodsBack] = field(default_factory=list)

    def consider(self, sale: TillSale) -> None:
        """Whether its buyer will be back, by chance."""
        if self._chance(sale).random() < self.share:
            self.due.setdefault(sale.basket.store, []).append(sale)

    async def take_back(self, caller: Caller, store: str, on: date) -> None:
        """Everybody whose payment is known comes; the others the day after. Raises: DemoFailed."""
        waiting, self.due[store] = self.due.get(store, []), []
        for sale in waiting:
            if sale.order_id in self.hearing.paid:
                self.made.append(await self._take(caller, sale, on))
            else:
                self.due[store].append(sale)

    async def wait_for_store(self, caller: Caller, store: str) -> None:
        """Wait until rails have said their last word on all that a store took back. Raises: DemoFailed."""
        deadline = monotonic() + SECONDS_MAX
        for back in [each for each in self.made if each.sale.basket.store == store]:
            while not back.answer["is_final"]:
                if monotonic() > deadline:
                    raise DemoFailed(f"{back.sale.basket.number}: what came back is still {back.answer['status']}")
                back.answer = await caller.get(f"/v1/item-refunds/{back.answer['id']}")
                if not back.answer["is_final"]:
                    await asyncio.sleep(LOOK_SECONDS)

    async def _take(self, caller: Caller, sale: TillSale, on: date) -> GoodsBack:
        chance = self._chance(sale)
        chance.random()  # it was spent on whether anything comes back
        goods = choose_goods(sale.tenders["lines"], chance)
        wish = {"order_id": sale.order_id, "items": goods.items, "reason": "Товар вернули"}
        answer = await created(caller, "/v1/item-refunds", wish, f"{sale.basket.number}-back")
        return GoodsBack(sale, on, not goods.items, goods.amount, goods.points, answer)

    def _chance(self, sale: TillSale) -> random.Random:
        return random.Random(f"{self.seed}/{sale.basket.id}/back")  # noqa: S311  # must be repeatable


def choose_goods(lines: Sequence[dict[str, Any]], chance: random.Random) -> Goods:
    """All of a basket, or a few of its lines: of pieces some, of what was weighed all."""
    sold = [line for line in lines if line["quantity"] > 0]
    if chance.random() < WHOLE_SHARE:
        return _goods_of(sold, [])
    chosen = chance.sample(sold, chance.randint(1, min(LINES_BACK_MAX, len(sold))))
    items = [
        {
            "line": line["line"],
            "quantity": chance.randint(1, line["quantity"]) if line["measure"] == "piece" else line["quantity"],
        }
        for line in chosen
    ]
    return _goods_of(chosen, items)


def _goods_of(lines: Sequence[dict[str, Any]], items: list[dict[str, int]]) -> Goods:
    gone = {each["line"]: each["quantity"] for each in items}
    amount, points = (
        sum(line[name] * gone.get(line["line"], line["quantity"]) // line["quantity"] for line in lines)
        for name in ("rail_kopecks", "points")
    )
    return Goods(items, amount, points)
