"""Payments by card at the door: orders paid, money held, let go and given back, and every lost answer made good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from api.card_paying import carry_out
from checkout.card_payment_rows import load_payment
from checkout.card_payments import ChargeNews
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from tests.api.card_world import CardShop, card_shop
from tests.api.conftest import Client
from tests.tokenization.charges.charge_world import PAN, charge_world

pytestmark = pytest.mark.usefixtures("watched_accounts")

MONEY = "asset:card_settlement:10000000001"


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[CardShop]:
    async with charge_world(vault_engine, machine_now()) as charges:
        yield await card_shop(client, engine, charges)


async def books_agree(shop: CardShop) -> None:
    """What the books say the acquirer owes us is what it would settle."""
    assert await shop.balance(MONEY) == shop.charges.summary["net_kopecks"]
    assert shop.charges.summary["doubles"] == 0


async def test_a_card_pays_an_order_at_once(shop: CardShop) -> None:
    order_id = await shop.order(10_000)

    attempt = await shop.attempt(order_id)

    assert (attempt["rail"], attempt["status"], attempt["qr"]) == ("card", "paid", None)
    assert (await shop.read(f"/v1/orders/{order_id}"))["status"] == "paid"
    payment = await shop.read(f"/v1/card-payments/{attempt['payment_id']}")
    assert (payment["status"], payment["card_mask"], payment["fee_kopecks"]) == ("captured", "220000******0004", 200)
    assert await shop.balance(f"liability:card_payable:{shop.merchant_id}") == 9_800
    assert await shop.balance("income:fee:card") == 200
    assert {"order.paid", "card_payment.captured"} <= set(await shop.events())
    await books_agree(shop)


async def test_a_declined_card_leaves_the_order_open_for_another(shop: CardShop) -> None:
    order_id = await shop.order(990_051)

    attempt = await shop.attempt(order_id)

    assert attempt["status"] == "rejected"
    listed = (await shop.read("/v1/card-payments"))["items"][0]
    assert (listed["status"], listed["reason"], listed["may_try_again"]) == ("refused", "not_enough_money", True)
    assert "не хватает денег" in listed["cashier_tip"]
    assert (await shop.read(f"/v1/orders/{order_id}"))["status"] == "open"
    await books_agree(shop)


@pytest.mark.parametrize("fault", ["lost_request", "lost_answer", "cut", "wrong_rrn"])
async def test_a_lost_answer_of_the_acquirer_ends_refused_and_the_order_can_be_paid(shop: CardShop, fault: str) -> None:
    order_id = await shop.order()
    shop.charges.script(fault)

    attempt = await shop.attempt(order_id)
    assert attempt["status"] == "unknown"
    await shop.settle()

    assert (await shop.read(f"/v1/orders/{order_id}"))["attempts"][0]["status"] == "rejected"
    assert (await shop.attempt(order_id))["status"] == "paid"
    await books_agree(shop)


async def test_a_lost_answer_of_the_vault_is_asked_for_again_and_books_once(shop: CardShop) -> None:
    order_id = await shop.order()
    shop.vault.lose = 1

    attempt = await shop.attempt(order_id)
    assert attempt["status"] == "unknown"
    await shop.settle()

    order = await shop.read(f"/v1/orders/{order_id}")
    assert (order["status"], order["attempts"][0]["status"]) == ("paid", "paid")
    assert shop.charges.summary["requests"] == 1
    assert [entry["kind"] for entry in await shop.entries()] == ["card.payment"]
    await books_agree(shop)


async def test_a_repeat_that_the_vault_refuses_says_nothing_of_the_question_before_it(shop: CardShop) -> None:
    shop.vault.lose = 1
    payment = await shop.pay(10_000)
    paid = await shop.pay(20_000)
    shop.vault.lose = 1
    refund = await shop.made(f"/v1/card-payments/{paid['id']}/refunds", {"amount_kopecks": 7_000})

    shop.vault.refuse = "vault.peer_unknown"
    await shop.work_once()

    assert (await shop.read(f"/v1/card-payments/{payment['id']}"))["status"] == "captured"
    assert (await shop.read(f"/v1/refunds/{refund['id']}"))["status"] == "succeeded"
    await books_agree(shop)


async def test_a_refused_repeat_ends_a_payment_when_the_vault_has_no_such_charge_for_long(shop: CardShop) -> None:
    shop.vault.drop = 1
    payment = await shop.pay(10_000)

    shop.vault.refuse = "vault.peer_unknown"
    await shop.work_once()
    assert (await shop.read(f"/v1/card-payments/{payment['id']}"))["status"] == "unknown"
    shop.calls.clock.offset = timedelta(minutes=2)
    await shop.work_once()

    ended = await shop.read(f"/v1/card-payments/{payment['id']}")
    assert (ended["status"], ended["reason"]) == ("refused", "peer_unknown")
    await books_agree(shop)


async def test_an_answer_that_was_held_up_does_not_move_a_payment_back(shop: CardShop) -> None:
    shop.vault.lose = 1
    held = await shop.pay(10_000, capture=False)
    async with transaction(shop.engine) as session:
        asked = await load_payment(session, held["id"])
    answer = await shop.calls.ask(asked)
    await shop.work_once()  # another worker is told the same, and was faster
    shop.vault.lose = 1
    capturing = await shop.made(f"/v1/card-payments/{held['id']}/capture", {}, 200)
    assert (answer.news, capturing["status"]) == (ChargeNews.AUTHORISED, "capturing")

    async with transaction(shop.engine) as session:
        await carry_out(session, asked, answer, now=machine_now())
    await shop.settle()

    assert (await shop.read(f"/v1/card-payments/{held['id']}"))["status"] == "captured"
    await books_agree(shop)


async def test_held_money_is_booked_when_it_is_captured(shop: CardShop) -> None:
    order_id = await shop.order()
    held = await shop.attempt(order_id, capture=False)
    assert held["status"] == "waiting"
    payment_id = (await shop.read("/v1/card-payments"))["items"][0]["id"]
    assert await shop.entries() == []

    refused = await shop.api.post(f"/v1/card-payments/{payment_id}/capture", {"amount_kopecks": 1})
    assert refused.json()["code"] == "checkout.card_capture_not_whole"
    captured = await shop.made(f"/v1/card-payments/{payment_id}/capture", {}, 200)

    assert captured["status"] == "captured"
    assert (await shop.read(f"/v1/orders/{order_id}"))["status"] == "paid"
    await books_agree(shop)


async def test_held_money_is_let_go_and_the_order_may_be_paid_otherwise(shop: CardShop) -> None:
    order_id = await shop.order()
    await shop.attempt(order_id, capture=False)
    payment_id = (await shop.read("/v1/card-payments"))["items"][0]["id"]

    voided = await shop.made(f"/v1/card-payments/{payment_id}/void", {}, 200)

    assert voided["status"] == "voided"
    assert (await shop.read(f"/v1/orders/{order_id}"))["attempts"][0]["status"] == "expired"
    assert shop.charges.summary["held_kopecks"] == 0
    assert (await shop.attempt(order_id))["status"] == "paid"


async def test_an_order_canceled_while_its_answer_was_lost_gives_the_money_back_unbooked(shop: CardShop) -> None:
    order_id = await shop.order()
    shop.vault.lose = 1
    await shop.attempt(order_id)

    await shop.made(f"/v1/orders/{order_id}/cancel", {}, 200)
    await shop.settle()

    payment = (await shop.read("/v1/card-payments"))["items"][0]
    assert payment["status"] == "voided"
    assert await shop.entries() == []
    await books_agree(shop)


async def test_money_that_the_acquirer_will_not_let_go_is_booked_and_refunded(shop: CardShop) -> None:
    shop.charges.acquirer.host.scripts.set({"reversal_code": "12"})
    order_id = await shop.order()
    shop.vault.lose = 1
    await shop.attempt(order_id)
    await shop.made(f"/v1/orders/{order_id}/cancel", {}, 200)

    await shop.settle()

    payment = (await shop.read("/v1/card-payments"))["items"][0]
    assert (payment["status"], payment["reason"]) == ("captured", "void_refused")
    assert "возврат" in payment["cashier_tip"]
    assert (await shop.read(f"/v1/orders/{order_id}"))["status"] == "canceled"
    await books_agree(shop)
    refund = await shop.made(f"/v1/card-payments/{payment['id']}/refunds", {})
    assert refund["status"] == "succeeded"
    await books_agree(shop)


async def test_a_hold_that_the_acquirer_keeps_is_not_asked_for_over_and_over(shop: CardShop) -> None:
    shop.charges.acquirer.host.scripts.set({"reversal_code": "12"})
    order_id = await shop.order()
    await shop.attempt(order_id, capture=False)
    await shop.made(f"/v1/orders/{order_id}/cancel", {}, 200)

    await shop.settle()

    payment = (await shop.read("/v1/card-payments"))["items"][0]
    assert (payment["status"], payment["reason"]) == ("authorised", "void_refused")


async def test_money_held_for_a_canceled_order_is_let_go_by_itself(shop: CardShop) -> None:
    order_id = await shop.order()
    await shop.attempt(order_id, capture=False)

    await shop.made(f"/v1/orders/{order_id}/cancel", {}, 200)
    await shop.settle()

    assert (await shop.read("/v1/card-payments"))["items"][0]["status"] == "voided"
    assert shop.charges.summary["held_kopecks"] == 0


async def test_refunds_are_partial_repeated_and_never_above_what_was_paid(shop: CardShop) -> None:
    order_id = await shop.order(10_000)
    payment_id = (await shop.attempt(order_id))["payment_id"]
    await shop.pay(50_000)

    first = await shop.made("/v1/refunds", {"order_id": order_id, "amount_kopecks": 4_000, "reason": "брак"})
    second = await shop.made(f"/v1/card-payments/{payment_id}/refunds", {"amount_kopecks": 6_000})

    assert (first["rail"], first["status"], first["order_id"]) == ("card", "succeeded", order_id)
    assert second["status"] == "succeeded"
    above = await shop.api.post("/v1/refunds", {"payment_id": payment_id, "amount_kopecks": 1})
    assert above.json()["code"] == "checkout.card_refund_above_rest"
    assert (await shop.read(f"/v1/orders/{order_id}"))["amount_refunded_kopecks"] == 10_000
    listed = (await shop.read(f"/v1/refunds?order_id={order_id}"))["items"]
    assert [refund["id"] for refund in listed] == [first["id"], second["id"]]
    assert await shop.read(f"/v1/refunds/{first['id']}") == first
    await books_agree(shop)


async def test_the_fee_of_an_only_sale_is_billed_when_all_of_it_goes_back(shop: CardShop) -> None:
    payment = await shop.pay(10_000)

    refund = await shop.made(f"/v1/card-payments/{payment['id']}/refunds", {})

    assert (refund["status"], refund["fee_billed_kopecks"]) == ("succeeded", 200)
    assert await shop.balance(f"asset:fee_receivable:{shop.merchant_id}") == 200
    assert await shop.balance(f"liability:card_payable:{shop.merchant_id}") == 0
    await books_agree(shop)


@pytest.mark.parametrize("fault", ["lost_request", "lost_answer"])
async def test_a_refund_whose_answer_was_lost_moves_money_once(shop: CardShop, fault: str) -> None:
    payment = await shop.pay(10_000)
    await shop.pay(10_000)
    shop.charges.script(fault, kinds=["0220", "0221"], times=2)

    refund = await shop.made(f"/v1/card-payments/{payment['id']}/refunds", {"amount_kopecks": 3_000})
    assert refund["status"] == "unknown"
    await shop.settle()

    assert (await shop.read(f"/v1/refunds/{refund['id']}"))["status"] == "succeeded"
    assert shop.charges.summary["refunds_kopecks"] == 3_000
    await books_agree(shop)


async def test_a_refused_refund_frees_what_was_set_aside(shop: CardShop) -> None:
    payment = await shop.pay(10_000)
    await shop.pay(10_000)
    shop.charges.acquirer.host.scripts.set({"refund_code": "57"})

    refund = await shop.made(f"/v1/card-payments/{payment['id']}/refunds", {"amount_kopecks": 3_000})

    assert (refund["status"], refund["refusal_code"]) == ("refused", "operation_not_possible")
    payable = await shop.read(f"/v1/ledger/accounts/liability:card_payable:{shop.merchant_id}")
    assert payable["available"] == payable["balance"]
    assert (await shop.read(f"/v1/card-payments/{payment['id']}"))["refunded_kopecks"] == 0


async def test_a_plan_collects_without_the_buyer_after_a_first_payment_with_consent(shop: CardShop) -> None:
    first = await shop.pay(10_000, keep_credential=True)
    part = await shop.pay(5_000, initiator="merchant", first_payment_id=first["id"])
    assert part["status"] == "captured"

    plain = await shop.pay(1_000)
    for terms in ({"initiator": "merchant"}, {"initiator": "merchant", "first_payment_id": plain["id"]}):
        body = {"merchant_id": shop.merchant_id, "card_token": shop.token, "amount_kopecks": 5_000, **terms}
        refused = await shop.api.post("/v1/card-payments", body)
        assert (refused.status_code, refused.json()["code"]) == (422, "checkout.no_stored_consent")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"card_token": PAN}, None, id="a-card-number"),
        pytest.param({"amount_kopecks": 0}, "checkout.amount_not_positive", id="nothing"),
        pytest.param({"amount_kopecks": 100_000_001}, "checkout.amount_too_large", id="too-much"),
        pytest.param({"merchant_id": "mer_00000000000000000000000000"}, "checkout.merchant_not_found", id="nobody"),
        pytest.param({"cvc": "123"}, None, id="unknown-field"),
    ],
)
async def test_what_is_wrong_is_refused_before_the_vault_is_asked(
    shop: CardShop, change: dict[str, Any], code: str | None
) -> None:
    body = {"merchant_id": shop.merchant_id, "card_token": shop.token, "amount_kopecks": 100, **change}

    refused = await shop.api.post("/v1/card-payments", body)

    assert 400 <= refused.status_code < 500
    assert code in (None, refused.json()["code"])
    assert PAN not in refused.text
    assert shop.vault.calls == []


async def test_a_foreign_token_ends_refused_and_nobody_is_charged(shop: CardShop) -> None:
    payment = await shop.pay(100, card_token="tok_0000000000000000000000000")

    assert (payment["status"], payment["reason"]) == ("refused", "token_not_found")
    assert shop.charges.acquirer.messages == 0


async def test_the_same_key_charges_once(shop: CardShop) -> None:
    body = {"merchant_id": shop.merchant_id, "card_token": shop.token, "amount_kopecks": 100}

    first = await shop.api.post("/v1/card-payments", body, key="the-one-key-000001")
    again = await shop.api.post("/v1/card-payments", body, key="the-one-key-000001")

    assert first.json() == again.json()
    assert shop.charges.summary["requests"] == 1
