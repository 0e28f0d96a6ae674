"""Who is let into the tills' contract, and who is not: names, keys, one-time codes, neighbours."""

from __future__ import annotations

import pytest

from api.guessing import WRONG_AT_ONCE
from tests.contracts.koshelek_pay_world import Till, TillWorld, basic, code_of

UNKNOWN = "019b0000-0000-7000-8000-000000000007"


@pytest.fixture(scope="module")
def till(till_world: TillWorld) -> Till:
    return till_world.till()


def test_every_answer_says_that_the_contract_is_partial_and_what_time_it_is(till: Till) -> None:
    answer = till.call("status", {"orderId": "nobody's"})

    assert answer.headers["x-contract-compat"] == "partial"
    assert answer.headers["x-server-time"].endswith("Z")


@pytest.mark.parametrize("name", ["checkout", "refund", "availability-info"])
@pytest.mark.parametrize("token", ["", "x", "0" * 38, "f" * 32 + "12345"])
def test_a_till_that_does_not_prove_itself_does_nothing(till: Till, name: str, token: str) -> None:
    body = {**till.checkout(), **till.refund(UNKNOWN, 1, {"bread": 1}), "cardSession": "K"}

    assert code_of(till.call(name, body, token=token)) == (422, "WRONG_TOKEN")


def test_a_right_token_after_a_wrong_one_lets_the_same_request_in(till: Till) -> None:
    body = till.checkout(requestId="skewed-1")
    assert code_of(till.call("checkout", body, token=till.fingerprint + "000000")) == (422, "WRONG_TOKEN")

    assert till.said("checkout", body)["status"] == "WAITING"


def test_of_codes_that_are_guessed_few_are_looked_at(till_world: TillWorld) -> None:
    till = till_world.till()
    wrong = f"{(int(till.token()[-6:]) + 500_000) % 10**6:06d}"
    tried = [till.call("checkout", till.checkout(), token=till.fingerprint + wrong) for _ in range(WRONG_AT_ONCE)]

    answer = till.call("checkout", till.checkout())

    assert {code_of(each) for each in tried} == {(422, "WRONG_TOKEN")}
    assert code_of(answer) == (429, "TOO_MANY_REQUESTS")
    assert int(answer.headers["retry-after"]) > 0


def test_the_token_of_another_till_is_none_of_this_one(till: Till) -> None:
    other, nobodys = till.world.till(), "f" * 32 + "123456"

    refused, unknown = [till.call("checkout", till.checkout(), token=token) for token in (other.token(), nobodys)]

    assert code_of(refused) == (422, "WRONG_TOKEN")
    assert refused.content == unknown.content, "that there is another till is nobody's business"


def test_a_till_of_another_partner_is_told_like_one_that_is_not_there(till: Till) -> None:
    other = till.world.till()
    wrong = {"storeId": other.store_id, "terminalId": other.terminal_id}
    asked = [wrong, wrong | {"storeId": "sto_x"}, wrong | {"storeId": till.store_id}, {"terminalId": "ter_x"}]

    theirs, nobodys, their_till, no_till = [
        till.call("availability-info", {"storeId": till.store_id, "cardSession": "K1", **each}) for each in asked
    ]

    assert (code_of(theirs), theirs.content) == ((422, "UNKNOWN_STORE_ID"), nobodys.content)
    assert (code_of(their_till), their_till.content) == ((422, "UNKNOWN_TERMINAL_ID"), no_till.content)


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic !!", basic("mer_1", "kp_test_x")])
def test_a_stranger_is_not_let_in(till: Till, header: str) -> None:
    answer = till.call("status", {"orderId": "R"}, authorization=header)

    assert answer.status_code in (401, 422)
    assert answer.json()["code"] in ("UNAUTHORIZED", "UNKNOWN_PARTNER_ID")


def test_a_partner_sees_only_its_own(till: Till) -> None:
    paid, other = till.paid(), till.world.till()
    named = {"paymentTransactionId": paid["paymentTransactionId"]}

    assert code_of(other.call("status", named)) == (422, "UNKNOWN_TRANSACTION_ID")
    assert code_of(other.call("cancel", named)) == (422, "UNKNOWN_TRANSACTION_ID")
    assert code_of(other.call("status", {"orderId": paid["orderId"]})) == (422, "PAYMENT_ORDER_IS_NOT_FOUND")
    other.partner = till.partner
    assert code_of(other.call("status", named)) == (422, "UNKNOWN_PARTNER_ID")


@pytest.mark.parametrize("path", ["/api/v1/merchant/nothing/task", "/api/v1/merchant/status"])
def test_what_the_contract_does_not_know_is_said_in_its_form(till: Till, path: str) -> None:
    answer = till.http.post(
        till.base_url + path, json={}, headers={"authorization": basic(till.partner, till.api_key)}
    )  # fmt: skip

    assert code_of(answer) == (404, "UNKNOWN_CALL")


def test_a_till_that_calls_is_seen_with_its_program(till: Till) -> None:
    till.call("checkout", till.checkout(), **{"user-agent": "SetRetail 10.4 " + "x" * 100})

    seen = till.world.read(f"/v1/terminals/{till.terminal_id}/premises")["last_seen"]
    assert (seen["software"][:14], len(seen["software"])) == ("SetRetail 10.4", 64)
