"""Goods bought by a plan at the till come back by lines: the plan is refunded, and costs no more than any rail."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_plan_rail import accept

pytestmark = pytest.mark.usefixtures("watched_accounts")

LINES = [
    {"article": "s-1", "name": "Стул", "quantity": 3, "price_kopecks": 200_002},
    {"article": "t-1", "name": "Стол", "quantity": 1, "price_kopecks": 400_050},
]
SUBTOTAL = 1_000_056
OFFERED = SUBTOTAL - 20_001


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def test_a_plan_takes_the_best_offer_and_gives_goods_back_by_lines(shop: PlanShop) -> None:
    till = shop.cards
    offer = {"merchant_id": till.merchant_id, "rail": "sbp", "basis_points": 200, "note": "По СБП дешевле на 2 %"}
    await till.made("/v1/rail-offers", offer)
    order = await till.made(
        "/v1/orders", {"terminal_id": till.terminal_id, "number": "P-1", "basket": {"lines": LINES}}
    )
    attempt = await till.made(f"/v1/orders/{order['id']}/attempts", {"rail": "dolyame"})
    plan_id = attempt["qr"]["qrc_id"]
    await accept(shop, plan_id)
    paid = await till.read(f"/v1/orders/{order['id']}")
    assert (paid["status"], paid["amount_kopecks"], paid["tenders"]["offer_rail"]) == ("paid", OFFERED, "dolyame")

    chair = await till.made("/v1/item-refunds", {"order_id": order["id"], "items": [{"line": 1, "quantity": 1}]})
    by_sum = await till.made(f"{PLANS}/{plan_id}/refunds", {"refund_id": "return-1", "amount_kopecks": 300_000}, 409)
    rest = await till.made("/v1/item-refunds", {"order_id": order["id"]})

    assert (chair["status"], rest["status"]) == ("succeeded", "succeeded")
    assert chair["amount_kopecks"] + rest["amount_kopecks"] == OFFERED
    assert by_sum["code"] == "checkout.refund_by_items"
    plan = await till.read(f"{PLANS}/{plan_id}")
    assert (plan["refunded_kopecks"], plan["outstanding_kopecks"]) == (OFFERED, 0)
    assert (await till.read(f"/v1/orders/{order['id']}"))["amount_refunded_kopecks"] == OFFERED
