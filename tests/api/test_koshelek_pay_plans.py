"""Долями at a till of the wallet's contract: the same calls, the plan's form behind the QR."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio

from api.contracts.koshelek_pay.terminals import token_of
from ledger.clock import machine_now
from ledger.database import Engine
from pci.secret import Secret
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_plan_rail import accept

ITEMS = [
    {"name": "Стул", "article": "chair", "price": 200_002, "quantity": 3, "measure": "PIECE"},
    {"name": "Стол", "article": "table", "price": 400_050, "quantity": 1, "measure": "PIECE"},
]
TOTAL = 1_000_056


@dataclass
class PlanTill:
    """A till whose merchant sells by plans."""

    shop: PlanShop
    store_id: str
    fingerprint: str
    secret: Secret

    async def call(self, name: str, body: dict[str, Any]) -> httpx.Response:
        partner, api = self.shop.merchant_id, self.shop.api
        basic = b64encode(f"{partner}:{api.api_key}".encode()).decode()
        who = {"storeId": self.store_id, "terminalId": self.shop.cards.terminal_id}
        return await api.http.post(
            f"/pos/v1/{partner}/api/v1/merchant/{name}/task", json=who | body,
            headers={
                "authorization": f"Basic {basic}", "token": token_of(self.fingerprint, self.secret, machine_now()),
            },
        )  # fmt: skip

    async def said(self, name: str, body: dict[str, Any]) -> Any:
        answer = await self.call(name, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def begun(self, order_id: str) -> Any:
        invoice = {"orderId": order_id, "totalAmount": TOTAL, "currency": "RUB", "items": ITEMS}
        return await self.said("checkout", {"paymentType": "DOLYAME", "invoice": invoice})


@pytest_asyncio.fixture
async def till(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanTill]:
    async with plan_shop(client, engine, vault_engine) as shop:
        at = f"/v1/terminals/{shop.cards.terminal_id}"
        store_id = (await shop.cards.read(f"{at}/premises"))["store_id"]
        key = await shop.cards.made(f"{at}/keys", {})
        secret = (await shop.cards.read(f"{at}/keys/{key['id']}/secret"))["secret"]
        yield PlanTill(shop, store_id, key["fingerprint"], Secret(secret))


async def test_a_sale_by_a_plan_is_paid_by_the_buyers_yes_and_given_back_by_pieces(till: PlanTill) -> None:
    begun = await till.begun("D-1")
    assert (begun["status"], begun["paymentType"], begun["paymentAmount"]) == ("WAITING", "DOLYAME", TOTAL)
    assert begun["qrPayload"].startswith("https://kopeyka.test/plans/")
    plan_id = begun["qrcId"]

    await accept(till.shop, plan_id)

    paid = await till.said("status", {"orderId": "D-1"})
    assert (paid["status"], paid["slip"]["operationId"]) == ("PAID", plan_id)
    refund = await till.said("refund", {
        "requestId": "back-1", "paymentTransactionId": begun["paymentTransactionId"], "refundAmount": 200_002,
        "items": [{"article": "chair", "quantity": 1}],
    })  # fmt: skip
    assert (refund["status"], refund["paymentRefundAmount"]) == ("REFUNDED", 200_002)
    assert (await till.shop.cards.read(f"{PLANS}/{plan_id}"))["refunded_kopecks"] == 200_002


async def test_a_canceled_sale_gives_its_plan_up(till: PlanTill) -> None:
    begun = await till.begun("D-2")
    plan_id = begun["qrcId"]

    canceled = await till.said("cancel", {"orderId": "D-2"})

    assert canceled["status"] == "CANCELED"
    assert (await till.shop.cards.read(f"{PLANS}/{plan_id}"))["status"] == "canceled"


async def test_a_consent_to_sbp_pays_no_plan(till: PlanTill) -> None:
    invoice = {"orderId": "D-3", "totalAmount": TOTAL, "currency": "RUB", "items": ITEMS}

    refused = await till.call("checkout", {"paymentType": "DOLYAME", "subscriptionId": "bnd_1", "invoice": invoice})

    assert (refused.status_code, refused.json()["code"]) == (422, "PAYMENT_METHOD_IS_NOT_AVAILABLE")
