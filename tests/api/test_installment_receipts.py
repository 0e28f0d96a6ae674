"""Receipts of plans over HTTP: a till fetches what it is to print, and tells what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from ledger.database import Engine, Session
from tests.api.conftest import Client
from tests.api.installment_world import api_key_of, merchant, today_plus
from tests.api.plan_shop import PlanShop, plan_shop

RECEIPTS = "/v1/installments/receipts"
PROFILES = "/v1/installments/receipt-profiles"
SIGNS = {"fiscal_drive": "9999078900001234", "fiscal_document": "17", "fiscal_sign": "3456789012"}


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def fetched(till: Client, **body: Any) -> list[dict[str, Any]]:
    answer = await till.post(f"{RECEIPTS}/claims", body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_a_till_prints_a_receipt_and_tells_its_signs_once(shop: PlanShop, engine: Engine) -> None:
    plan = await shop.begun()
    till = await api_key_of(shop.api, shop.merchant_id)
    (receipt,) = await fetched(till)
    assert await fetched(till) == [receipt]
    assert (receipt["plan_id"], receipt["stage"], receipt["profile"]) == (plan["id"], "prepayment", "merchant")
    assert receipt["tags"] == {
        "1054": 1, "1214": 1, "1020": 1_000_056, "1081": 1_000_056, "1215": 0, "1216": 0
    }  # fmt: skip
    assert [(line["name"], line["price_kopecks"]) for line in receipt["items"]] == [("Духи «Ночь»", 1_000_056)]
    assert not any(word in str(receipt) for word in ("Мария", "Иванова", "+7916", "byr_"))

    address = f"{RECEIPTS}/{receipt['id']}"
    refused = await till.post(f"{address}/refusal", {"reason": "Нет бумаги"})
    assert refused.json() == {"id": receipt["id"], "state": "refused"}
    assert await fetched(till) == []
    for _ in range(2):
        assert (await till.post(f"{address}/signs", SIGNS)).json()["state"] == "issued"
    other = await till.post(f"{address}/signs", {**SIGNS, "fiscal_document": "18"})
    late = await till.post(f"{address}/refusal", {"reason": "Нет бумаги"})
    for answer in (other, late):
        assert (answer.status_code, answer.json()["code"]) == (409, "installments.receipt_differs")
    async with Session(engine) as session:
        kept = await session.exec_driver_sql("SELECT state, fiscal_document FROM receipt_intents")
        assert tuple(kept.one()) == ("issued", "17")


async def test_nobody_speaks_for_the_till_of_another(shop: PlanShop) -> None:
    await shop.begun()
    ours = await api_key_of(shop.api, shop.merchant_id)
    (receipt,) = await fetched(ours)
    theirs = await api_key_of(shop.api, await merchant(shop.api))
    assert await fetched(theirs) == []
    assert (await theirs.post(f"{RECEIPTS}/claims", {"merchant_id": shop.merchant_id})).status_code == 404
    answer = await theirs.post(f"{RECEIPTS}/{receipt['id']}/signs", SIGNS)
    assert (answer.status_code, answer.json()["code"]) == (404, "installments.receipt_not_found")
    reader = await api_key_of(shop.api, shop.merchant_id, "installments:read")
    assert (await reader.post(f"{RECEIPTS}/claims", {})).status_code == 403


async def test_a_receipt_on_behalf_of_a_merchant_is_printed_by_our_till_alone(shop: PlanShop) -> None:
    profile = {"merchant_id": shop.merchant_id, "profile": "operator_on_behalf", "effective_on": today_plus(0)}
    for _ in range(2):
        assert (await shop.api.post(PROFILES, profile)).status_code == 201
    again = await shop.api.post(PROFILES, {**profile, "profile": "merchant"})
    assert (again.status_code, again.json()["code"]) == (422, "api.request_invalid")
    await shop.begun()

    till = await api_key_of(shop.api, shop.merchant_id)
    assert await fetched(till) == []
    (receipt,) = await fetched(shop.api)
    assert receipt["profile"] == "operator_on_behalf"
    answer = await till.post(f"{RECEIPTS}/{receipt['id']}/signs", SIGNS)
    assert (answer.status_code, answer.json()["code"]) == (404, "installments.receipt_not_found")
    assert (await shop.api.post(f"{RECEIPTS}/{receipt['id']}/signs", SIGNS)).status_code == 200


async def test_signs_that_no_till_prints_are_refused(shop: PlanShop) -> None:
    await shop.begun()
    (receipt,) = await fetched(shop.api, merchant_id=shop.merchant_id)
    for name, wrong in (("fiscal_drive", "123"), ("fiscal_document", "x"), ("fiscal_sign", 17)):
        answer = await shop.api.post(f"{RECEIPTS}/{receipt['id']}/signs", {**SIGNS, name: wrong})
        assert answer.status_code == 422, answer.text
