"""Plans at the till: the link in the QR, the buyer's yes pays the order, and what comes too late goes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.plan_calls import carry_on_plans
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import BUYER, PHONES, PLANS, PlanShop, plan_shop

pytestmark = pytest.mark.usefixtures("watched_accounts")

TOTAL = 1_000_056


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def offered(shop: PlanShop, amount: int = TOTAL) -> tuple[str, Any]:
    """An order and its attempt by a plan."""
    order_id = await shop.cards.order(amount)
    return order_id, await shop.cards.made(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"})


async def accept(shop: PlanShop, plan_id: str, card_token: str | None = None) -> Any:
    body = {"buyer": {**BUYER, "phone": f"+{next(PHONES)}"}, "card_token": card_token or shop.token}
    return await shop.cards.made(f"{PLANS}/{plan_id}/acceptance", body, 200)


async def order_of(shop: PlanShop, order_id: str) -> Any:
    return await shop.cards.read(f"/v1/orders/{order_id}")


async def test_a_till_shows_the_plans_form_and_the_buyers_yes_pays_the_order(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    plan_id = attempt["qr"]["qrc_id"]
    assert (attempt["rail"], attempt["status"], attempt["amount_kopecks"]) == ("dolyame", "waiting", TOTAL)
    assert attempt["qr"]["payload"].startswith("https://kopeyka.test/plans/")

    await accept(shop, plan_id)

    order = await order_of(shop, order_id)
    plan = await shop.cards.read(f"{PLANS}/{plan_id}")
    assert (order["status"], order["attempts"][0]["payment_id"]) == ("paid", plan_id)
    assert (plan["status"], plan["order_number"], plan["outstanding_kopecks"]) == ("completed", attempt["id"], 750_042)
    paid = [
        event for event in (await shop.cards.read("/v1/events?limit=200"))["items"] if event["type"] == "order.paid"
    ]
    assert [(one["data"]["payment_id"], one["data"]["fee_kopecks"]) for one in paid] == [(plan_id, 69_003)]
    assert await carry_on_plans(shop.api.app.state.door.wiring.plans) == 0


async def test_a_canceled_order_gives_its_plan_up_and_lets_the_hold_go(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)

    canceled = await shop.cards.made(f"/v1/orders/{order_id}/cancel", {}, 200)
    late = await shop.api.post(
        f"{PLANS}/{attempt['qr']['qrc_id']}/acceptance",
        {"buyer": {**BUYER, "phone": f"+{next(PHONES)}"}, "card_token": shop.token},
    )

    assert (canceled["status"], canceled["attempts"][0]["status"]) == ("canceled", "expired")
    assert (late.status_code, late.json()["code"]) == (409, "installments.plan_canceled")
    assert shop.charges.summary["held_kopecks"] == 0


async def test_a_plan_that_came_to_nothing_frees_the_order_for_another_rail(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    await shop.cards.made(f"{PLANS}/{attempt['qr']['qrc_id']}/cancel", {}, 200)
    assert (await order_of(shop, order_id))["attempts"][0]["status"] == "expired"

    paid = await shop.cards.attempt(order_id)

    assert paid["status"] == "paid"
    assert [one["rail"] for one in (await order_of(shop, order_id))["attempts"]] == ["dolyame", "card"]


async def test_a_plan_committed_for_an_attempt_that_is_over_goes_back_whole(shop: PlanShop, engine: Engine) -> None:
    order_id, attempt = await offered(shop)
    plan_id = attempt["qr"]["qrc_id"]
    await end_attempt(engine, attempt["id"], "expired")
    await tie_loose(engine, plan_id)
    await accept(shop, plan_id)
    await shop.cards.made(f"{PLANS}/{plan_id}/commit", {}, 200)

    await tie_again(engine, plan_id)
    calls = shop.api.app.state.door.wiring.plans
    assert await carry_on_plans(calls) == 1
    await shop.cards.settle()

    plan = await shop.cards.read(f"{PLANS}/{plan_id}")
    assert (plan["status"], plan["outstanding_kopecks"], plan["refunded_kopecks"]) == ("refunded", 0, TOTAL)
    assert (await order_of(shop, order_id))["status"] == "open"
    assert (await shop.cards.events()).count("payment.late") == 1


async def test_a_price_that_plans_do_not_take_leaves_nothing_behind(shop: PlanShop) -> None:
    order_id = await shop.cards.order(99)
    answer = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"})
    other = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp", "plan_product": "dolyame"})

    assert (answer.status_code, answer.json()["code"]) == (422, "installments.price_out_of_range")
    assert (other.status_code, other.json()["code"]) == (422, "api.request_invalid")
    assert (await order_of(shop, order_id))["attempts"] == []


async def test_goods_given_back_are_seen_at_the_order(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    plan_id = attempt["qr"]["qrc_id"]
    await accept(shop, plan_id)
    await shop.cards.made(f"{PLANS}/{plan_id}/refunds", {"refund_id": "return-1", "amount_kopecks": 300_000})

    assert (await order_of(shop, order_id))["amount_refunded_kopecks"] == 300_000


async def test_an_attempt_that_ended_by_itself_takes_its_plan_along(shop: PlanShop, engine: Engine) -> None:
    _, attempt = await offered(shop)
    await end_attempt(engine, attempt["id"], "expired")

    assert await carry_on_plans(shop.api.app.state.door.wiring.plans) == 1

    plan = await shop.cards.read(f"{PLANS}/{attempt['qr']['qrc_id']}")
    assert (plan["status"], plan["reason"]) == ("canceled", "canceled_by_merchant")
    assert await carry_on_plans(shop.api.app.state.door.wiring.plans) == 0


async def test_a_buyer_who_may_have_no_plan_is_told_so_and_pays_otherwise(shop: PlanShop) -> None:
    order_id, attempt = await offered(shop)
    young = {"buyer": {**BUYER, "born_on": "2015-05-17", "phone": f"+{next(PHONES)}"}, "card_token": shop.token}
    said = await shop.cards.made(f"{PLANS}/{attempt['qr']['qrc_id']}/acceptance", young, 200)

    assert said["status"] == "rejected"
    assert (await order_of(shop, order_id))["attempts"][0]["status"] == "rejected"
    assert (await shop.cards.attempt(order_id))["status"] == "paid"


async def end_attempt(engine: Engine, attempt_id: str, status: str) -> None:
    """As the till ends one that nobody answers."""
    async with engine.begin() as session:
        await session.exec_driver_sql(f"UPDATE attempts SET status = '{status}' WHERE id = '{attempt_id}'")


async def tie_loose(engine: Engine, plan_id: str) -> None:
    """As if the worker had not come to the plan yet."""
    async with engine.begin() as session:
        await session.exec_driver_sql(f"UPDATE plan_attempts SET settled_at = now() WHERE plan_id = '{plan_id}'")


async def tie_again(engine: Engine, plan_id: str) -> None:
    async with engine.begin() as session:
        await session.exec_driver_sql(f"UPDATE plan_attempts SET settled_at = NULL WHERE plan_id = '{plan_id}'")


async def test_a_plan_of_a_basket_names_its_goods_at_what_is_left_to_pay(shop: PlanShop) -> None:
    lines = [
        {"article": "C-1", "name": "Кофе", "measure": "gram", "quantity": 1_125, "price_kopecks": 199_900},
        {"article": "K-1", "name": "Кружка", "measure": "piece", "quantity": 2, "price_kopecks": 50_000,
         "discount_kopecks": 10_000},
    ]  # fmt: skip
    body = {
        "terminal_id": shop.cards.terminal_id, "number": "B-1", "amount_kopecks": 314_888, "basket": {"lines": lines},
    }  # fmt: skip
    order_id = (await shop.cards.made("/v1/orders", body))["id"]

    attempt = await shop.cards.made(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"})

    plan = await shop.cards.read(f"{PLANS}/{attempt['qr']['qrc_id']}")
    assert [(item["name"], item["price_kopecks"], item["sku"]) for item in plan["items"]] == [
        ("Кофе, 1125 г", 224_888, "C-1"), ("Кружка, 2 шт", 90_000, "K-1"),
    ]  # fmt: skip
    assert (plan["price_kopecks"], plan["prepaid_kopecks"]) == (314_888, 0)


async def test_goods_of_a_basket_do_not_come_back_by_the_plan_itself(shop: PlanShop) -> None:
    line = {"article": "K-1", "name": "Кружка", "quantity": 2, "price_kopecks": 100_000}
    body = {"terminal_id": shop.cards.terminal_id, "number": "B-2", "basket": {"lines": [line]}}
    order_id = (await shop.cards.made("/v1/orders", body))["id"]
    plan_id = (await shop.cards.made(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"}))["qr"]["qrc_id"]
    await accept(shop, plan_id)
    less = {"items": [{"name": "Кружка, 1 шт", "quantity": "1", "price_kopecks": 100_000}], "total_kopecks": 100_000}

    delivered = await shop.cards.made(f"{PLANS}/{plan_id}/deliveries", {**less, "refund_id": "less"}, 409)
    returned = await shop.cards.made(f"{PLANS}/{plan_id}/refunds", {"refund_id": "r", "amount_kopecks": 100_000}, 409)

    assert delivered["code"] == returned["code"] == "checkout.refund_by_items"
    assert (await shop.cards.made("/v1/item-refunds", {"order_id": order_id}))["amount_kopecks"] == 200_000


async def test_a_plan_of_an_order_is_committed_whole(shop: PlanShop, engine: Engine) -> None:
    order_id, attempt = await offered(shop)
    plan_id = attempt["qr"]["qrc_id"]
    await tie_loose(engine, plan_id)
    await accept(shop, plan_id)
    less = {"amount_kopecks": 500_000, "items": [{"name": "Духи", "quantity": "1", "price_kopecks": 500_000}]}

    refused = await shop.cards.made(f"{PLANS}/{plan_id}/commit", less, 409)
    await tie_again(engine, plan_id)
    await carry_on_plans(shop.api.app.state.door.wiring.plans)

    assert refused["code"] == "installments.commit_differs"
    assert (await order_of(shop, order_id))["status"] == "paid"


async def test_a_yes_and_a_cancel_at_once_have_one_outcome(shop: PlanShop) -> None:
    """Six sales: the cashier cancels while the buyer agrees. Paid, or canceled with nothing held: never between."""
    sales = [await offered(shop, 100_000) for _ in range(6)]

    async def agree(plan_id: str) -> int:
        body = {"buyer": {**BUYER, "phone": f"+{next(PHONES)}"}, "card_token": shop.token}
        return (await shop.api.post(f"{PLANS}/{plan_id}/acceptance", body)).status_code

    async def cancel(order_id: str) -> int:
        return (await shop.api.post(f"/v1/orders/{order_id}/cancel", {})).status_code

    codes = await asyncio.gather(
        *(agree(attempt["qr"]["qrc_id"]) for _, attempt in sales), *(cancel(order_id) for order_id, _ in sales)
    )
    await carry_on_plans(shop.api.app.state.door.wiring.plans)
    await shop.cards.settle()
    await carry_on_plans(shop.api.app.state.door.wiring.plans)

    assert set(codes) <= {200, 409}
    for order_id, attempt in sales:
        order = await order_of(shop, order_id)
        plan = await shop.cards.read(f"{PLANS}/{attempt['qr']['qrc_id']}")
        assert (order["status"], plan["status"]) in {("paid", "completed"), ("canceled", "canceled")}
    assert shop.charges.summary["held_kopecks"] == 0
