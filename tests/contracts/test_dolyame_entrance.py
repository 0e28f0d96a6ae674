"""Who is let in and who is not; what the same correlation id means; what more than ten calls a second get."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import uuid
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tbank.dolyame import models
from typer.testing import CliRunner

from api.cli.main import app
from api.dolyame_certificates import SHOP, make_dolyame_certificates
from ledger.clock import machine_now
from tests.contracts.dolyame_world import DolyameWorld, Raw, ShopAccess, order_id_of, unpadded

CALLS_MAX = 500
"""Of one line: at any speed above ten a second one of four comes to wait sooner."""


@pytest.fixture(scope="module")
def shop(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.another_shop()


@pytest.fixture(scope="module")
def neighbour(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.another_shop()


def order_body(order_id: str, price: str = "1000.00") -> bytes:
    items = [{"name": "Лампа", "quantity": 1, "price": price, "sku": "lamp"}]
    return json.dumps({"order": {"id": order_id, "amount": price, "items": items}}).encode()


def refused(answer: Raw) -> tuple[int, str, str]:
    said = answer.json
    assert set(said) == {"code", "errorDetailCode", "message", "correlationId", "details"}
    assert said["message"]
    assert isinstance(said["details"], dict)
    return answer.status, said["code"], said["errorDetailCode"]


def test_without_a_certificate_of_the_shops_authority_there_is_no_connection(shop: ShopAccess, tmp_path: Path) -> None:
    foreign = make_dolyame_certificates(tmp_path / "foreign", now=machine_now())
    foreign_pair = str(foreign.certificate(SHOP)), str(foreign.key(SHOP))

    for shown in (None, foreign_pair):
        with pytest.raises((ssl.SSLError, OSError)):
            shop.raw("GET", "/orders/x/info", shown=shown)


def test_a_password_works_with_its_own_certificate_only(shop: ShopAccess, neighbour: ShopAccess) -> None:
    answer = shop.raw("GET", "/orders/x/info", shown=(neighbour.certificate, neighbour.key))

    assert refused(answer) == (403, "FORBIDDEN", "CERTIFICATE_FOREIGN")


@pytest.mark.parametrize(
    "basic",
    [
        pytest.param("Basic " + b64encode(b"nobody:nothing").decode(), id="another_login"),
        pytest.param("Basic !!!", id="not_base64"),
        pytest.param("Bearer kp_test_1", id="bearer"),
        pytest.param("Basic " + b64encode(b"no-colon").decode(), id="no_colon"),
    ],
)
def test_wrong_credentials_are_401_and_told_to_use_basic(basic: str, shop: ShopAccess) -> None:
    answer = shop.raw("GET", "/orders/x/info", basic=basic)

    assert refused(answer)[:2] == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_wrong_password_is_401_and_both_paddings_are_right(shop: ShopAccess) -> None:
    padded = "Basic " + b64encode(f"{shop.login}:{shop.password}".encode()).decode()

    assert padded != unpadded(shop.login, shop.password)
    assert refused(shop.raw("GET", "/orders/x/info", basic=unpadded(shop.login, "wrong")))[0] == 401
    for basic in (padded, unpadded(shop.login, shop.password)):
        assert refused(shop.raw("GET", "/orders/x/info", basic=basic)) == (404, "NOT_FOUND", "ORDER_NOT_FOUND")


def test_another_shops_order_is_not_there(shop: ShopAccess, neighbour: ShopAccess) -> None:
    order_id = order_id_of()
    assert shop.raw("POST", "/orders/create", order_body(order_id)).status == 200

    for path in ("info", "cancel", "complete_delivery"):
        answer = neighbour.raw("POST", f"/orders/{order_id}/{path}", b"{}")
        assert refused(answer) == (404, "NOT_FOUND", "ORDER_NOT_FOUND")
    assert shop.raw("GET", f"/orders/{order_id}/info").json["status"] == "new"


@pytest.mark.parametrize(
    ("correlation", "detail"),
    [(None, "CORRELATION_MISSING"), ("not-a-uuid", "CORRELATION_MALFORMED"),
     ("{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "CORRELATION_MALFORMED")],
)  # fmt: skip
def test_a_correlation_id_is_a_uuid(correlation: str | None, detail: str, shop: ShopAccess) -> None:
    answer = shop.raw("POST", "/orders/create", order_body(order_id_of()), correlation=correlation)

    assert refused(answer) == (400, "BAD_REQUEST", detail)


def test_the_same_id_gives_the_same_answer_and_another_body_is_refused(shop: ShopAccess) -> None:
    order_id, correlation = order_id_of(), str(uuid.uuid4()).upper()
    first = shop.raw("POST", "/orders/create", order_body(order_id), correlation=correlation)
    shop.raw("POST", f"/orders/{order_id}/cancel", b"[]")

    again = shop.raw("POST", "/orders/create", order_body(order_id), correlation=correlation.lower())
    other = shop.raw("POST", "/orders/create", order_body(order_id_of()), correlation=correlation)

    assert (first.status, again.body) == (200, first.body)  # the answer of then, not the order of now
    assert again.headers["idempotent-replayed"] == "true"
    assert refused(other) == (409, "CONFLICT", "KEY_REUSED")
    assert other.json["correlationId"] == correlation.lower()


def test_one_id_may_go_with_all_calls_of_an_order(shop: ShopAccess) -> None:
    order_id, correlation = order_id_of(), str(uuid.uuid4())
    shop.raw("POST", "/orders/create", order_body(order_id), correlation=correlation)

    read = shop.raw("GET", f"/orders/{order_id}/info", correlation=correlation)
    ended = shop.raw("POST", f"/orders/{order_id}/cancel", b"[]", correlation=correlation)

    assert (read.json["status"], ended.json["status"]) == ("new", "canceled")


def test_the_same_order_under_a_new_id_is_the_same_link_and_another_one_is_refused(shop: ShopAccess) -> None:
    order_id = order_id_of()
    first = shop.raw("POST", "/orders/create", order_body(order_id)).json

    again = shop.raw("POST", "/orders/create", order_body(order_id)).json
    other = shop.raw("POST", "/orders/create", order_body(order_id, "1000.01"))

    assert again == first
    assert refused(other) == (409, "CONFLICT", "ORDER_NUMBER_TAKEN")


def test_a_refund_is_repeated_by_its_id_and_made_again_under_a_new_one(
    dolyame_world: DolyameWorld, shop: ShopAccess
) -> None:
    pair = models.Item(name="Носки", quantity=4, price="500.00", sku="socks")
    order_id = dolyame_world.completed(shop, (pair,))
    one = json.dumps({
        "amount": 500, "returned_items": [{"name": "Носки", "quantity": 1, "price": 500, "sku": "socks"}],
    }).encode()  # fmt: skip
    correlation, path = str(uuid.uuid4()), f"/orders/{order_id}/refund"

    first = shop.raw("POST", path, one, correlation=correlation)
    again = shop.raw("POST", path, one, correlation=correlation)
    second = shop.raw("POST", path, one)

    assert (first.status, first.body) == (200, again.body)
    assert (str(first.json["amount"]), str(second.json["amount"])) == ("1500.00", "1000.00")
    assert first.json["refund_id"] != second.json["refund_id"]


def test_a_refund_that_was_never_answered_is_not_made_twice(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)
    body = json.dumps({"amount": 3000, "returned_items": [
        {"name": "Коврик", "quantity": 1, "price": 3000, "sku": "rug"},
    ]}).encode()  # fmt: skip
    path, lost = f"/orders/{order_id}/refund", str(uuid.uuid4())
    first = shop.raw("POST", path, body, correlation=lost)
    dolyame_world.sql("UPDATE dolyame_refunds SET answered_at = NULL WHERE id = %s", first.json["refund_id"])  # a crash

    again = shop.raw("POST", path, body)  # the client knows nothing and asks under a new id

    assert (again.status, again.json) == (200, first.json)
    assert str(again.json["amount"]) == "7000.56"


def test_a_door_that_died_between_intent_and_answer_finishes_under_the_same_id(
    dolyame_world: DolyameWorld, shop: ShopAccess
) -> None:
    order_id, correlation = dolyame_world.held(shop), str(uuid.uuid4())
    body = json.dumps({"amount": "10000.56", "items": [
        {"name": "Лампа", "quantity": 1, "price": 7000.56, "sku": "lamp"},
        {"name": "Коврик", "quantity": 1, "price": 3000, "sku": "rug"},
    ]}).encode()  # fmt: skip
    first = shop.raw("POST", f"/orders/{order_id}/commit", body, correlation=correlation)
    assert first.status == 200
    dolyame_world.sql(
        """UPDATE idempotency_keys SET status = 'started', finished_at = NULL, response_status = NULL,
                  response_body = NULL, content_type = NULL, lease_until = now() - interval '1 second'
            WHERE scope = %s AND resource_id = (SELECT id FROM installment_plans WHERE order_number = %s)
              AND route LIKE '%%commit'""",
        f"{shop.merchant_id}/test/dolyame", order_id,
    )  # fmt: skip

    again = shop.raw("POST", f"/orders/{order_id}/commit", body, correlation=correlation)

    assert (again.status, again.json["amount"]) == (200, first.json["amount"])
    captured = dolyame_world.sql(
        """SELECT count(*) FROM card_payments AS c JOIN plan_first_payments AS f ON f.payment_id = c.id
             JOIN installment_plans AS p ON p.id = f.plan_id WHERE p.order_number = %s""", order_id,
    )  # fmt: skip
    assert captured == [(1,)]


def test_more_than_ten_calls_a_second_wait_as_both_headers_say(dolyame_world: DolyameWorld) -> None:
    shop = dolyame_world.another_shop()

    def until_one_waits(_number: int) -> list[Raw]:
        """On one line, as opening many would take more than a second."""
        with closing(shop.connection()) as line:
            heard = [shop.asked(line, "GET", "/orders/x/info")]
            while heard[-1].status != 429 and len(heard) < CALLS_MAX:
                heard.append(shop.asked(line, "GET", "/orders/x/info"))
        return heard

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for heard in pool.map(until_one_waits, range(4)) for answer in heard]

    waiting = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {404, 429}
    assert refused(waiting[0]) == (429, "TOO_MANY_REQUESTS", "RATE_LIMITED")
    for name in ("X-Retry-After", "Retry-After"):  # letter by letter: some clients look so
        assert name in waiting[0].headers
    time.sleep(int(waiting[0].headers["X-Retry-After"]))
    assert shop.raw("GET", "/orders/x/info").status == 404


BAD: list[tuple[str, dict[str, Any], tuple[int, str]]] = [
    ("sum", {"amount": "999.99"}, (422, "BASKET_MISMATCH")),
    ("negative", {"amount": -1}, (400, "REQUEST_INVALID")),
    ("three_decimals", {"amount": "1000.001"}, (400, "REQUEST_INVALID")),
    ("text", {"amount": "тысяча"}, (400, "REQUEST_INVALID")),
    ("boolean", {"amount": True}, (400, "REQUEST_INVALID")),
    ("exponent", {"amount": 1e300}, (400, "REQUEST_INVALID")),
    ("long_id", {"id": "x" * 31}, (400, "REQUEST_INVALID")),
    ("no_items", {"items": []}, (400, "REQUEST_INVALID")),
    ("too_dear", {"amount": 150_000.01, "items": [{"name": "A", "quantity": 1, "price": 150_000.01}]},
     (422, "PRICE_OUT_OF_RANGE")),
    ("cyrillic_id", {"id": "заказ 1"}, (422, "ORDER_NUMBER_MALFORMED")),
    ("zero_quantity", {"items": [{"name": "A", "quantity": 0, "price": 1}]}, (400, "REQUEST_INVALID")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_malformed_order_is_refused_with_its_reason(
    change: dict[str, Any], expected: tuple[int, str], neighbour: ShopAccess
) -> None:
    body = json.loads(order_body(order_id_of()))
    body["order"] |= change

    status, _, detail = refused(neighbour.raw("POST", "/orders/create", json.dumps(body).encode()))

    assert (status, detail) == expected


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/orders/create", b"{", {}, 400),
        ("POST", "/orders/create", b"{}", {"Content-Type": "text/plain"}, 400),
        ("POST", "/orders/create", b'{"order": {"amount": NaN}}', {}, 400),
        ("DELETE", "/orders/x/info", None, {}, 404),
        ("POST", "/nothing", b"{}", {}, 404),
        ("POST", "/orders/x/correction", b'{"amount": 1}', {}, 422),
        ("POST", "/orders/x/commit", b'{"amount": 1, "items": [{"name": "A", "quantity": 1, "price": 1}]}', {}, 404),
    ],
)  # fmt: skip
def test_every_refusal_is_in_the_contracts_form(
    method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, neighbour: ShopAccess
) -> None:
    assert refused(neighbour.raw(method, path, body, headers=headers))[0] == status


def test_notifications_go_to_no_private_address(neighbour: ShopAccess) -> None:
    body = json.loads(order_body(order_id_of())) | {"notification_url": "https://10.0.0.1/hook"}

    answer = neighbour.raw("POST", "/orders/create", json.dumps(body).encode())

    assert refused(answer) == (400, "BAD_REQUEST", "NOTIFICATION_URL_REFUSED")


def test_what_is_revoked_or_replaced_works_no_longer(dolyame_world: DolyameWorld) -> None:
    shop = dolyame_world.another_shop()
    assert shop.raw("GET", "/orders/x/info").status == 404

    dolyame_world.sql("UPDATE dolyame_credentials SET expires_at = now() WHERE login = %s", shop.login)

    assert refused(shop.raw("GET", "/orders/x/info"))[0] == 401


def test_a_shop_is_let_in_changed_and_ended_at_the_command_line(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    place = ("--data-dir", dolyame_world.told["data_dir"])

    def kopeyka(*arguments: str) -> str:
        ran = CliRunner().invoke(app, ["dolyame", *arguments, *place])
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    issue = ("issue", shop.merchant_id, "--login", "site-2", "--json")
    ran = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "dolyame", *issue, *place],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    first = json.loads(ran.stdout)
    access = replace(
        shop, login="site-2", password=first["password"], certificate=first["certificate"], key=first["key"]
    )
    assert access.raw("GET", "/orders/x/info").status == 404
    second = json.loads(kopeyka(*issue, "--overlap-hours", "0"))
    renewed = replace(access, password=second["password"])

    assert access.raw("GET", "/orders/x/info").status == 401
    assert renewed.raw("GET", "/orders/x/info").status == 404
    assert "is revoked" in kopeyka("revoke", second["id"])
    assert renewed.raw("GET", "/orders/x/info").status == 401
    listed = {each["id"]: each["status"] for each in json.loads(kopeyka("list", "--json"))}
    assert (listed[first["id"]], listed[second["id"]]) == ("expired", "revoked")
