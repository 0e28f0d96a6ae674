"""Orders with a basket at the door: lines, tenders, what each rail takes off, and every refusal with a tip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from api.callers import create_key
from checkout.barcode import ean_check_digit
from ledger.clock import machine_now
from ledger.database import Engine, transaction
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
        ({"basket": {"lines": []}}, 422, "checkout.basket_empty"),
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


async def made(client: Client, path: str, body: Any) -> Any:
    answer = await client.post(path, body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_scanned_card_makes_one_order_at_its_till_and_another_when_that_is_let_go(
    client: Client, till: dict[str, Any]
) -> None:
    merchant_id = till["merchant_id"]
    card, other = [
        await made(client, "/v1/loyalty-cards", {"merchant_id": merchant_id, "programme": "zerna"}) for _ in range(2)
    ]
    barcode = card["number"] + ean_check_digit(card["number"])
    scan = await made(client, "/v1/presentments", {"terminal_id": till["id"], "barcode": barcode})
    next_till = await made(client, "/v1/terminals", {"store_id": till["store_id"], "name": "2"})

    elsewhere = await place(client, {"id": next_till["id"]}, "A-1", presentment_id=scan["id"])
    another = await place(client, till, "A-2", presentment_id=scan["id"], loyalty_card_id=other["id"])
    order = await place(client, till, "A-3", presentment_id=scan["id"])
    again = await place(client, till, "A-4", presentment_id=scan["id"])
    (await client.post(f"/v1/orders/{order.json()['id']}/cancel")).raise_for_status()
    after = await place(client, till, "A-5", presentment_id=scan["id"])
    once_more = await place(client, till, "A-6", presentment_id=scan["id"])

    assert order.json()["tenders"]["loyalty_card_id"] == card["id"]
    refused = [answer.json()["code"] for answer in (elsewhere, another, again, once_more)]
    assert refused == ["checkout.card_not_as_presented"] * 2 + ["checkout.presentment_used"] * 2
    assert after.json()["tenders"]["loyalty_card_id"] == card["id"]
    assert [each["number"] for each in (await client.get("/v1/orders")).json()["items"]] == ["A-3", "A-5"]


async def test_a_blocked_card_takes_part_in_nothing(client: Client, till: dict[str, Any]) -> None:
    card = await made(client, "/v1/loyalty-cards", {"merchant_id": till["merchant_id"], "programme": "zerna"})
    await client.post(f"/v1/loyalty-cards/{card['id']}/block", {"reason": "утеряна"})

    assert (await place(client, till, loyalty_card_id=card["id"])).json()["code"] == "checkout.loyalty_card_blocked"


async def test_an_offer_begins_once_and_ends_once(client: Client, till: dict[str, Any]) -> None:
    rule = {
        "merchant_id": till["merchant_id"], "rail": "sbp", "basis_points": 200, "note": "По СБП дешевле на 2 %",
        "valid_from": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    offer = await made(client, "/v1/rail-offers", rule)

    refused = [
        (answer.status_code, answer.json()["code"])
        for answer in (
            await client.post("/v1/rail-offers", rule),
            await client.post("/v1/rail-offers", rule | {"rail": "card", "valid_until": "2025-01-01T00:00:00Z"}),
            await client.post("/v1/rail-offers/rof_0/close"),
        )
    ]
    ends = [(await client.post(f"/v1/rail-offers/{offer['id']}/close")).json()["valid_until"] for _ in range(2)]

    assert refused == [
        (409, "checkout.rail_offer_taken"), (422, "checkout.rail_offer_invalid"),
        (404, "checkout.rail_offer_not_found"),
    ]  # fmt: skip
    assert ends[0] == ends[1]


async def test_offers_stand_in_one_order_from_the_placing_on(client: Client, till: dict[str, Any]) -> None:
    for rail in ("card", "sbp"):
        rule = {"merchant_id": till["merchant_id"], "rail": rail, "basis_points": 200, "note": "дешевле"}
        await made(client, "/v1/rail-offers", rule)

    placed = (await place(client, till)).json()
    read = (await client.get(f"/v1/orders/{placed['id']}")).json()

    assert [each["rail"] for each in placed["tenders"]["offers"]] == ["sbp", "card", "dolyame"]
    assert read["tenders"]["offers"] == placed["tenders"]["offers"]


async def test_another_merchant_sees_and_moves_none_of_it(client: Client, engine: Engine, till: dict[str, Any]) -> None:
    rule = {"merchant_id": till["merchant_id"], "rail": "sbp", "basis_points": 200, "note": "дешевле"}
    offer = await made(client, "/v1/rail-offers", rule)
    order = (await place(client, till)).json()
    theirs = await terminal(client, inn="7728168971")
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="others", scopes=["orders:read", "orders:write", "refunds:write", "tills:manage"],
            mode="test", merchant_id=theirs["merchant_id"], now=machine_now(),
        )  # fmt: skip
    others = replace(client, api_key=secret.expose())

    told = [
        (answer.status_code, answer.json()["code"])
        for answer in (
            await place(others, till, "B-1"),
            await others.post("/v1/order-quotes", {"terminal_id": till["id"], "basket": BASKET}),
            await others.post("/v1/item-refunds", {"order_id": order["id"]}),
            await others.post("/v1/rail-offers", rule | {"rail": "card"}),
            await others.post(f"/v1/rail-offers/{offer['id']}/close"),
        )
    ]

    assert told == [
        (404, "checkout.terminal_not_found"), (404, "checkout.terminal_not_found"), (404, "checkout.order_not_found"),
        (404, "checkout.merchant_not_found"), (404, "checkout.rail_offer_not_found"),
    ]  # fmt: skip
    for path in ("/v1/rail-offers", f"/v1/item-refunds?order_id={order['id']}", "/v1/orders"):
        assert (await others.get(path)).json()["items"] == []
    assert (await others.get("/v1/item-refunds/itr_0")).json()["code"] == "checkout.item_refund_not_found"
