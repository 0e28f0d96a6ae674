"""The contract's ``receipt``: one fiscal receipt of the sale for a paid payment, kept for the buyer and for support."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.contracts.outer_ids import inner_id
from tests.contracts.koshelek_pay_world import Till, TillWorld, code_of

UNKNOWN = "019b0000-0000-7000-8000-000000000007"
AT_ONCE = 6


@pytest.fixture(scope="module")
def till(till_world: TillWorld) -> Till:
    return till_world.till()


@pytest.fixture(scope="module")
def paid(till: Till) -> Any:
    return till.paid()


def receipt(of: Any, **changes: str) -> dict[str, str]:
    """The body for a payment; by default of a receipt that fits a sale of 480.00."""
    said = {"t": "20261122T1200", "s": "480.00", "fn": "9289000100000000", "i": "17", "fp": "1234567890", "n": "1"}
    code = "&".join(f"{name}={value}" for name, value in (said | changes).items())
    return {"paymentTransactionId": of["paymentTransactionId"], "qrCode": code}


def kept(till: Till, of: Any) -> list[Any]:
    """What support sees of the payment's receipt."""
    story = till.world.read(f"/v1/timeline/{inner_id('ord', of['paymentTransactionId'])}")
    return [one for one in story["moments"] if one["what"] == "contract.koshelek_pay_receipt"]


def test_a_receipt_is_kept_once_and_support_sees_when(till: Till) -> None:
    paid = till.paid()
    body = receipt(paid)

    told = [till.said("receipt", each) for each in (body, body, body | {"requestId": "again"})]
    other = till.call("receipt", receipt(paid, i="18"))

    assert told == [{"orderId": paid["orderId"], "paymentTransactionId": paid["paymentTransactionId"]}] * 3
    assert code_of(other) == (422, "RECEIPT_DIFFERS")
    assert len(kept(till, paid)) == 1


def test_of_receipts_that_come_at_once_one_is_kept(till: Till) -> None:
    paid = till.paid()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda i: till.call("receipt", receipt(paid, i=str(i))), range(AT_ONCE)))

    assert sorted(answer.status_code for answer in answers) == [200] + [422] * (AT_ONCE - 1)
    assert {code_of(answer) for answer in answers if answer.status_code == 422} == {(422, "RECEIPT_DIFFERS")}


def test_a_receipt_is_over_what_the_buyer_paid_after_code_and_offer(till_world: TillWorld) -> None:
    till = till_world.till()
    till_world.made("/v1/promo-codes", {
        "merchant_id": till.merchant_id, "code": "MINUS50", "kind": "discount", "discount_kopecks": 5_000,
    })  # fmt: skip
    till_world.made("/v1/rail-offers", {
        "merchant_id": till.merchant_id, "rail": "sbp", "basis_points": 1_000, "note": "По СБП дешевле",
    })  # fmt: skip
    paid = till.paid(promoCode="MINUS50")
    assert (paid["totalAmount"], paid["paymentAmount"]) == (48_000, 38_700)

    whole = till.call("receipt", receipt(paid))
    till.said("receipt", receipt(paid, s="387.00"))

    assert code_of(whole) == (422, "INVALID_REQUEST")
    slip = till_world.read(f"/v1/orders/{inner_id('ord', paid['paymentTransactionId'])}/slip")
    assert slip["by_payment_kind"]["electronic_kopecks"] == 38_700, "what the till is told to print"


def test_a_receipt_comes_as_well_after_goods_went_back(till: Till) -> None:
    paid = till.paid()
    till.said("refund", till.refund(paid["paymentTransactionId"], 4_872, {"bread": 1}))

    till.said("receipt", receipt(paid))

    assert len(kept(till, paid)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"t": "20261322T1200"}, {"t": "20261122T2460"}, {"t": "20261122T12000"}, {"t": "2026-11-22T12:00"},
        {"s": "480.01"}, {"s": "480"}, {"s": "480.0"}, {"s": "-480.00"}, {"s": "480,00"}, {"s": "9" * 10 + ".00"},
        {"fn": "9289"}, {"fn": "928900010000000x"}, {"i": ""}, {"i": "1" * 11}, {"fp": "x"}, {"n": "2"}, {"n": "5"},
        {"n": "1&n=1"}, {"n": "1 "}, {"n": "1\n"}, {"n": "\u0661"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_receipt_of_this_sale_is_refused_and_not_kept(
    till: Till, paid: Any, changes: dict[str, str]
) -> None:
    assert code_of(till.call("receipt", receipt(paid, **changes))) == (422, "INVALID_REQUEST")
    assert kept(till, paid) == []


@pytest.mark.parametrize("time", ["20261122T1200", "20261122T120059"])
def test_a_receipt_says_its_time_with_seconds_or_without(till: Till, time: str) -> None:
    till.said("receipt", receipt(till.paid(), t=time))


def test_a_receipt_of_what_is_not_paid_not_there_or_anothers_is_refused(till: Till, paid: Any) -> None:
    other = till.world.till()
    waiting = till.said("checkout", till.checkout())
    canceled = till.said("checkout", till.checkout())
    till.said("cancel", {"paymentTransactionId": canceled["paymentTransactionId"]})

    for of in (waiting, canceled):
        assert code_of(till.call("receipt", receipt(of))) == (422, "PAYMENT_TRANSACTION_IS_NOT_PAID")
    nobodys, anothers = (
        till.call("receipt", receipt({"paymentTransactionId": UNKNOWN})),
        other.call("receipt", receipt(paid)),
    )
    assert code_of(nobodys) == (422, "UNKNOWN_TRANSACTION_ID")
    assert nobodys.content == anothers.content


def test_a_receipt_needs_no_token_but_a_key_that_may_write(till_world: TillWorld, till: Till) -> None:
    reader = till_world.till(("orders:read",))

    unproved, refused = till.call("receipt", receipt(till.paid()), token=""), reader.call("receipt", {})

    assert unproved.status_code == 200, unproved.text
    assert code_of(refused) == (401, "FORBIDDEN")
