"""Promo codes at the door: made by whoever may, seen by their merchant alone, and bad input refused by name."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.callers import create_key
from api.chores import close_unpaid_orders
from ledger.clock import Clock
from ledger.database import Engine, transaction
from tests.api.conftest import Client
from tests.api.test_cash_links import terminal

DISCOUNT = {"kind": "discount", "discount_basis_points": 500}


async def test_a_code_is_made_listed_by_what_a_buyer_says_and_ended(client: Client) -> None:
    shop = (await terminal(client))["merchant_id"]

    made = await client.post("/v1/promo-codes", DISCOUNT | {"merchant_id": shop, "code": " осень-5 "})
    path = made.headers["location"]
    found = await client.get("/v1/promo-codes", params={"code": "Осень-5"})
    ended = await client.post(f"{path}/end")

    assert made.status_code == 201
    assert made.json() | {"code": "ОСЕНЬ-5", "redemptions_left": None, "ended_at": None} == made.json()
    assert [each["id"] for each in found.json()["items"]] == [made.json()["id"]]
    assert ended.json()["ended_at"] is not None
    assert (await client.get(path)).json() == ended.json()
    assert (await client.get(f"{path}/redemptions")).json()["items"] == []


async def test_a_code_is_made_up_where_none_is_said_and_a_referral_needs_its_owners_card(client: Client) -> None:
    shop = (await terminal(client))["merchant_id"]
    issued = await client.post("/v1/loyalty-cards", {"merchant_id": shop, "programme": "main"})
    assert issued.status_code == 201, issued.text
    card = issued.json()
    referral = {"merchant_id": shop, "kind": "referral", "discount_kopecks": 20_000, "reward_kopecks": 30_000}

    made = await client.post("/v1/promo-codes", referral | {"owner_card_id": card["id"]})
    nobodys = await client.post("/v1/promo-codes", referral | {"owner_card_id": "lcd_" + "0" * 26})

    assert made.status_code == 201
    assert len(made.json()["code"]) == 8
    assert (made.json()["redemptions_max"], made.json()["buyer_redemptions_max"]) == (3, 1)
    assert (nobodys.status_code, nobodys.json()["code"]) == (404, "checkout.loyalty_card_not_found")


async def test_a_merchant_sees_and_ends_its_own_codes_alone(client: Client, engine: Engine) -> None:
    ours, theirs = [(await terminal(client, inn=inn))["merchant_id"] for inn in ("7707083893", "7736207543")]
    made = (await client.post("/v1/promo-codes", DISCOUNT | {"merchant_id": theirs, "code": "THEIRS"})).json()
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=["promo_codes:write", "orders:read"], mode="test", now=datetime.now(UTC),
            merchant_id=ours,
        )  # fmt: skip
    shop = Client(client.http, client.app, secret.expose())

    own = await shop.post("/v1/promo-codes", DISCOUNT | {"code": "THEIRS"})
    for_another = await shop.post("/v1/promo-codes", DISCOUNT | {"merchant_id": theirs})
    hidden = [await shop.get(f"/v1/promo-codes/{made['id']}{more}") for more in ("", "/redemptions")]

    assert (own.status_code, own.json()["merchant_id"]) == (201, ours)
    assert (for_another.status_code, for_another.json()["code"]) == (404, "checkout.merchant_not_found")
    assert [answer.status_code for answer in hidden] == [404, 404]
    assert (await shop.post(f"/v1/promo-codes/{made['id']}/end")).status_code == 404
    assert [each["id"] for each in (await shop.get("/v1/promo-codes")).json()["items"]] == [own.json()["id"]]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"code": "A\u0000B1"}, 400, "api.json_invalid"),
        ({"code": "100 %"}, 422, "checkout.promo_terms_invalid"),
        ({"discount_kopecks": 100}, 422, "checkout.promo_terms_invalid"),
        ({"discount_basis_points": 10**4_000}, 422, None),
        ({"redemptions_max": 0}, 422, "api.request_invalid"),
        ({"kind": "referral"}, 422, "checkout.promo_terms_invalid"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, 422, "checkout.promo_terms_invalid"),
        ({"owner_card_id": "lcd_1"}, 422, "api.request_invalid"),
        ({"merchant_id": "mer_%00"}, 404, "checkout.merchant_not_found"),
    ],
)
async def test_terms_out_of_form_are_refused_and_nothing_is_made(
    client: Client, change: dict[str, Any], status: int, code: str | None
) -> None:
    shop = (await terminal(client))["merchant_id"]

    refused = await client.post("/v1/promo-codes", {**DISCOUNT, "merchant_id": shop, **change})

    assert refused.status_code == status
    assert code in (None, refused.json()["code"])
    assert (await client.get("/v1/promo-codes")).json()["items"] == []


@pytest.mark.parametrize(
    "path", ["/v1/promo-codes/%00", "/v1/promo-codes/pmc_1/redemptions", "/v1/promo-codes?code=%00"]
)
async def test_what_is_no_code_of_ours_is_answered_with_a_refusal(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code in (404, 422)


LINE = {"article": "819304", "name": "Молоко", "measure": "piece", "quantity": 1, "price_kopecks": 10_000}


async def sale(client: Client, terminal_id: str, number: int) -> Any:
    """A till's order with the code. A till asks again, with the same key, while the house is busy."""
    body = {"terminal_id": terminal_id, "number": f"A-{number}", "basket": {"lines": [LINE]}, "promo_code": "three"}
    for _ in range(60):
        answer = await client.post("/v1/orders", body, key=f"race-of-tills-{number:04}")
        if answer.status_code != 503:
            return answer
    raise AssertionError("the house stayed busy")


async def three(client: Client) -> tuple[str, str]:
    """A till, and a code for three."""
    till = await terminal(client)
    body = {"merchant_id": till["merchant_id"], "kind": "discount", "discount_kopecks": 500, "code": "THREE"}
    made = await client.post("/v1/promo-codes", body | {"redemptions_max": 3})
    return till["id"], f"/v1/promo-codes/{made.json()['id']}"


async def test_of_many_tills_that_place_orders_at_once_three_get_the_lower_price(client: Client) -> None:
    till, path = await three(client)

    answers = await asyncio.gather(*(sale(client, till, number) for number in range(40)))

    placed = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert (len(placed), len(refused)) == (3, 37)
    assert {order["amount_kopecks"] for order in placed} == {9_500}
    assert {answer["code"] for answer in refused} == {"checkout.promo_code_spent"}
    assert all("без него" in answer["cashier_tip"] for answer in refused)
    assert len((await client.get("/v1/orders")).json()["items"]) == 3
    assert (await client.get(path)).json()["redemptions_left"] == 0


async def test_a_canceled_or_forgotten_order_lets_its_use_go(client: Client, engine: Engine) -> None:
    till, path = await three(client)
    orders = [(await sale(client, till, number)).json()["id"] for number in range(3)]

    await client.post(f"/v1/orders/{orders[0]}/cancel")
    after_cancel = (await client.get(path)).json()["redemptions_left"]
    clock = Clock()
    clock.offset = timedelta(hours=2)
    await close_unpaid_orders(engine, clock)

    assert after_cancel == 1
    assert (await client.get(path)).json()["redemptions_left"] == 3
    assert {one["status"] for one in (await client.get(f"{path}/redemptions")).json()["items"]} == {"released"}
    assert (await sale(client, till, 9)).status_code == 201
