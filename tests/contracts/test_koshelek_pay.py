"""The contract of tills, call by call: what the wallet's public pages say, and what we say where they stop."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from api.contracts.koshelek_pay.error_objects import PUBLISHED
from api.contracts.koshelek_pay.partners import postback_password
from api.contracts.outer_ids import inner_id
from api.terminals_key import terminals_key
from ledger.database import create_engine, transaction
from ledger.proofs import broken_proofs
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.payload import parse_leniently
from tests.api.installment_world import today_plus
from tests.contracts.koshelek_pay_world import Till, TillWorld, basic, code_of

UNKNOWN = "019b0000-0000-7000-8000-000000000007"


@pytest.fixture(scope="module")
def till(till_world: TillWorld) -> Till:
    return till_world.till()


def test_a_sale_is_checked_out_paid_and_given_back_by_pieces(till: Till) -> None:
    begun = till.said("checkout", till.checkout())

    assert (begun["status"], begun["totalAmount"], begun["paymentType"]) == ("WAITING", 48_000, "SBP")
    assert len(begun["paymentTransactionId"]) == 36
    till.world.pays(begun["qrPayload"])
    paid = till.until(begun["paymentTransactionId"], "PAID")
    assert (len(paid["slip"]["operationId"]), paid["slip"]["currency"], len(paid["slip"]["kzo"]) > 0) == (
        32,
        "RUB",
        True,
    )
    assert len(paid["qrcId"]) == 32
    one = till.said("refund", till.refund(paid["paymentTransactionId"], 4_872, {"bread": 1}))
    assert (one["refundAmount"], one["paymentRefundAmount"], one["orderId"]) == (4_872, 4_872, paid["orderId"])
    till.world.until(
        lambda: till.said("status", {"orderId": paid["orderId"]})["refunds"][0]["status"],
        lambda status: status == "REFUNDED",
    )
    rest = till.refund(paid["paymentTransactionId"], 43_128, {"bread": 1, "cheese": 1125})
    too_soon = till.call("refund", rest)
    assert code_of(too_soon) == (422, "REFUND_TOO_SOON")
    assert "один возврат в час" in too_soon.json()["details"]


def test_the_same_request_is_the_same_payment_and_another_one_is_refused(till: Till) -> None:
    body = till.checkout(requestId="r-" + UNKNOWN)

    first, again = till.call("checkout", body), till.call("checkout", body)

    assert first.content == again.content
    other = {**body, "invoice": {**body["invoice"], "orderId": "other"}}
    assert code_of(till.call("checkout", other)) == (422, "REQUEST_ID_IS_USED")


def test_without_a_request_id_the_body_is_the_key_and_the_order_is_one(till: Till) -> None:
    body = till.checkout()

    first, again = till.call("checkout", body), till.call("checkout", body)

    assert first.json()["paymentTransactionId"] == again.json()["paymentTransactionId"]
    dearer = {**body, "invoice": {**body["invoice"], "discountAmount": 0, "totalAmount": 49_263}}
    assert code_of(till.call("checkout", dearer)) == (422, "ORDER_ALREADY_EXISTS")


def test_a_payment_is_canceled_once_and_the_cashier_learns_why_not_twice(till: Till) -> None:
    begun = till.said("checkout", till.checkout())
    named = {"paymentTransactionId": begun["paymentTransactionId"]}

    assert till.said("cancel", named)["status"] == "CANCELED"
    again = till.call("cancel", named)

    assert code_of(again) == (422, "WRONG_TRANSACTION_STATE_CHANGE")
    assert again.json()["details"] == "Платёж уже отменён."


def test_a_repeated_cancel_of_one_request_gives_the_first_answer(till: Till) -> None:
    begun = till.said("checkout", till.checkout())
    named = {"paymentTransactionId": begun["paymentTransactionId"], "requestId": "cancel-1"}

    first, again = till.call("cancel", named), till.call("cancel", named)

    assert (first.status_code, first.content) == (200, again.content)


def test_what_is_paid_is_refunded_and_not_canceled(till: Till) -> None:
    paid = till.paid()

    refused = till.call("cancel", {"paymentTransactionId": paid["paymentTransactionId"]})

    assert code_of(refused) == (422, "WRONG_TRANSACTION_STATE_CHANGE")
    assert refused.json()["details"] == "Платёж уже принят банком. Оформите возврат."


def test_a_buyer_who_says_no_declines_the_payment_and_its_order_is_closed(till: Till) -> None:
    begun = till.said("checkout", till.checkout())
    till.world.pays(begun["qrPayload"], outcome="rejected")

    till.until(begun["paymentTransactionId"], "DECLINED")

    refused = till.call("cancel", {"paymentTransactionId": begun["paymentTransactionId"]})
    assert code_of(refused) == (422, "WRONG_TRANSACTION_STATE_CHANGE")


def test_money_that_comes_after_a_cancel_goes_back_by_itself(till: Till) -> None:
    begun = till.said("checkout", till.checkout())
    till.said("cancel", {"paymentTransactionId": begun["paymentTransactionId"]})

    till.world.pays(begun["qrPayload"])

    order_id = "ord_"
    with psycopg.connect(till.world.database_url) as connection:
        row = connection.execute("SELECT id FROM orders WHERE number = %s", [begun["orderId"]]).fetchone()
        assert row is not None
        order_id = row[0]
    refunds = till.world.until(
        lambda: till.world.read(f"/v1/refunds?order_id={order_id}")["items"],
        lambda found: [each["status"] for each in found] == ["succeeded"],
    )
    assert (refunds[0]["amount_kopecks"], refunds[0]["is_automatic"]) == (48_000, True)
    assert till.said("status", {"orderId": begun["orderId"]})["status"] == "CANCELED"


def test_a_lost_answer_of_the_bank_is_processing_until_the_worker_knows(till: Till) -> None:
    till.world.faults(lost_answer=1.0, seed=1)
    try:
        begun = till.said("checkout", till.checkout())
    finally:
        till.world.faults()

    assert (begun["status"], "qrPayload" in begun) == ("PROCESSING", False)
    found = till.until(begun["paymentTransactionId"], "WAITING")
    assert found["qrPayload"].startswith("https://qr.nspk.ru/")


def test_a_refund_repeated_under_its_request_id_is_one_refund(till: Till) -> None:
    paid = till.paid()
    body = till.refund(paid["paymentTransactionId"], 48_000, {"bread": 2, "cheese": 1125})

    first, again = till.call("refund", body), till.call("refund", body)

    assert (first.status_code, first.content) == (200, again.content)
    assert len(till.said("status", {"orderId": paid["orderId"]})["refunds"]) == 1


@pytest.mark.parametrize(
    ("amount", "items", "code"),
    [
        pytest.param(48_001, {"bread": 2, "cheese": 1125}, "REFUND_AMOUNT_WRONG", id="a kopeck too much"),
        pytest.param(9_744, {"bread": 3}, "INVALID_REQUEST", id="more than was sold"),
        pytest.param(9_744, {"wine": 1}, "INVALID_REQUEST", id="what was not sold"),
        pytest.param(20_000, {"cheese": 600}, "REFUND_AMOUNT_WRONG", id="a part at another price"),
        pytest.param(20_403, {"cheese": 600}, "MEASURE_ONLY_WHOLE", id="a part of what was weighed"),
    ],
)
def test_a_refund_that_does_not_fit_the_sale_is_refused(
    till: Till, amount: int, items: dict[str, int], code: str
) -> None:
    paid = till.paid()

    refused = till.call("refund", till.refund(paid["paymentTransactionId"], amount, items))

    assert code_of(refused) == (422, code)
    assert "refunds" not in till.said("status", {"orderId": paid["orderId"]})


CHANGED: list[Any] = [
    pytest.param({"invoice": {"currency": "USD"}}, "CURRENCY_IS_NOT_SUPPORTED", id="dollars"),
    pytest.param({"invoice": {"totalAmount": 47_999}}, "INVALID_REQUEST", id="a kopeck less"),
    pytest.param({"invoice": {"subTotalAmount": 1}}, "INVALID_REQUEST", id="another sum of items"),
    pytest.param({"invoice": {"totalAmount": 10**20}}, "INVALID_REQUEST", id="a number that no column holds"),
    pytest.param({"invoice": {"totalAmount": 480.0}}, "INVALID_REQUEST", id="a fraction"),
    pytest.param({"invoice": {"orderId": "x" * 37}}, "INVALID_REQUEST", id="an order id of 37 characters"),
    pytest.param({"invoice": {"orderId": "\u0000"}}, "INVALID_REQUEST", id="a zero character"),
    pytest.param({"invoice": {"items": []}}, "INVALID_REQUEST", id="nothing"),
    pytest.param({"paymentType": "CASH"}, "INVALID_REQUEST", id="cash"),
    pytest.param({"requestId": "я"}, "INVALID_REQUEST", id="a Russian request id"),
    pytest.param({"requestId": ""}, "INVALID_REQUEST", id="no request id"),
    pytest.param({"requestId": 5}, "INVALID_REQUEST", id="a number as a request id"),
    pytest.param({"storeId": "sto_00000000000000000000000009"}, "UNKNOWN_STORE_ID", id="nobody's store"),
    pytest.param({"terminalId": "Касса 9"}, "UNKNOWN_TERMINAL_ID", id="nobody's till"),
    pytest.param({"sessionId": "prs_00000000000000000000000009"}, "UNKNOWN_SESSION_ID", id="nobody's scan"),
    pytest.param({"subscriptionId": "bnd_9"}, "SUBSCRIPTION_IS_NOT_FOUND", id="nobody's consent"),
]


@pytest.mark.parametrize(("changes", "code"), CHANGED)
def test_a_checkout_that_breaks_a_rule_is_refused_and_leaves_nothing(
    till: Till, changes: dict[str, Any], code: str
) -> None:
    body = till.checkout(**changes)

    refused = till.call("checkout", body)

    assert code_of(refused) == (422, code)
    assert "status" not in till.call("status", {"orderId": body["invoice"]["orderId"][:30]}).json()


@pytest.mark.parametrize(
    ("quantity", "measure", "is_taken"),
    [
        pytest.param("1.0", "PIECE", True, id="a whole number with a zero"),
        pytest.param("1.5", "PIECE", False, id="half a piece"),
        pytest.param("1.125", "KILOGRAM", False, id="grams said as kilograms"),
        pytest.param("1e400", "PIECE", False, id="without end"),
        pytest.param("9" * 5_000, "PIECE", False, id="a number of 5,000 digits"),
        pytest.param("true", "PIECE", False, id="no number"),
        pytest.param("1", "BOX", False, id="a measure that nobody knows"),
    ],
)
def test_a_quantity_is_whole_in_its_measure(till: Till, quantity: str, measure: str, is_taken: bool) -> None:
    item = {"name": "Хлеб", "article": "bread", "price": 5_000, "quantity": "QUANTITY", "measure": measure}
    body = till.checkout(invoice={"items": [item], "subTotalAmount": None, "discountAmount": 0, "totalAmount": 5_000})
    raw = json.dumps(body).replace('"QUANTITY"', quantity)

    answer = till.http.post(
        f"{till.base_url}/api/v1/merchant/checkout/task", content=raw,
        headers={"authorization": basic(till.partner, till.api_key), "token": till.token(),
                 "content-type": "application/json"},
    )  # fmt: skip

    assert answer.status_code == (200 if is_taken else 422), answer.text


def test_a_slip_says_what_the_contract_says_and_support_finds_the_sale_by_it(till: Till) -> None:
    paid = till.paid()
    order_id = inner_id("ord", paid["paymentTransactionId"])
    refund = till.said("refund", till.refund(paid["paymentTransactionId"], 4_872, {"bread": 1}))
    names = ("orderId", "paymentTransactionId", "paymentType", "qrcId")

    slip = till.world.read(f"/v1/orders/{order_id}/slip")["receipt_block"]
    back = inner_id("itr", refund["refundTransactionId"])
    of_refund = till.world.read(f"/v1/orders/{order_id}/slip?refund_id={back}")["receipt_block"]
    stories = [
        till.world.read(f"/v1/timeline/{uuid}")
        for uuid in (slip["paymentTransactionId"], of_refund["refundTransactionId"])
    ]

    assert slip == {name: paid[name] for name in names} | {"kzo": paid["slip"]["kzo"]}
    assert of_refund == {name: refund[name] for name in (*names, "refundTransactionId", "kzo")}
    for story in stories:
        assert order_id in str(story)


def test_nothing_is_refunded_or_printed_before_it_is_paid(till: Till) -> None:
    begun = till.said("checkout", till.checkout())
    named = begun["paymentTransactionId"]

    refused = till.call("refund", till.refund(named, 48_000, {"bread": 2, "cheese": 1125}))

    assert code_of(refused) == (422, "PAYMENT_TRANSACTION_IS_NOT_PAID")
    assert refused.json()["details"] == PUBLISHED["PAYMENT_TRANSACTION_IS_NOT_PAID"]
    receipt = {"paymentTransactionId": named, "qrCode": "t=20261122T1200&s=480.00&fn=9289000100000000&i=1&fp=1&n=1"}
    assert code_of(till.call("receipt", receipt)) == (422, "PAYMENT_TRANSACTION_IS_NOT_PAID")


class Host:
    """A partner's own host: takes postbacks, and may answer badly first."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.received: list[tuple[str, Any]] = []
        self.url = ""


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.received.append((self.headers["authorization"], body))
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found.url = f"http://127.0.0.1:{http.server_address[1]}/postbacks"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield found
        http.shutdown()
        thread.join()


def test_a_partner_with_a_host_is_told_until_it_takes_it(till_world: TillWorld, host: Host) -> None:
    till = till_world.till()
    name = f"lenta-{till.merchant_id[-6:]}"
    with psycopg.connect(till_world.database_url) as connection:
        connection.execute(
            "INSERT INTO koshelek_pay_partners VALUES (%s, %s, %s, now(), now())", [name, till.merchant_id, host.url]
        )
    till.partner = name
    host.answers = [500]

    paid = till.paid()
    refund = till.said("refund", till.refund(paid["paymentTransactionId"], 4_872, {"bread": 1}))

    till_world.until(lambda: len(host.received), lambda count: count >= 3)
    (login, first), (_, again), (_, last) = host.received
    settings = till_world.app.state.door.settings
    expected = f"{name}:{postback_password(terminals_key(settings), name).expose()}"
    assert b64decode(login.removeprefix("Basic ")).decode() == expected
    told = [each["status"] for _, each in host.received]
    assert set(told) == {"PAID", "REFUNDED"}
    assert told.count(told[0]) == 2  # both may leave in one round: whichever came first was not taken, and is repeated
    assert {each.get("refundTransactionId") for each in (first, again, last)} == {None, refund["refundTransactionId"]}


def scanned(till: Till) -> tuple[str, str]:
    """A loyalty card and what its phone shows now."""
    card = till.world.made("/v1/loyalty-cards", {"merchant_id": till.merchant_id, "programme": "kofeinya"})
    showing = till.world.made(f"/v1/loyalty-cards/{card['id']}/showings", {})
    shown = till.world.read(f"/v1/loyalty-cards/{card['id']}/showings/{showing['id']}/barcode")
    return card["id"], shown["text"]


def availability(till: Till, barcode: str, **more: Any) -> dict[str, Any]:
    return {"storeId": till.store_id, "terminalId": till.terminal_id, "cardSession": barcode, **more}


def test_one_scan_says_how_the_buyer_pays_and_the_sale_is_paid_by_it(till: Till) -> None:
    card_id, barcode = scanned(till)
    body = availability(till, barcode)

    first, again = till.call("availability-info", body), till.call("availability-info", body)

    assert (first.status_code, first.content) == (200, again.content), first.text
    told = first.json()
    kinds = [each["paymentType"] for each in told["paymentMethods"]]
    assert (kinds[0], told["koshelekPayIsDefault"], told["paymentMethods"][0]["isDefault"]) == ("SBP", False, True)
    paid = till.paid(sessionId=told["sessionId"])
    assert paid["status"] == "PAID"
    with psycopg.connect(till.world.database_url) as connection:
        kept = connection.execute(
            """SELECT b.loyalty_card_id, b.presentment_id, b.status FROM order_baskets AS b
                 JOIN orders AS o ON o.id = b.order_id WHERE o.number = %s""",
            [paid["orderId"]],
        ).fetchone()
    assert kept == (card_id, told["sessionId"], "confirmed")
    assert code_of(till.call("checkout", till.checkout(sessionId=told["sessionId"]))) == (422, "UNKNOWN_SESSION_ID")


def test_a_barcode_that_was_used_elsewhere_or_is_old_opens_no_session(till: Till) -> None:
    _, barcode = scanned(till)
    till.said("availability-info", availability(till, barcode))

    used = till.call("availability-info", availability(till, barcode, requestId="another-scan"))
    old = till.call("availability-info", availability(till, barcode[:-8] + "00000000"))
    noise = till.call("availability-info", availability(till, "4600000000000"))

    assert [code_of(each) for each in (used, old, noise)] == [(422, "UNKNOWN_SESSION_ID")] * 3


def test_a_promo_code_pays_a_part_and_the_bank_the_rest(till: Till) -> None:
    _, barcode = scanned(till)
    session_id = till.said("availability-info", availability(till, barcode))["sessionId"]
    code = till.world.made("/v1/promo-codes", {
        "merchant_id": till.merchant_id, "code": "MINUS50", "kind": "discount", "discount_kopecks": 5_000,
        "redemptions_max": 10,
    })  # fmt: skip

    begun = till.said("checkout", till.checkout(sessionId=session_id, promoCode=code["code"]))

    assert (begun["totalAmount"], begun["paymentAmount"]) == (48_000, 43_000)
    till.said("cancel", {"paymentTransactionId": begun["paymentTransactionId"]})
    freed = till.world.read(f"/v1/promo-codes/{code['id']}/redemptions")["items"]
    assert [each["status"] for each in freed] == ["released"]


def test_what_the_merchant_takes_off_for_a_rail_is_said_with_it(till_world: TillWorld) -> None:
    till = till_world.till()
    till_world.made("/v1/rail-offers", {
        "merchant_id": till.merchant_id, "rail": "sbp", "basis_points": 200, "note": "По СБП на 2 % дешевле",
    })  # fmt: skip
    _, barcode = scanned(till)

    told = till.said("availability-info", availability(till, barcode))
    begun = till.said("checkout", till.checkout(sessionId=told["sessionId"]))

    by_sbp = told["paymentMethods"][0]
    assert (by_sbp["discountBasisPoints"], by_sbp["note"]) == (200, "По СБП на 2 % дешевле")
    assert (begun["totalAmount"], begun["paymentAmount"]) == (48_000, 47_040)


def test_a_plan_is_offered_at_the_price_of_the_cheapest_rail(till_world: TillWorld) -> None:
    till = till_world.till()
    till_world.made("/v1/rail-offers", {
        "merchant_id": till.merchant_id, "rail": "sbp", "basis_points": 200, "note": "Дешевле на 2 %",
    })  # fmt: skip
    till_world.made("/v1/premises/rollouts", {
        "merchant_id": till.merchant_id, "level": "merchant", "rail": "dolyame", "is_on": True,
    })  # fmt: skip
    till_world.made("/v1/installments/merchant-terms", {
        "merchant_id": till.merchant_id, "product_code": "dolyame", "effective_on": today_plus(0),
        "fee_basis_points": 690,
    })  # fmt: skip
    till_world.made("/v1/installments/licences", {
        "effective_on": "2026-01-01", "register_number": "26-0001", "is_active": True, "capital_kopecks": 10**9,
    })  # fmt: skip
    _, barcode = scanned(till)

    told = till.said("availability-info", availability(till, barcode))

    offered = [(each["paymentType"], each["discountBasisPoints"]) for each in told["paymentMethods"]]
    assert offered == [("SBP", 200), ("DOLYAME", 200)]


@pytest.fixture
def nspk_away(till: Till) -> Iterator[None]:
    """Nobody listens where NSPK should be."""
    transport = NspkTransport("http://127.0.0.1:9")
    state = till.world.app.state
    door = state.door
    rail = replace(door.wiring.rail, nspk=NspkHttp(transport, "A00000000001", parse_leniently))
    state.door = replace(door, wiring=replace(door.wiring, rail=rail))
    yield
    state.door = door
    asyncio.run_coroutine_threadsafe(transport.close(), till.world.loop).result(10)


def test_a_bank_that_is_away_is_said_at_once_and_the_order_is_closed(till: Till, nspk_away: None) -> None:
    body = till.checkout(requestId="bank-away")

    first, again = till.call("checkout", body), till.call("checkout", body)

    assert code_of(first) == (422, "EXTERNAL_PROVIDER_ERROR")
    assert first.content == again.content
    named = {"orderId": body["invoice"]["orderId"]}
    assert till.said("status", named)["status"] == "DECLINED"
    till.world.until(lambda: till.call("cancel", named).json()["details"], lambda tip: tip == "Платёж уже отменён.")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_at_once_there_is_one_payment_and_money_is_kept_or_given_back(till: Till, seed: int) -> None:
    body = till.checkout(requestId=f"at-once-{seed}")
    begun = till.said("checkout", body)
    named = {"paymentTransactionId": begun["paymentTransactionId"]}
    refund = till.refund(begun["paymentTransactionId"], 48_000, {"bread": 2, "cheese": 1125})
    deeds = [lambda: till.call("checkout", body)] * 3 + [lambda: till.call("cancel", named)] * 3
    deeds += [lambda: till.call("refund", refund)] * 3 + [lambda: till.call("status", named)] * 2
    deeds.append(lambda: till.world.pays(begun["qrPayload"]))
    random.Random(seed).shuffle(deeds)

    with ThreadPoolExecutor(len(deeds)) as pool:
        answers = [each.result() for each in [pool.submit(deed) for deed in deeds]]

    assert {each.status_code for each in answers if each is not None} <= {200, 422}
    ended = till.world.until(lambda: till.said("status", named), lambda found: found["status"] != "WAITING")
    assert ended["status"] in ("PAID", "CANCELED")
    assert till.said("checkout", body)["paymentTransactionId"] == begun["paymentTransactionId"]
    if ended["status"] == "PAID":
        assert len(ended.get("refunds", ())) <= 1
        assert code_of(till.call("cancel", named)) == (422, "WRONG_TRANSACTION_STATE_CHANGE")
        return
    with psycopg.connect(till.world.database_url) as connection:
        row = connection.execute("SELECT id FROM orders WHERE number = %s", [begun["orderId"]]).fetchone()
    assert row is not None
    given_back = till.world.until(
        lambda: till.world.read(f"/v1/refunds?order_id={row[0]}")["items"],
        lambda found: [each["status"] for each in found] == ["succeeded"],
    )
    assert given_back[0]["amount_kopecks"] == 48_000


def test_the_books_are_whole_after_all_of_it(till_world: TillWorld) -> None:
    async def broken() -> list[Any]:
        engine = create_engine(till_world.database_url)
        async with transaction(engine) as session:
            found = await broken_proofs(session)
        await engine.dispose()
        return list(found)

    assert asyncio.run(broken()) == []
