"""Slips over HTTP: of orders paid by card, plan and SBP; handed out, looked at, and never of what is not paid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.contracts.outer_ids import outer_id
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.installment_world import api_key_of, merchant
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_plan_rail import accept, offered
from tests.api.test_rail_constraints import MERCHANT, ORDER, PAYMENT, ROWS, insert
from tests.conftest import Database


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def test_a_plans_slip_names_its_days_and_is_handed_out_once(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    early = await shop.api.post(f"/v1/orders/{order_id}/slips", {})
    await accept(shop, attempt["qr"]["qrc_id"])

    preview = await shop.cards.read(f"/v1/orders/{order_id}/slip")
    first = await shop.cards.made(f"/v1/orders/{order_id}/slips", {})
    second = await shop.cards.made(f"/v1/orders/{order_id}/slips", {"copy_for": "merchant"})
    canceled = await shop.api.post(f"/v1/orders/{order_id}/cancel", {})

    assert (early.status_code, early.json()["code"]) == (409, "checkout.order_not_paid")
    assert [each["issue"] for each in (preview, first, second)] == [0, 1, 2]
    assert first["receipt_block"] == {
        "orderId": first["order_number"], "paymentTransactionId": outer_id(order_id), "paymentType": "DOLYAME",
    }  # fmt: skip
    assert first["text"].count("2500.14") == 4
    assert "КОПИЯ 1" in second["text"]
    assert first["by_payment_kind"] == {"electronic_kopecks": 1_000_056, "discount_kopecks": 0}
    assert (canceled.status_code, canceled.json()["code"]) == (409, "checkout.order_not_open")
    assert "возврат" in canceled.json()["cashier_tip"]


async def test_a_cards_slip_with_a_basket_adds_up_in_every_form(shop: PlanShop) -> None:
    lines = [
        {"article": "C-1", "name": "Кофе", "measure": "gram", "quantity": 1_125, "price_kopecks": 199_900},
        {"article": "K-1", "name": "Кружка", "measure": "piece", "quantity": 2, "price_kopecks": 50_000,
         "discount_kopecks": 10_000},
    ]  # fmt: skip
    body = {
        "terminal_id": shop.cards.terminal_id, "number": "B-1", "amount_kopecks": 314_888, "basket": {"lines": lines},
    }  # fmt: skip
    order_id = (await shop.cards.made("/v1/orders", body))["id"]
    assert (await shop.cards.attempt(order_id))["status"] == "paid"

    path = f"/v1/orders/{order_id}/slip"
    told = await shop.cards.read(path)
    text = await shop.api.get(f"{path}?format=text&columns=32")
    printer = await shop.api.get(f"{path}?format=escpos")
    page = await shop.api.get(f"{path}?format=html")

    assert "1125 г × 1999.00/кг" in told["text"]
    assert told["by_payment_kind"] == {"electronic_kopecks": 314_888, "discount_kopecks": 10_000}
    assert max(map(len, text.text.splitlines())) <= 32
    assert printer.content.startswith(b"\x1b@")
    assert page.headers["content-type"].startswith("text/html")
    assert "ОПЛАЧЕНО" in page.text


async def test_a_refunds_slip_and_one_of_another_orders_refund(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    await accept(shop, attempt["qr"]["qrc_id"])
    plan_id = attempt["qr"]["qrc_id"]
    await shop.cards.made(f"{PLANS}/{plan_id}/refunds", {"refund_id": "return-1", "amount_kopecks": 300_000})

    slip = await shop.cards.read(f"/v1/orders/{order_id}/slip?refund_id=return-1")
    unknown = await shop.api.get(f"/v1/orders/{order_id}/slip?refund_id=return-2")

    assert (slip["amount_kopecks"], slip["receipt_block"]["refundTransactionId"]) == (300_000, "return-1")
    assert "СЛИП ВОЗВРАТА" in slip["text"]
    assert unknown.status_code == 404


@pytest.mark.parametrize("query", ["columns=33", "columns=" + "9" * 5_000, "format=pdf", "copy_for=nobody"])
async def test_a_slip_of_no_known_form_is_refused(client: Client, paid_by_sbp: str, query: str) -> None:
    answer = await client.get(f"/v1/orders/{paid_by_sbp}/slip?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "api.request_invalid")


@pytest.fixture
def paid_by_sbp(database: Database) -> str:
    """An order paid by SBP, as its rows stand."""
    paid: dict[str, dict[str, Any]] = {
        "orders": {"status": "paid", "paid_at": "2026-11-22T09:00:00Z"},
        "attempts": {"status": "paid", "payment_id": PAYMENT},
        "qr_codes": {"status": "paid", "next_poll_at": None},
        "sbp_payments": {"kzo": "9F2C"},
    }
    with psycopg.connect(database.superuser_url) as connection:
        for table in (
            "merchants", "stores", "terminals", "orders", "attempts", "sbp_merchants", "qr_codes", "sbp_payments",
        ):  # fmt: skip
            insert(connection, table, ROWS[table] | paid.get(table, {}))
    return ORDER


async def test_a_slip_of_sbp_carries_the_link_and_the_control_value(client: Client, paid_by_sbp: str) -> None:
    block = (await client.get(f"/v1/orders/{paid_by_sbp}/slip")).json()["receipt_block"]

    assert block == {
        "orderId": ROWS["orders"]["number"], "paymentTransactionId": outer_id(ORDER), "paymentType": "SBP",
        "qrcId": "A" * 32, "kzo": "9F2C",
    }  # fmt: skip


async def test_a_slip_of_another_merchant_does_not_exist(client: Client, paid_by_sbp: str) -> None:
    foreign = await api_key_of(client, await merchant(client), "orders:read", "orders:write")
    own = await api_key_of(client, MERCHANT, "orders:read", "orders:write")

    assert (await foreign.get(f"/v1/orders/{paid_by_sbp}/slip")).status_code == 404
    assert (await foreign.post(f"/v1/orders/{paid_by_sbp}/slips", {})).status_code == 404
    assert (await own.get(f"/v1/orders/{paid_by_sbp}/slip")).status_code == 200
    for path in ("/v1/orders/%00/slip", f"/v1/orders/{paid_by_sbp}/slip?refund_id=%00"):
        assert (await own.get(path)).status_code in (404, 422)


async def test_a_slip_is_handed_out_a_hundred_times_at_most(
    client: Client, database: Database, paid_by_sbp: str
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        for issue in range(1, 101):
            row = {"order_id": ORDER, "issue": issue, "issued_by": "k", "issued_at": "2026-11-22T09:00:00Z"}
            insert(connection, "slip_issues", row)

    answer = await client.post(f"/v1/orders/{paid_by_sbp}/slips", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "checkout.slip_issues_spent")
