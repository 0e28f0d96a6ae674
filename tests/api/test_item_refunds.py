"""One sale with every tender and its goods coming back: money, points and code go as they came, each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from api.card_paying import carry_out
from api.chores import close_unpaid_orders
from checkout.card_payment_rows import load_payment
from checkout.card_payments import CardRefundStatus, ChargeAnswer, ChargeNews
from checkout.card_refunding import CardRefundAnswer, record_refund
from ledger.clock import Clock, machine_now
from ledger.database import Engine, text, transaction
from ledger.entry import Entry, Posting
from ledger.journal import post
from ledger.money import Kopecks
from tests.api.basket_world import GRANTED, LINES, SUBTOTAL, BasketShop, basket_shop
from tests.api.card_world import card_shop
from tests.api.conftest import Client
from tests.checkout.points_world import differences
from tests.tokenization.charges.charge_world import charge_world

pytestmark = pytest.mark.usefixtures("watched_accounts")

PROMO = 6_000
RAIL = SUBTOTAL - PROMO - 100 * 100
EARNED = 22


@pytest_asyncio.fixture
async def till(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[BasketShop]:
    async with charge_world(vault_engine, machine_now()) as charges:
        yield await basket_shop(await card_shop(client, engine, charges))


async def paid(till: BasketShop, number: str = "B-1") -> Any:
    order = await till.place_with_all(number)
    assert (await till.shop.attempt(order["id"]))["status"] == "paid"
    return await till.order(order["id"])


async def agree(till: BasketShop) -> None:
    """Lots, accounts and programme say the same."""
    async with transaction(till.shop.engine) as session:
        assert await differences(session) == []


async def redemptions(till: BasketShop) -> dict[str, int]:
    code = (await till.shop.read("/v1/promo-codes"))["items"][0]
    found = (await till.shop.read(f"/v1/promo-codes/{code['id']}/redemptions"))["items"]
    return {status: sum(1 for each in found if each["status"] == status) for status in {f["status"] for f in found}}


async def test_code_points_and_card_pay_one_order(till: BasketShop) -> None:
    order = await till.place_with_all()

    tenders = order["tenders"]
    assert (tenders["promo_kopecks"], tenders["points"], tenders["points_kopecks"]) == (PROMO, 100, 10_000)
    assert order["amount_kopecks"] == tenders["amount_kopecks"] == RAIL
    assert sum(line["rail_kopecks"] for line in tenders["lines"]) == RAIL
    assert await till.points() == GRANTED
    attempt = await till.shop.attempt(order["id"])
    assert (attempt["status"], attempt["amount_kopecks"]) == ("paid", RAIL)
    assert (await till.order(order["id"]))["tenders"]["status"] == "confirmed"
    assert await till.points() == GRANTED - 100 + EARNED
    assert await redemptions(till) == {"confirmed": 1}
    await agree(till)


async def test_a_declined_card_takes_neither_points_nor_code(till: BasketShop) -> None:
    order = await till.place_with_all()
    till.shop.charges.script("lost_request")

    assert (await till.shop.attempt(order["id"]))["status"] == "unknown"
    await till.shop.settle()

    assert (await till.order(order["id"]))["tenders"]["status"] == "reserved"
    canceled = await till.shop.made(f"/v1/orders/{order['id']}/cancel", None, 200)
    assert canceled["tenders"]["status"] == "released"
    assert await till.points() == GRANTED
    assert await redemptions(till) == {"released": 1}
    await agree(till)


async def test_pieces_come_back_one_by_one_to_the_last_kopeck_and_point(till: BasketShop) -> None:
    order = await paid(till)

    one = await till.take_back(order["id"], [(1, 1)])
    assert (one["status"], one["is_final"]) == ("succeeded", True)
    assert await redemptions(till) == {"confirmed": 1}
    two = await till.take_back(order["id"], [(1, 2)])
    rest = await till.take_back(order["id"])

    assert [each["items"] for each in (one, two, rest)] == [
        [{"line": 1, "quantity": 1}], [{"line": 1, "quantity": 2}], [{"line": 2, "quantity": 250}],
    ]  # fmt: skip
    assert one["amount_kopecks"] + two["amount_kopecks"] + rest["amount_kopecks"] == RAIL
    assert one["points_back"] + two["points_back"] + rest["points_back"] == 100
    assert await till.points() == GRANTED
    assert await redemptions(till) == {"returned": 1}
    after = await till.order(order["id"])
    assert (after["amount_refunded_kopecks"], after["tenders"]["amount_refunded_kopecks"]) == (RAIL, RAIL)
    assert (await till.shop.read(f"/v1/item-refunds/{one['id']}")) == one
    assert (await till.shop.read(f"/v1/item-refunds?order_id={order['id']}"))["items"] == [one, two, rest]
    assert "item_refund.succeeded" in await till.shop.events()
    await agree(till)


async def test_a_refund_whose_answer_is_lost_gives_points_back_when_it_is_learnt(till: BasketShop) -> None:
    order = await paid(till)
    till.shop.vault.lose = 1

    back = await till.take_back(order["id"], [(2, 250)])
    assert (back["status"], await till.points()) == ("requested", GRANTED - 100 + EARNED)
    await till.shop.settle()

    assert (await till.shop.read(f"/v1/item-refunds/{back['id']}"))["status"] == "succeeded"
    assert await till.points() == GRANTED - 100 + EARNED + back["points_back"] - EARNED * back["amount_kopecks"] // RAIL
    await agree(till)


async def test_goods_that_the_acquirer_gave_nothing_for_may_come_back_again(till: BasketShop) -> None:
    order = await paid(till)
    till.shop.vault.refuse = "vault.refused"
    refused = await till.take_back(order["id"], [(2, 250)])
    till.shop.vault.refuse = ""
    await till.shop.settle()

    assert (await till.shop.read(f"/v1/item-refunds/{refused['id']}"))["status"] == "refused"
    assert "item_refund.refused" in await till.shop.events()
    assert (await till.take_back(order["id"], [(2, 250)]))["status"] == "succeeded"
    await agree(till)


async def test_what_was_not_sold_so_does_not_come_back(till: BasketShop) -> None:
    order = await paid(till)
    refusals: list[tuple[Any, int, str]] = [
        ([(3, 1)], 422, "checkout.items_unknown"),
        ([(1, 4)], 409, "checkout.items_not_left"),
        ([(2, 100)], 422, "checkout.measure_only_whole"),
        ([(1, 1), (1, 1)], 422, "checkout.items_malformed"),
        ([(0, 1)], 422, "api.request_invalid"),
        ([(1, 10**40)], 422, "api.request_invalid"),
    ]

    told = [(await till.take_back(order["id"], items, status))["code"] for items, status, _ in refusals]

    assert told == [code for _, _, code in refusals]
    assert (await till.shop.read("/v1/item-refunds"))["items"] == []


async def test_an_order_with_a_basket_is_not_refunded_by_sum(till: BasketShop) -> None:
    order = await paid(till)
    payment_id = order["attempts"][0]["payment_id"]

    for named in ({"order_id": order["id"]}, {"payment_id": payment_id}):
        refused = await till.shop.made("/v1/refunds", {**named, "amount_kopecks": 100}, 409)
        assert refused["code"] == "checkout.refund_by_items"


async def test_an_open_order_gives_nothing_back(till: BasketShop) -> None:
    order = await till.place()

    assert (await till.take_back(order["id"], status=409))["code"] == "checkout.order_not_paid"
    bare = await till.shop.order()
    assert (await till.shop.attempt(bare))["status"] == "paid"
    assert (await till.take_back(bare, status=409))["code"] == "checkout.basket_missing"


async def test_an_offer_of_a_rail_is_taken_when_the_buyer_chooses_it(till: BasketShop) -> None:
    rule = {"merchant_id": till.shop.merchant_id, "rail": "card", "basis_points": 200, "note": "Картой дешевле на 2 %"}
    made = await till.shop.made("/v1/rail-offers", rule)
    order = await till.place()

    offers = {each["rail"]: each["amount_kopecks"] for each in order["tenders"]["offers"]}
    assert offers == {"card": SUBTOTAL - 1_200, "dolyame": SUBTOTAL - 1_200}
    attempt = await till.shop.attempt(order["id"])
    assert (attempt["status"], attempt["amount_kopecks"]) == ("paid", SUBTOTAL - 1_200)
    after = await till.order(order["id"])
    assert (after["amount_kopecks"], after["tenders"]["offer_rail"]) == (SUBTOTAL - 1_200, "card")
    back = await till.take_back(order["id"])
    assert back["amount_kopecks"] == SUBTOTAL - 1_200

    ended = await till.shop.made(f"/v1/rail-offers/{made['id']}/close", None, 200)
    assert ended["valid_until"] is not None
    assert (await till.place("B-2"))["tenders"]["offers"] == []
    assert (await till.shop.read("/v1/rail-offers"))["items"] == [ended]


async def test_an_order_that_nobody_pays_is_closed_after_its_time(till: BasketShop, engine: Engine) -> None:
    order = await till.place_with_all()
    watched = await till.place("B-2", open_minutes=30)
    till.shop.charges.script("lost_request")
    assert (await till.shop.attempt(watched["id"]))["status"] == "unknown"
    clock = Clock()
    assert await close_unpaid_orders(engine, clock) == 0

    clock.offset = timedelta(minutes=61)
    assert [await close_unpaid_orders(engine, clock) for _ in range(2)] == [1, 0]

    closed = await till.order(order["id"])
    assert (closed["status"], closed["tenders"]["status"]) == ("canceled", "released")
    assert (await till.order(watched["id"]))["status"] == "open"
    assert (await till.points(), await redemptions(till)) == (GRANTED, {"released": 1})
    await agree(till)


async def test_a_quote_says_what_an_order_would_be_and_leaves_nothing(till: BasketShop) -> None:
    asked = {"loyalty_card_id": till.card_id, "promo_code": "osen-10", "points": 100}
    body = {"terminal_id": till.shop.terminal_id, "basket": {"lines": LINES}, **asked}

    quoted = await till.shop.made("/v1/order-quotes", body, 200)

    assert (quoted["amount_kopecks"], quoted["points_max"], quoted["points_earned"]) == (RAIL, 270, EARNED)
    assert quoted["tenders"]["promo_kopecks"] == PROMO
    assert (await till.shop.read("/v1/orders"))["items"] == []
    assert await redemptions(till) == {}
    order = await till.place_with_all()
    assert {**quoted["tenders"], "redemption_id": "", "expires_at": ""} == {
        **order["tenders"], "redemption_id": "", "expires_at": "",
    }  # fmt: skip
    refused = await till.shop.made("/v1/order-quotes", {**body, "promo_code": "nobody"}, 404)
    assert refused["code"] == "checkout.promo_code_not_found"


async def test_a_refund_that_was_refused_after_another_leaves_no_kopeck_too_many(till: BasketShop) -> None:
    uneven = [{**LINES[0], "discount_kopecks": 1}]  # 30 002 kopecks of three pieces
    order = await till.place("B-3", basket={"lines": uneven})
    assert (await till.shop.attempt(order["id"]))["status"] == "paid"
    till.shop.vault.drop = 1
    first = await till.take_back(order["id"], [(1, 1)])
    second = await till.take_back(order["id"], [(1, 1)])
    assert (first["status"], second["status"]) == ("requested", "succeeded")
    refused = CardRefundAnswer(CardRefundStatus.REFUSED, "vault.refused")
    async with transaction(till.shop.engine) as session:
        await record_refund(session, first["refund_id"], refused, now=machine_now())

    rest = await till.take_back(order["id"])

    assert (rest["status"], rest["items"]) == ("succeeded", [{"line": 1, "quantity": 2}])
    assert second["amount_kopecks"] + rest["amount_kopecks"] == 30_002
    await agree(till)


async def test_a_payment_and_a_refund_that_meet_wait_for_each_other_in_one_order(till: BasketShop) -> None:
    """Both want the code, the programme's accounts and the merchant's money; who comes first has the money last."""
    sold, engine = await paid(till), till.shop.engine
    till.shop.vault.drop = 1
    back = await till.take_back(sold["id"])
    order = await till.place_with_all("B-2")
    till.shop.vault.lose = 1
    assert (await till.shop.attempt(order["id"]))["status"] == "unknown"
    given = CardRefundAnswer(CardRefundStatus.SUCCEEDED, rrn="626000000001")
    taken = ChargeAnswer(ChargeNews.CAPTURED, acquirer_id="10000000001", rrn="626000000002", captured_kopecks=RAIL)

    async def refund() -> None:
        async with transaction(engine) as session:
            await record_refund(session, back["refund_id"], given, now=machine_now())

    async def pay() -> None:
        async with transaction(engine) as session:
            payment_id = await session.scalar(text("SELECT id FROM card_payments WHERE status = 'unknown'"))
            await carry_out(session, await load_payment(session, payment_id), taken, now=machine_now())

    merchant = till.shop.merchant_id
    money = Posting("asset:card_settlement:10000000001", f"liability:card_payable:{merchant}", Kopecks(1))
    async with transaction(engine) as session:
        await post(session, Entry("held", "test", machine_now(), (money,)), now=machine_now())
        both = [asyncio.create_task(refund())]
        await asyncio.sleep(0.3)
        both.append(asyncio.create_task(pay()))
        await asyncio.sleep(0.3)
        await session.rollback()
    await asyncio.gather(*both)

    assert (await till.order(order["id"]))["status"] == "paid"
    assert await redemptions(till) == {"returned": 1, "confirmed": 1}
    await agree(till)
