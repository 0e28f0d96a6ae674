"""Clients of other families, by hand: what they send differs, and all of it is taken."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from api.contracts.dolyame.shops import Profile
from tests.contracts.dolyame_world import DolyameWorld, ShopAccess, order_id_of

SCHEDULE = ["2500.14"] * 4


@pytest.fixture(scope="module")
def shop(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.another_shop()


def posted(shop: ShopAccess, path: str, body: Any, status: int = 200) -> Any:
    answer = shop.raw("POST", path, json.dumps(body).encode())
    assert answer.status == status, answer.body
    return answer.json


def basket(order_id: str, **more: Any) -> dict[str, Any]:
    """An order as the PHP family sends it: texts for amounts, nulls where nothing is known."""
    return {
        "id": order_id, "amount": "10000.56", "prepaid_amount": "0",
        "items": [
            {"name": "Лампа", "quantity": "1", "price": "7000.56", "sku": None, "receipt": None},
            {"name": "Коврик", "quantity": 1.0, "price": 3000, "sku": "rug",
             "receipt": {"tax": "vat20", "payment_method": "full_payment", "payment_object": "commodity"}},
        ],
        **more,
    }  # fmt: skip


NULL_CLIENT = dict.fromkeys(("first_name", "last_name", "middle_name", "birthdate", "phone", "email"))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"client_info": NULL_CLIENT, "fiscalization_settings": {"type": "disabled"}}, id="on_the_top"),
        pytest.param({"client_info": [], "notification_url": "", "fail_url": None}, id="empty_php_array"),
        pytest.param({"success_url": "https://shop.example/ok", "unknown": {"a": 1}}, id="with_what_we_do_not_know"),
    ],
)
def test_amounts_are_texts_and_what_is_unknown_is_null(body: dict[str, Any], shop: ShopAccess) -> None:
    made = posted(shop, "/orders/create", {"order": basket(order_id_of()), **body})

    assert (made["status"], made["amount"], made["residual_amount"]) == (
        "new",
        Decimal("10000.56"),
        Decimal("10000.56"),
    )
    assert [str(part["amount"]) for part in made["payment_schedule"]] == SCHEDULE
    assert "payment_date" in made["payment_schedule"][0]


def test_client_info_and_receipts_may_stand_in_the_order(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = order_id_of()
    client = {"first_name": "Иван", "last_name": "Петров", "phone": "+79993334444", "email": "test@yandex.ru"}

    posted(shop, "/orders/create", {
        "order": basket(order_id, client_info=client, fiscalization_settings={"type": "enabled"}),
    })  # fmt: skip

    ((kept, fiscalization),) = dolyame_world.sql(
        """SELECT d.client_info, d.fiscalization FROM dolyame_orders AS d
             JOIN installment_plans AS p ON p.id = d.plan_id WHERE p.order_number = %s""", order_id,
    )  # fmt: skip
    assert kept == {"first_name": "Иван", "last_name": "П.", "phone": "+7******4444", "email": "t**@y*.ru"}
    assert fiscalization == "enabled"


def test_amounts_that_were_floats_are_read_to_the_kopeck(shop: ShopAccess) -> None:
    body = b'{"order": {"id": "%s", "amount": 2500.1399999999999, "items": [' % order_id_of().encode()
    body += b'{"name": "A", "quantity": 1, "price": 2500.1399999999999}]}}'

    made = shop.raw("POST", "/orders/create", body)

    assert (made.status, str(made.json["amount"])) == (200, "2500.14")
    assert b'"amount":2500.14,' in made.body  # a number with two decimals, and no float on its way


def test_a_measure_is_a_quantity(shop: ShopAccess) -> None:
    items = [{"name": "Сыр", "quantity": "0.345", "price": "1299.90"}]  # 448.4655

    made = posted(shop, "/orders/create", {"order": {"id": order_id_of(), "amount": "448.47", "items": items}})

    assert made["amount"] == Decimal("448.47")
    assert sum(part["amount"] for part in made["payment_schedule"]) == Decimal("448.47")


def test_info_is_got_and_posted_by_an_id_with_odd_signs(shop: ShopAccess) -> None:
    order_id = "shop_7/A #1?x|%2F"
    posted(shop, "/orders/create", {"order": basket(order_id)})
    path = f"/orders/{quote(order_id, safe='')}/info"

    got, said = shop.raw("GET", path), shop.raw("POST", path, b"[]")

    assert (got.status, said.status, got.body) == (200, 200, said.body)
    assert got.json["id"] == order_id
    assert [(item["name"], item["quantity"], item["sku"]) for item in got.json["items"]] == [
        ("Лампа", 1, None), ("Коврик", 1, "rug"),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, b"", b"{}", b"[]"], ids=["none", "empty", "object", "array"])
def test_a_cancel_says_nothing_in_its_body(body: bytes | None, shop: ShopAccess) -> None:
    order_id = order_id_of()
    posted(shop, "/orders/create", {"order": basket(order_id)})

    ended = shop.raw("POST", f"/orders/{order_id}/cancel", body)

    assert (ended.status, ended.json["status"], ended.json["residual_amount"]) == (200, "canceled", 0)


def test_a_whole_order_lives_by_texts(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = order_id_of()
    order = basket(order_id)
    posted(shop, "/orders/create", {"order": order, "fiscalization_settings": {"type": "enabled"}})
    dolyame_world.buyer_takes(shop, order_id)
    dolyame_world.until_status(shop, order_id, "wait_for_commit")

    posted(shop, f"/orders/{order_id}/commit", {name: order[name] for name in ("amount", "prepaid_amount", "items")})
    dolyame_world.until_status(shop, order_id, "completed")
    back = posted(shop, f"/orders/{order_id}/refund", {
        "amount": "3000.00", "refunded_prepaid_amount": "0", "returned_items": [order["items"][1]],
        "fiscalization_settings": {"type": "disabled"},
    })  # fmt: skip
    handed = posted(shop, f"/orders/{order_id}/complete_delivery", {})

    assert back["amount"] == handed["amount"] == Decimal("7000.56")
    assert dolyame_world.sql(
        """SELECT r.stage, r.profile FROM receipt_intents AS r JOIN installment_plans AS p ON p.id = r.plan_id
            WHERE p.merchant_id = %s AND p.order_number = %s ORDER BY r.id""", shop.merchant_id, order_id,
    ) == [("prepayment", "operator_on_behalf"), ("refund", "merchant"), ("hand_over", "merchant")]  # fmt: skip
    assert [part["status"] for part in handed["payment_schedule"]] == ["paid", "scheduled", "scheduled", "scheduled"]


def test_a_client_of_production_is_told_that_all_was_refunded(dolyame_world: DolyameWorld) -> None:
    shop = dolyame_world.another_shop(Profile.PRODUCTION)
    order_id = dolyame_world.completed(shop)
    items = [{"name": "Лампа", "quantity": 1, "price": "7000.56", "sku": "lamp"},
             {"name": "Коврик", "quantity": 1, "price": "3000.00", "sku": "rug"}]  # fmt: skip

    back = posted(shop, f"/orders/{order_id}/refund", {"amount": 10000.56, "returned_items": items})

    found = shop.raw("GET", f"/orders/{order_id}/info").json
    assert (back["amount"], found["status"], found["amount"], found["residual_amount"]) == (0, "refunded", 0, 0)
