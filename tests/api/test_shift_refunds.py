"""Refunds of every rail go into the shift of the till that sold, in the transaction that books them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from api.refund_outcomes import record_refund_answer
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from sbp_gateway.refunds import RefundAnswer, RefundNews
from tests.api.basket_world import COFFEE, basket_shop
from tests.api.card_world import CardShop, card_shop
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_cash_links import made
from tests.api.test_plan_rail import accept, offered
from tests.api.test_rail_constraints import MERCHANT, TERMINAL
from tests.api.test_refunds import ASK, shop  # noqa: F401  # a fixture
from tests.tokenization.charges.charge_world import charge_world

GIFT = {"article": "10-9", "name": "Зажим для пакета", "quantity": 1, "price_kopecks": 100}


@pytest_asyncio.fixture
async def cards(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[CardShop]:
    async with charge_world(vault_engine, machine_now()) as charges:
        yield await card_shop(client, engine, charges)


@pytest_asyncio.fixture
async def plans(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def shift_of(client: Client, merchant_id: str, terminal_id: str) -> str:
    cashier = await made(client, "/v1/cashiers", {"merchant_id": merchant_id, "number": "1", "name": "Иванова А. П."})
    return str((await made(client, "/v1/shifts", {"terminal_id": terminal_id, "cashier_id": cashier["id"]}))["id"])


async def counted(client: Client, shift_id: str) -> list[tuple[Any, ...]]:
    totals = (await client.get(f"/v1/shifts/{shift_id}/report")).json()["by_rail"]
    return [(each["rail"], each["kind"], each["operations"], each["amount_kopecks"]) for each in totals]


async def test_a_refund_through_sbp_is_counted_when_its_money_has_moved(
    shop: Client,  # noqa: F811
    engine: Engine,
) -> None:
    shift_id = await shift_of(shop, MERCHANT, TERMINAL)
    refund_id = (await shop.post("/v1/refunds", ASK)).json()["id"]
    seen = []

    for answer in (
        RefundAnswer(RefundNews.TAKEN, opkc_request_id="O1"), RefundAnswer(RefundNews.APPROVED),
        RefundAnswer(RefundNews.MOVED, trx_id="T" * 32), RefundAnswer(RefundNews.MOVED, trx_id="T" * 32),
    ):  # fmt: skip
        async with transaction(engine) as session:
            await record_refund_answer(session, refund_id, answer, now=machine_now())
        seen.append(await counted(shop, shift_id))

    assert seen == [[], [], [("sbp", "refund", 1, 60)], [("sbp", "refund", 1, 60)]]


async def test_a_sale_by_card_and_its_refund_are_counted_with_the_money(cards: CardShop) -> None:
    shift_id = await shift_of(cards.api, cards.merchant_id, cards.terminal_id)
    order_id = await cards.order(10_000)
    await cards.attempt(order_id)
    await cards.pay(700)  # of no order, so of no till

    await cards.made("/v1/refunds", {"order_id": order_id, "amount_kopecks": 4_000})

    assert await counted(cards.api, shift_id) == [("card", "sale", 1, 10_000), ("card", "refund", 1, 4_000)]


async def test_what_comes_back_in_points_is_a_row_of_its_own_and_no_money(cards: CardShop) -> None:
    shift_id = await shift_of(cards.api, cards.merchant_id, cards.terminal_id)
    till = await basket_shop(cards, line_basis_points=10_000, basket_basis_points=10_000)
    order = await till.place("B-1", loyalty_card_id=till.card_id, points=100)
    lines = order["tenders"]["lines"]
    assert [(line["points"], line["rail_kopecks"]) for line in lines] == [(50, 25_003), (50, 25_000)]
    await cards.attempt(order["id"])
    whole = await till.place("B-2", loyalty_card_id=till.card_id, points=301, basket={"lines": [GIFT, COFFEE]})
    assert whole["tenders"]["lines"][0]["rail_kopecks"] == 0
    await cards.attempt(whole["id"])

    both, alone = await till.take_back(order["id"], [(2, 250)]), await till.take_back(whole["id"], [(1, 1)])

    assert (both["points_back"], alone["points_back"], alone["amount_kopecks"]) == (50, 1, 0)
    told = (await cards.api.get(f"/v1/shifts/{shift_id}/report")).json()
    sales = 60_003 - 10_000 + 30_103 - 30_100
    assert await counted(cards.api, shift_id) == [
        ("card", "sale", 2, sales), ("card", "refund", 1, 25_000), ("points", "refund", 2, 5_100),
    ]  # fmt: skip
    assert (told["refunds_kopecks"], told["takings_kopecks"]) == (25_000, sales - 25_000)
    said = (await cards.api.get(f"/v1/shifts/{shift_id}/report?format=text&columns=32")).text
    assert "Баллы, возврат × 2         51.00" in said
    assert "Возвращено деньгами       250.00" in said


async def test_a_sale_by_a_plan_and_goods_that_came_back_are_counted_with_the_plan(plans: PlanShop) -> None:
    shift_id = await shift_of(plans.cards.api, plans.cards.merchant_id, plans.cards.terminal_id)
    _, attempt = await offered(plans, 1_000_000)
    plan_id = attempt["qr"]["qrc_id"]
    await accept(plans, plan_id)

    for _ in range(2):
        await plans.cards.made(f"{PLANS}/{plan_id}/refunds", {"refund_id": "R-1", "amount_kopecks": 250_000}, 201)

    assert await counted(plans.cards.api, shift_id) == [
        ("dolyame", "sale", 1, 1_000_000), ("dolyame", "refund", 1, 250_000),
    ]  # fmt: skip
