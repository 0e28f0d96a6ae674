"""Whatever a caller sends wrong has a documented code, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.api.conftest import Client, new_key, sale
from tests.conftest import Database

CASH, SALES = "asset:cash:till", "income:sales:goods"
PAN = "4111111111111111"
ENTRIES = "/v1/ledger/entries"


def entry(**changes: Any) -> dict[str, Any]:
    return {**sale((CASH, SALES)), **changes}


def posting(**changes: Any) -> dict[str, Any]:
    return entry(postings=[{"debit": CASH, "credit": SALES, "amount": 100, **changes}])


def rows_written(database: Database) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute("SELECT (SELECT count(*) FROM postings) + (SELECT count(*) FROM holds)").fetchone()
        assert row is not None
        return int(row[0])


REFUSED: list[Any] = [
    pytest.param(posting(credit=CASH), 422, "ledger.invalid_entry", id="same account on both sides"),
    pytest.param(entry(postings=[]), 422, "api.request_invalid", id="no posting"),
    pytest.param(entry(postings=entry()["postings"] * 65), 422, "api.request_invalid", id="65 postings"),
    pytest.param(posting(debit="asset:cash:nowhere"), 404, "ledger.unknown_account", id="unknown account"),
    pytest.param(posting(debit="no path"), 422, "api.request_invalid", id="a code that is no path"),
    pytest.param(posting(commodity="PTS:miles"), 422, "ledger.wrong_commodity", id="wrong commodity"),
    pytest.param(posting(commodity="USD"), 422, "api.request_invalid", id="unknown commodity"),
    pytest.param(posting(amount=0), 422, "api.request_invalid", id="zero"),
    pytest.param(posting(amount=-1), 422, "api.request_invalid", id="negative"),
    pytest.param(posting(amount="-1"), 422, "api.request_invalid", id="negative text"),
    pytest.param(posting(amount=1.0), 422, "api.request_invalid", id="a float"),
    pytest.param(posting(amount=True), 422, "api.request_invalid", id="a boolean"),
    pytest.param(posting(amount="1.00"), 422, "api.request_invalid", id="decimal text"),
    pytest.param(posting(amount=" 1"), 422, "api.request_invalid", id="text with a space"),
    pytest.param(posting(amount=2**53), 422, "api.request_invalid", id="a number beyond 2^53"),
    pytest.param(posting(amount=str(2**63)), 422, "api.request_invalid", id="beyond 63 bits"),
    pytest.param(posting(amount=None), 422, "api.request_invalid", id="null"),
    pytest.param(posting(colour="red"), 422, "api.request_invalid", id="unknown field inside"),
    pytest.param(entry(colour="red"), 422, "api.request_invalid", id="unknown field"),
    pytest.param(entry(reference=""), 422, "api.request_invalid", id="empty reference"),
    pytest.param(entry(reference="я" * 4), 422, "api.request_invalid", id="reference outside ASCII"),
    pytest.param(entry(reference=7), 422, "api.request_invalid", id="a number for a text"),
    pytest.param(entry(happened_at="yesterday"), 422, "api.request_invalid", id="no instant"),
    pytest.param(entry(happened_at="2026-11-22T09:00:00"), 422, "api.request_invalid", id="an instant without offset"),
    pytest.param(entry(happened_at=1700000000), 422, "api.request_invalid", id="a timestamp number"),
    pytest.param(entry(happened_at="9999-12-31T23:59:59Z"), 422, "api.request_invalid", id="a far year"),
    pytest.param(entry(metadata={"note": "x" * 5000}), 422, "ledger.invalid_entry", id="too much metadata"),
    pytest.param([], 422, "api.request_invalid", id="a list for an object"),
    pytest.param("entry", 422, "api.request_invalid", id="a text for an object"),
]


async def test_a_wrong_entry_is_refused_by_code_and_writes_nothing(
    client: Client, accounts: tuple[str, str], database: Database
) -> None:
    for number, case in enumerate(REFUSED):
        body, status, code = case.values
        if isinstance(body, dict) and body["reference"] == "order:1":
            body["reference"] = f"order:{number}"
        answer = await client.post(ENTRIES, body)

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["request-id"]
    assert rows_written(database) == 0


RAW: list[Any] = [
    pytest.param(b"", "application/json", 422, "api.request_invalid", id="no body"),
    pytest.param(b"{", "application/json", 400, "api.json_invalid", id="broken JSON"),
    pytest.param(b'{"kind":"a","kind":"b"}', "application/json", 400, "api.json_invalid", id="a name twice"),
    pytest.param(b'{"kind":NaN}', "application/json", 400, "api.json_invalid", id="NaN"),
    pytest.param(b'{"kind":"\\ud800"}', "application/json", 400, "api.json_invalid", id="half a surrogate pair"),
    pytest.param(b'{"kind":"\\u0000"}', "application/json", 400, "api.json_invalid", id="a zero character"),
    pytest.param(b'{"kind":"\xff"}', "application/json", 400, "api.json_invalid", id="not UTF-8"),
    pytest.param(b"[" * 100_000, "application/json", 400, "api.json_invalid", id="too deep"),
    pytest.param(b"9" * 5000, "application/json", 400, "api.json_invalid", id="a number too long"),
    pytest.param(b"a=1", "application/x-www-form-urlencoded", 415, "api.media_type_unsupported", id="a form"),
    pytest.param(b" " * 300_000, "application/json", 413, "api.body_too_large", id="a large body"),
]


@pytest.mark.parametrize("path", [ENTRIES, "/v1/ledger/holds"], ids=["hot", "ordinary"])
async def test_a_body_of_wrong_form_is_refused_by_code(client: Client, path: str) -> None:
    for case in RAW:
        raw, kind, status, code = case.values
        answer = await client.post(path, content=raw, headers={"content-type": kind})

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)


HEADERS: list[Any] = [
    pytest.param({"authorization": ""}, 401, "api.key_missing", id="no key"),
    pytest.param({"authorization": "Basic a2V5Og=="}, 401, "api.key_missing", id="another scheme"),
    pytest.param({"authorization": "Bearer kp_test_" + "0" * 34}, 401, "api.key_unknown", id="a foreign key"),
    pytest.param({"idempotency-key": "short"}, 400, "idempotency.key_invalid", id="a short idempotency key"),
    pytest.param({"idempotency-key": "k" * 256}, 400, "idempotency.key_invalid", id="a long idempotency key"),
    pytest.param({"idempotency-key": "tab\tinside-the-key!"}, 400, "idempotency.key_invalid", id="a control character"),
]


FORGED = ["\x01", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"]


@pytest.mark.parametrize("sign", FORGED, ids=lambda sign: f"U+{ord(sign):04X}")
async def test_a_text_that_shows_other_than_it_says_is_refused(client: Client, sign: str) -> None:
    refused = await client.post("/v1/merchants", {"name": f"Кофе{sign}йня"})

    assert (refused.status_code, refused.json()["code"]) == (422, "api.request_invalid")
    assert refused.json()["errors"][0] == {
        "pointer": "/name", "detail": "no control characters, nor signs that turn a text around",
    }  # fmt: skip


async def test_wrong_headers_are_refused_by_code(client: Client, accounts: tuple[str, str]) -> None:
    for case in HEADERS:
        headers, status, code = case.values
        answer = await client.post(ENTRIES, entry(), headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)


async def test_every_post_needs_an_idempotency_key(client: Client) -> None:
    answer = await client.send("POST", ENTRIES, json=entry())

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_missing")


async def test_an_address_says_all_methods_it_takes_whichever_routes_take_them(client: Client) -> None:
    answer = await client.send("PUT", ENTRIES)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


WORDS_BESIDE_IDS = (
    "/v1/terminals/sightings", "/v1/loyalty-cards/find", "/v1/sbp/cash-links/reservations",
    "/v1/ledger/entries/dry-run", "/v1/device-tokens/eligibility", "/v1/device-tokens/replace-card",
)  # fmt: skip


async def test_a_word_with_an_address_of_its_own_is_nobodys_id(client: Client) -> None:
    for path in WORDS_BESIDE_IDS:
        for method in ("GET", "OPTIONS"):
            answer = await client.send(method, path)

            assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), (method, path, answer.text)


async def test_amounts_up_to_63_bits_travel_as_text(client: Client, accounts: tuple[str, str]) -> None:
    answer = await client.post(ENTRIES, posting(amount=str(2**63 - 1)))

    assert answer.status_code == 201, answer.text
    assert answer.json()["postings"][0]["amount"] == str(2**63 - 1)
    again = await client.post(ENTRIES, {**posting(amount=1), "reference": "one-more"})
    assert (again.status_code, again.json()["code"]) == (422, "ledger.amount_overflow")


async def test_an_account_that_may_not_be_overdrawn_refuses(client: Client, accounts: tuple[str, str]) -> None:
    terms = {"code": "asset:cash:safe", "available_min": 0}
    assert (await client.post("/v1/ledger/accounts", terms)).status_code == 201

    answer = await client.post(ENTRIES, posting(debit=CASH, credit="asset:cash:safe"))

    assert (answer.status_code, answer.json()["code"]) == (422, "ledger.overdrawn")
    assert answer.json()["facts"]["account"] == "asset:cash:safe"


async def test_a_closed_period_takes_nothing(client: Client, accounts: tuple[str, str]) -> None:
    closed = await client.post("/v1/ledger/period-closes", {"through_on": "2026-01-31"})
    assert closed.status_code == 201, closed.text

    answer = await client.post(ENTRIES, entry(happened_at="2026-01-31T12:00:00Z"))

    assert (answer.status_code, answer.json()["code"]) == (409, "ledger.period_closed")


async def test_a_reference_used_for_another_body_is_refused(client: Client, accounts: tuple[str, str]) -> None:
    assert (await client.post(ENTRIES, entry())).status_code == 201

    answer = await client.post(ENTRIES, posting(amount=7))

    assert (answer.status_code, answer.json()["code"]) == (409, "ledger.reference_reused")


FRAMEWORK: list[Any] = [
    pytest.param("GET", "/nowhere", 404, "api.route_unknown", id="no such address"),
    pytest.param("PUT", ENTRIES, 405, "api.method_not_allowed", id="no such method"),
    pytest.param("GET", "/v1/ledger/accounts?limit=0", 422, "api.request_invalid", id="limit below 1"),
    pytest.param("GET", "/v1/ledger/accounts?limit=201", 422, "api.request_invalid", id="limit above 200"),
    pytest.param("GET", "/v1/ledger/accounts?limit=many", 422, "api.request_invalid", id="limit no number"),
    pytest.param("GET", "/v1/ledger/accounts?after=abc", 400, "api.unknown_cursor", id="unknown cursor"),
    pytest.param("GET", "/v1/ledger/entries?after=%FF%01", 400, "api.unknown_cursor", id="cursor of noise"),
    pytest.param("GET", "/v1/ledger/entries?after=%00", 422, "api.request_invalid", id="zero character in a query"),
    pytest.param("GET", "/v1/ledger/entries/ent_x", 404, "ledger.unknown_entry", id="no such entry"),
    pytest.param("GET", "/v1/ledger/accounts/asset:no:such", 404, "ledger.unknown_account", id="no such account"),
    pytest.param("GET", "/v1/ledger/accounts/asset:no:such/balance", 404, "ledger.unknown_account", id="hot read"),
    pytest.param("GET", "/v1/ledger/trial-balance?through_on=12.12.2026", 422, "api.request_invalid", id="bad day"),
]


async def test_what_the_framework_would_answer_is_a_problem_document(client: Client) -> None:
    for case in FRAMEWORK:
        method, path, status, code = case.values
        answer = await client.send(method, path)

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


PAN_PLACES: list[tuple[str, str, Any]] = [
    ("POST", ENTRIES, posting(amount=PAN + "x")),
    ("POST", ENTRIES, entry(**{PAN: 1})),
    ("POST", ENTRIES, entry(kind=PAN)),
    ("POST", ENTRIES, posting(debit=f"asset:{PAN}:x")),
    ("POST", "/v1/ledger/holds", {"amount": PAN + "x", PAN: PAN, "debit": PAN}),
    ("POST", "/v1/ledger/holds/" + PAN + "/post", entry()),
    ("GET", f"/v1/ledger/entries/{PAN}", None),
    ("GET", f"/v1/ledger/accounts/asset:{PAN}:x/balance", None),
    ("GET", f"/v1/ledger/accounts?limit={PAN}&after={PAN}", None),
    ("GET", f"/v1/{PAN}", None),
    ("POST", f"/v1/requests/{PAN}", None),
]


async def test_a_card_number_is_never_told_back_nor_logged(
    client: Client, accounts: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    for method, path, body in PAN_PLACES:
        headers = {"idempotency-key": new_key(), "request-id": PAN, "reason": PAN}

        answer = await client.send(method, path, json=body, headers=headers)

        assert answer.status_code in (400, 404, 405, 422), answer.text
        assert PAN not in answer.text
        assert PAN not in json.dumps(dict(answer.headers))
    assert PAN not in "".join(capfd.readouterr())
