"""Products, merchants' terms and the licence over HTTP: written down from a day on, never rewritten."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client, new_key
from tests.api.installment_world import api_key_of, merchant, today_plus

PRODUCTS, TERMS, LICENCES = (f"/v1/installments/{name}" for name in ("products", "merchant-terms", "licences"))


def six_parts(**changes: Any) -> dict[str, Any]:
    return {
        "code": "six_parts", "name": "Шесть платежей", "effective_on": today_plus(1), "installments": 6, "every": 14,
        "first_share_basis_points": 1_667, "price_min_kopecks": 10_000, "price_max_kopecks": 5_000_000, **changes,
    }  # fmt: skip


async def test_the_first_product_is_there_from_the_beginning(client: Client) -> None:
    (product,) = (await client.get(PRODUCTS)).json()

    assert (product["code"], product["version"], product["installments"], product["every"]) == ("dolyame", 1, 4, 14)


async def test_a_product_is_offered_and_then_its_next_version(client: Client) -> None:
    first = await client.post(PRODUCTS, six_parts())
    second = await client.post(PRODUCTS, six_parts(effective_on=today_plus(2), name="Шесть"))

    assert (first.status_code, second.status_code) == (201, 201), first.text + second.text
    assert {**first.json(), "version": 2, "name": "Шесть", "effective_on": today_plus(2)} == second.json()
    shown = [(product["code"], product["version"]) for product in (await client.get(PRODUCTS)).json()]
    assert shown == [("dolyame", 1), ("six_parts", 1), ("six_parts", 2)]
    events = [event["type"] for event in (await client.get("/v1/events")).json()["items"]]
    assert events.count("installment_product.offered") == 2


async def test_one_key_offers_once(client: Client) -> None:
    key = new_key()
    first = await client.post(PRODUCTS, six_parts(), key=key)
    again = await client.post(PRODUCTS, six_parts(), key=key)
    other = await client.post(PRODUCTS, six_parts(name="Другое"), key=key)

    assert (again.status_code, again.content) == (201, first.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"effective_on": "2026-01-01"}, 422, "installments.offer_backdated", id="a day of the past"),
        pytest.param(
            {"penalty_basis_points": 2_001}, 422, "installments.penalty_above_law", id="a penalty over the law"
        ),
        pytest.param({"installments": 14}, 422, "installments.term_above_law", id="a term over the law"),
        pytest.param({"price_min_kopecks": 3}, 422, "installments.price_too_small", id="a price that cannot be cut"),
        pytest.param({"price_max_kopecks": 9_999}, 422, "api.request_invalid", id="the most below the least"),
        pytest.param({"code": "Six Parts"}, 422, "api.request_invalid", id="a code with a space"),
        pytest.param({"installments": 1}, 422, "api.request_invalid", id="one installment"),
        pytest.param({"installments": 2.0}, 422, "api.request_invalid", id="a float"),
        pytest.param({"colour": "red"}, 422, "api.request_invalid", id="an unknown field"),
    ],
)
async def test_a_wrong_product_is_refused_by_code(client: Client, changes: Any, status: int, code: str) -> None:
    answer = await client.post(PRODUCTS, six_parts(**changes))

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert len((await client.get(PRODUCTS)).json()) == 1


async def test_a_version_begins_after_the_last(client: Client) -> None:
    assert (await client.post(PRODUCTS, six_parts(effective_on=today_plus(3)))).status_code == 201

    answer = await client.post(PRODUCTS, six_parts(effective_on=today_plus(2)))

    assert (answer.status_code, answer.json()["code"]) == (409, "installments.product_taken")


async def test_a_merchants_terms_are_agreed_once_a_day(client: Client) -> None:
    merchant_id = await merchant(client)
    body = {
        "merchant_id": merchant_id,
        "product_code": "dolyame",
        "effective_on": today_plus(0),
        "fee_basis_points": 690,
    }
    agreed = await client.post(TERMS, body)
    taken = await client.post(TERMS, {**body, "fee_basis_points": 500})
    later = await client.post(TERMS, {**body, "fee_basis_points": 500, "effective_on": today_plus(1)})

    assert (agreed.status_code, later.status_code) == (201, 201), agreed.text + later.text
    assert (taken.status_code, taken.json()["code"]) == (409, "installments.merchant_terms_taken")
    shown = (await client.get(TERMS, params={"merchant_id": merchant_id})).json()
    assert [terms["fee_basis_points"] for terms in shown] == [690, 500]


async def test_terms_need_a_merchant_and_a_product(client: Client) -> None:
    body = {"product_code": "dolyame", "effective_on": today_plus(0), "fee_basis_points": 690}
    nobody = await client.post(TERMS, {**body, "merchant_id": "mer_" + "0" * 26})
    nothing = await client.post(TERMS, {**body, "merchant_id": await merchant(client), "product_code": "nothing_such"})

    assert (nobody.status_code, nobody.json()["code"]) == (404, "checkout.merchant_not_found")
    assert (nothing.status_code, nothing.json()["code"]) == (422, "installments.product_not_effective")


async def test_a_merchant_sees_its_own_terms_and_sets_none(client: Client) -> None:
    mine, other = await merchant(client), await merchant(client)
    for merchant_id, fee in ((mine, 690), (other, 490)):
        body = {"merchant_id": merchant_id, "product_code": "dolyame", "effective_on": today_plus(0)}
        assert (await client.post(TERMS, {**body, "fee_basis_points": fee})).status_code == 201
    shop = await api_key_of(client, mine)

    shown = (await shop.get(TERMS, params={"merchant_id": other})).json()
    refused = await shop.post(TERMS, {**body, "fee_basis_points": 1})

    assert [terms["merchant_id"] for terms in shown] == [mine]
    assert (refused.status_code, refused.json()["code"]) == (403, "api.scope_missing")


async def test_the_register_is_told_by_day(client: Client) -> None:
    entry = {
        "effective_on": "2026-06-01",
        "register_number": "26-0001",
        "is_active": True,
        "capital_kopecks": 500_000_000,
    }
    told = await client.post(LICENCES, entry)
    taken = await client.post(LICENCES, {**entry, "is_active": False})

    assert told.status_code == 201, told.text
    assert (taken.status_code, taken.json()["code"]) == (409, "installments.licence_taken")
    assert (await client.get(LICENCES)).json() == [{**entry, "is_capital_enough": True}]
