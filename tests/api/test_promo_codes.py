"""Promo codes at the door: made by whoever may, seen by their merchant alone, and bad input refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.callers import create_key
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
