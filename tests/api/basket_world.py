"""A shop that takes cards, with a programme of points, a loyalty card and a promo code: orders with every tender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from checkout.loyalty_cards import issue_card
from checkout.telling import BY_ITSELF
from ledger.clock import machine_now
from ledger.database import transaction
from ledger.ids import new_id
from tests.api.card_world import CardShop

PROGRAMME = "zerna"
GRANTED = 500
COFFEE = {"article": "10-1", "name": "Кофе", "quantity": 3, "price_kopecks": 10_001}
NUTS = {"article": "10-2", "name": "Орехи", "measure": "gram", "quantity": 250, "price_kopecks": 120_000}
LINES = [COFFEE, NUTS]
SUBTOTAL = 30_003 + 30_000


@dataclass
class BasketShop:
    """What a test works with. A point is worth a rouble; 5 % of the rail's money is earned."""

    shop: CardShop
    card_id: str

    async def place(self, number: str = "B-1", status: int = 201, **more: Any) -> Any:
        body = {"terminal_id": self.shop.terminal_id, "number": number, "basket": {"lines": LINES}, **more}
        return await self.shop.made("/v1/orders", body, status)

    async def place_with_all(self, number: str = "B-1", points: int = 100) -> Any:
        return await self.place(number, loyalty_card_id=self.card_id, promo_code="OSEN-10", points=points)

    async def order(self, order_id: str) -> Any:
        return await self.shop.read(f"/v1/orders/{order_id}")

    async def take_back(self, order_id: str, items: Any = (), status: int = 201) -> Any:
        body = {"order_id": order_id, "items": [{"line": line, "quantity": quantity} for line, quantity in items]}
        return await self.shop.made("/v1/item-refunds", body, status)

    async def points(self) -> int:
        return int((await self.shop.read(f"/v1/loyalty-cards/{self.card_id}/points"))["posted"])


async def basket_shop(shop: CardShop, **terms: int) -> BasketShop:
    """Open the programme, issue the card with its points, make the code."""
    rule = {"earn_basis_points": 500, **terms}
    await shop.made("/v1/points-programmes", {
        "merchant_id": shop.merchant_id, "code": PROGRAMME, "name": "Зёрна", "point_kopecks": 100, "rule": rule,
    })  # fmt: skip
    now = machine_now()
    async with transaction(shop.engine) as session:
        card = await issue_card(
            session, new_id("lcd", now), merchant_id=shop.merchant_id, programme=PROGRAMME, digest=None, by=BY_ITSELF,
            now=now,
        )  # fmt: skip
    await shop.made(f"/v1/loyalty-cards/{card.id}/points", {"points": GRANTED, "reason": "За знакомство"})
    await shop.made("/v1/promo-codes", {
        "merchant_id": shop.merchant_id, "code": "OSEN-10", "kind": "discount", "discount_basis_points": 1_000,
        "redemptions_max": 2,
    })  # fmt: skip
    return BasketShop(shop, card.id)
