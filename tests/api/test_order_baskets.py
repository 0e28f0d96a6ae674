"""Orders with a basket at the door: lines, tenders, what each rail takes off, and every refusal with a tip."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.api.conftest import Client
from tests.api.test_cash_links import terminal

CHEESE = {
    "article": "10-4501", "name": "Сыр", "measure": "gram", "quantity": 1125, "price_kopecks": 64_990,
}  # fmt: skip
MILK = {"article": "20-0012", "name": "Молоко", "quantity": 3, "price_kopecks": 8_999, "discount_kopecks": 1_000}
BASKET = {"lines": [CHEESE, MILK]}
SUBTOTAL = 73_114 + 3 * 8_999 - 1_000


@pytest_asyncio.fixture
async def till(client: Client) -> dict[str, Any]:
    return await terminal(client)


async def place(client: Client, till: dict[str, Any], number: str = "A-1", **more: Any) -> Any:
    body = {"terminal_id": till["id"], "number": number, "basket": BASKET, **more}
    return await client.post("/v1/orders", body)


async def test_an_order_asks_for_what_its_lines_come_to(client: Client, till: dict[str, Any]) -> None:
    placed = await place(client, till)

    order = placed.json()
    assert (placed.status_code, order["amount_kopecks"]) == (201, SUBTOTAL)
    tenders = order["tenders"]
    assert (tenders["gross_kopecks"], tenders["discount_kopecks"]) == (SUBTOTAL + 1_000, 1_000)
    assert [line["rail_kopecks"] for line in tenders["lines"]] == [73_114, 25_997]
    assert (await client.get(f"/v1/orders/{order['id']}")).json() == order
    assert (await client.get("/v1/orders")).json()["items"] == [order]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"amount_kopecks": SUBTOTAL + 1}, 422, "checkout.basket_mismatch"),
        ({"basket": None, "amount_kopecks": 100, "points": 5}, 422, "checkout.tenders_need_basket"),
        ({"points": 5}, 422, "checkout.points_need_card"),
        ({"basket": {"lines": [MILK | {"discount_kopecks": 26_998}]}}, 422, "checkout.basket_malformed"),
        ({"basket": {"lines": [MILK | {"article": "а"}]}}, 422, "checkout.basket_malformed"),
        ({"basket": {"lines": [MILK | {"discount_kopecks": 26_997}]}}, 422, "checkout.amount_not_positive"),
        ({"basket": {"lines": []}}, 422, "api.request_invalid"),
        ({"basket": {"lines": [MILK | {"quantity": 1.5}]}}, 422, "api.request_invalid"),
        ({"basket": {"lines": [MILK | {"quantity": 10**30}]}}, 422, "api.request_invalid"),
        ({"basket": {"lines": [MILK | {"measure": "pound"}]}}, 422, "api.request_invalid"),
        ({"basket": None}, 422, "api.request_invalid"),
        ({"promo_code": "NOBODY-KNOWS"}, 404, "checkout.promo_code_not_found"),
        ({"loyalty_card_id": "lcd_0"}, 404, "checkout.loyalty_card_not_found"),
        ({"presentment_id": "prs_0"}, 404, "checkout.presentment_not_found"),
    ],
)
async def test_what_no_till_may_ask_for_changes_nothing(
    client: Client, till: dict[str, Any], more: dict[str, Any], status: int, code: str
) -> None:
    refused = await place(client, till, **more)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    if not code.startswith("api."):
        assert refused.json()["cashier_tip"]
    assert (await client.get("/v1/orders")).json()["items"] == []


async def test_a_canceled_order_lets_its_basket_go(client: Client, till: dict[str, Any]) -> None:
    order = (await place(client, till)).json()

    canceled = (await client.post(f"/v1/orders/{order['id']}/cancel")).json()

    assert (canceled["status"], canceled["tenders"]["status"]) == ("canceled", "released")
    events = (await client.get("/v1/events?limit=200")).json()["items"]
    assert [event["object_id"] for event in events if event["type"] == "order.canceled"] == [order["id"]]
