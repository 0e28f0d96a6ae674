"""Payouts to buyers at the door: who may ask, what is refused with which code, and where the phone is never seen."""

from __future__ import annotations

import itertools
import zlib
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.bodies import fingerprint
from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger import chart, journal
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting
from tests.api.conftest import Client

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
PHONE = "79123456789"
WRITTEN = (PHONE, f"+{PHONE}", "+7 (912) 345-67-89")
numbers = itertools.count(1)


async def merchant_of(client: Client) -> str:
    body = {
        "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "standard",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
    }  # fmt: skip
    return str((await client.post("/v1/merchants", body)).json()["id"])


@pytest_asyncio.fixture
async def merchant_id(client: Client, engine: Engine) -> str:
    """A merchant that is owed 10,000 roubles."""
    found, now = await merchant_of(client), datetime.now(UTC)
    sale = Posting(chart.sbp_settlement("100000000999"), chart.merchant_payable(found), 1_000_000)
    async with transaction(engine) as session:
        await journal.post(session, Entry(f"sale:{next(numbers)}", "sale", now, (sale,)), now=now)
    return found


def body_of(merchant_id: str, **change: Any) -> dict[str, Any]:
    return {
        "merchant_id": merchant_id, "phone": "+7 (912) 345-67-89", "bank_member_id": "100000000004",
        "amount_kopecks": 150_000, "purpose": "Возврат за заказ A-1001",
    } | change  # fmt: skip


async def test_a_payout_is_asked_for_read_and_listed_with_its_phone_masked(client: Client, merchant_id: str) -> None:
    made = await client.post("/v1/sbp/payouts", body_of(merchant_id))
    payout = made.json()
    read = await client.get(f"/v1/sbp/payouts/{payout['id']}")
    listed = await client.get(f"/v1/sbp/payouts?merchant_id={merchant_id}&status=requested&limit=1")

    assert (made.status_code, made.headers["location"]) == (201, f"/v1/sbp/payouts/{payout['id']}")
    assert (payout["status"], payout["phone_mask"], payout["amount_kopecks"]) == ("requested", "0079******89", 150_000)
    assert read.json() == payout
    assert listed.json()["items"] == [payout]
    assert all(PHONE[1:] not in answer.text for answer in (made, read, listed))


async def test_the_same_key_asks_once(client: Client, merchant_id: str) -> None:
    first = await client.post("/v1/sbp/payouts", body_of(merchant_id), key="the-same-key-0001")
    again = await client.post("/v1/sbp/payouts", body_of(merchant_id), key="the-same-key-0001")
    other = await client.post("/v1/sbp/payouts", body_of(merchant_id, amount_kopecks=1_000), key="the-same-key-0001")

    assert first.json() == again.json()
    assert other.json()["code"] == "idempotency.key_reused"
    account = (await client.get(f"/v1/ledger/accounts/liability:merchant_payable:{merchant_id}")).json()
    assert (account["balance"], account["available"]) == (1_000_000, 850_000)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        pytest.param({"phone": "12345"}, 422, "sbp_gateway.invalid_phone", id="no phone"),
        pytest.param({"phone": "+7 495 123-45-67"}, 422, "sbp_gateway.invalid_phone", id="a land line"),
        pytest.param({"phone": 79123456789}, 422, "api.request_invalid", id="a number for a phone"),
        pytest.param({"amount_kopecks": 99}, 422, "sbp_gateway.buyer_payout_out_of_range", id="under a rouble"),
        pytest.param({"amount_kopecks": 0}, 422, "sbp_gateway.buyer_payout_out_of_range", id="nothing"),
        pytest.param({"amount_kopecks": -100}, 422, "sbp_gateway.buyer_payout_out_of_range", id="negative"),
        pytest.param({"amount_kopecks": 50_000_001}, 422, "sbp_gateway.buyer_payout_out_of_range", id="over 500,000"),
        pytest.param({"amount_kopecks": 100.5}, 422, "api.request_invalid", id="half a kopeck"),
        pytest.param({"amount_kopecks": 1_000_001}, 422, "sbp_gateway.buyer_payout_not_covered", id="not owed so much"),
        pytest.param({"bank_member_id": "1"}, 422, "api.request_invalid", id="no bank's number"),
        pytest.param({"purpose": ""}, 422, "api.request_invalid", id="no purpose"),
        pytest.param({"purpose": "п" * 141}, 422, "api.request_invalid", id="a long purpose"),
        pytest.param({"currency": "USD"}, 422, "api.request_invalid", id="a field nobody knows"),
        pytest.param({"merchant_id": "mer_nobody"}, 422, "sbp_gateway.merchant_not_registered", id="no merchant"),
    ],
)
async def test_what_is_refused_has_its_code_and_writes_nothing(
    client: Client, merchant_id: str, database: Any, change: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/v1/sbp/payouts", body_of(merchant_id) | change)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert PHONE[1:] not in answer.text
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("buyer_payouts", "holds"):
            assert connection.execute(f"SELECT 1 FROM {table}").fetchone() is None  # type: ignore[arg-type]


async def test_a_key_of_a_merchant_pays_nobody(client: Client, merchant_id: str, engine: Engine) -> None:
    payout = (await client.post("/v1/sbp/payouts", body_of(merchant_id))).json()
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="till", scopes=["orders:write", "refunds:write"], mode="test", merchant_id=merchant_id,
            now=datetime.now(UTC),
        )  # fmt: skip
    till = Client(client.http, client.app, secret.expose())

    for answer in (
        await till.get(f"/v1/sbp/payouts/{payout['id']}"),
        await till.get("/v1/sbp/payouts"),
        await till.post("/v1/sbp/payouts", body_of(merchant_id)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing")


async def test_a_payout_nobody_made_is_not_found(client: Client) -> None:
    answer = await client.get("/v1/sbp/payouts/bpo_nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "sbp_gateway.buyer_payout_not_found")


async def test_the_phone_is_nowhere_but_in_its_column(client: Client, merchant_id: str, database: Any) -> None:
    await client.post("/v1/sbp/payouts", body_of(merchant_id))
    with psycopg.connect(database.superuser_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = [
            name
            for (name,) in tables
            if connection.execute(
                f"SELECT 1 FROM {name} AS t WHERE t::text ~ '912[^0-9]{{0,2}}345' LIMIT 1"  # type: ignore[arg-type]
            ).fetchone()
        ]

    assert found == ["buyer_payouts"]


async def test_nothing_that_is_kept_can_be_made_from_the_phone_alone(
    client: Client, merchant_id: str, database: Any
) -> None:
    """A phone number is quickly guessed, so no checksum of that field by itself may lie beside the request."""
    key = "the-only-key-0001"
    await client.post("/v1/sbp/payouts", body_of(merchant_id), key=key)
    with psycopg.connect(database.superuser_url) as connection:
        kept = connection.execute("SELECT field_digests FROM idempotency_keys WHERE key = %s", (key,)).fetchone()
    assert kept is not None
    marks = {kept[0][place : place + 8] for place in range(0, len(kept[0]), 8)}
    alone = [fingerprint("", "", "", b"", {name: value}).fields for name, value in body_of(merchant_id).items()]

    assert marks == set(alone) - {b""}
    assert len(marks) == len(body_of(merchant_id)) - 1
    assert not any(zlib.crc32(f'"{phone}"'.encode()).to_bytes(4, "big") in kept[0] for phone in WRITTEN)


async def test_a_repeat_with_another_phone_is_still_another_request(client: Client, merchant_id: str) -> None:
    key = "the-only-key-0002"
    await client.post("/v1/sbp/payouts", body_of(merchant_id), key=key)

    answer = await client.post("/v1/sbp/payouts", body_of(merchant_id, phone="+7 912 345-67-80"), key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused")
    assert answer.json()["facts"]["differing_fields"] == []
