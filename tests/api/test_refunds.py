"""Refunds at the door: what is refused and how it is said, what a key repeats, who sees what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.settings import Settings
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from tests.api.conftest import Client, new_key
from tests.api.test_rail_constraints import ATTEMPT, ORDER, PAYMENT, shown
from tests.conftest import Database
from tests.sbp_gateway.refund_books import MERCHANT, books_of

pytestmark = pytest.mark.usefixtures("watched_accounts")

ASK = {"payment_id": PAYMENT, "amount_kopecks": 60}


@pytest_asyncio.fixture
async def shop(database: Database, engine: Engine) -> AsyncIterator[Client]:
    """A caller, and a paid order of 100 kopecks whose fee was 10. Nobody listens where NSPK should be."""
    await books_of(database, engine, machine_now())
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE qr_codes SET status = 'paid', next_poll_at = NULL")
        connection.execute("UPDATE attempts SET status = 'paid', payment_id = %s", [PAYMENT])
        connection.execute("UPDATE orders SET status = 'paid', paid_at = now()")
    settings = Settings(database_url=SecretStr(database.app_url), nspk_url="http://127.0.0.1:9", log_level="critical")
    app = create_app(settings)
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://kopeyka.test"
        ) as http,
    ):
        yield Client(http, app, secret.expose())


def written(database: Database) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(
            """SELECT (SELECT count(*) FROM sbp_refunds) + (SELECT count(*) FROM sbp_refund_tries)
                    + (SELECT count(*) FROM holds) + (SELECT sum(refund_kopecks) FROM sbp_payments)"""
        ).fetchone()
    assert row is not None
    return int(row[0])


async def key_of(engine: Engine, merchant_id: str) -> str:
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=["orders:read", "refunds:write"], mode="test", now=datetime.now(UTC),
            merchant_id=merchant_id,
        )  # fmt: skip
    return secret.expose()


async def test_a_refund_nobody_could_be_asked_for_waits_with_its_money_set_aside(shop: Client) -> None:
    made = await shop.post("/v1/refunds", {"order_id": ORDER, "amount_kopecks": 60, "reason": "не подошло"})

    assert made.status_code == 201
    refund = made.json()
    assert made.headers["location"] == f"/v1/refunds/{refund['id']}"
    assert refund["status"] in ("requested", "unknown")
    assert (refund["order_id"], refund["payment_id"], refund["amount_kopecks"]) == (ORDER, PAYMENT, 60)
    assert (refund["is_final"], refund["reason"], refund["trx_id"]) == (False, "не подошло", None)
    payable = (await shop.get(f"/v1/ledger/accounts/liability:merchant_payable:{MERCHANT}")).json()
    assert (payable["balance"], payable["available"]) == (90, 30)
    assert (await shop.get(f"/v1/refunds/{refund['id']}")).json() == refund
    assert (await shop.get(f"/v1/orders/{ORDER}")).json()["amount_refunded_kopecks"] == 0


async def test_the_same_key_is_the_same_refund(shop: Client) -> None:
    key = new_key()
    first, again = [await shop.post("/v1/refunds", ASK, key=key) for _ in range(2)]
    other = await shop.post("/v1/refunds", ASK | {"amount_kopecks": 61}, key=key)

    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
    assert len((await shop.get("/v1/refunds")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(
            {"payment_id": PAYMENT, "amount_kopecks": 0}, 422, "sbp_gateway.refund_amount_not_positive", id="0"
        ),
        pytest.param({"order_id": ORDER, "amount_kopecks": -5}, 422, "sbp_gateway.refund_amount_not_positive", id="-5"),
        pytest.param({"order_id": ORDER, "amount_kopecks": 101}, 422, "sbp_gateway.refund_above_rest", id="above"),
        pytest.param(
            {"order_id": ORDER, "amount_kopecks": 1_000_000_01},
            422,
            "sbp_gateway.refund_above_rest",
            id="a kopeck above a million roubles",
        ),
        pytest.param({"order_id": ORDER, "amount_kopecks": 10**15}, 422, "sbp_gateway.refund_above_rest", id="huge"),
        pytest.param({"order_id": ORDER, "currency": "USD"}, 422, "sbp_gateway.refund_not_roubles", id="dollars"),
        pytest.param({"order_id": ORDER, "currency": "rub"}, 422, "sbp_gateway.refund_not_roubles", id="not the code"),
        pytest.param({"order_id": shown("ord", 9)}, 404, "checkout.order_not_found", id="unknown order"),
        pytest.param({"payment_id": shown("pay", 9)}, 404, "sbp_gateway.payment_not_found", id="unknown payment"),
        pytest.param({"payment_id": "a" * 41}, 422, "api.request_invalid", id="no id"),
        pytest.param({}, 422, "api.request_invalid", id="nothing named"),
        pytest.param({"order_id": ORDER, "payment_id": PAYMENT}, 422, "api.request_invalid", id="both named"),
        pytest.param(ASK | {"amount_kopecks": 1.5}, 422, "api.request_invalid", id="a part of a kopeck"),
        pytest.param(ASK | {"amount_kopecks": "60"}, 422, "api.request_invalid", id="text"),
        pytest.param(ASK | {"reason": ""}, 422, "api.request_invalid", id="an empty reason"),
        pytest.param(ASK | {"reason": "r" * 141}, 422, "api.request_invalid", id="a long reason"),
        pytest.param(ASK | {"kzo": "9F2C"}, 422, "api.request_invalid", id="an unknown field"),
    ],
)
async def test_a_bad_refund_has_its_code_and_writes_nothing(
    shop: Client, database: Database, body: Any, status: int, code: str
) -> None:
    answer = await shop.post("/v1/refunds", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("cashier_tip" in answer.json()) == (not code.startswith("api."))
    assert written(database) == 0


async def test_a_merchant_without_money_cannot_refund(shop: Client, database: Database) -> None:
    payable = f"liability:merchant_payable:{MERCHANT}"
    await shop.post("/v1/ledger/accounts", {"code": "asset:bank:elsewhere"})
    paid_out = {
        "reference": "out:1", "kind": "payout", "happened_at": machine_now().isoformat(),
        "postings": [{"debit": payable, "credit": "asset:bank:elsewhere", "amount": 90}],
    }  # fmt: skip
    assert (await shop.post("/v1/ledger/entries", paid_out)).status_code == 201

    answer = await shop.post("/v1/refunds", {"order_id": ORDER})

    assert (answer.status_code, answer.json()["code"]) == (422, "sbp_gateway.refund_not_covered")
    assert answer.json()["facts"] == {"amount_kopecks": 100, "available_kopecks": 0}
    assert written(database) == 0


async def test_an_unpaid_order_has_nothing_to_refund(shop: Client, database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE attempts SET status = 'expired', payment_id = NULL")
        connection.execute("UPDATE orders SET status = 'open', paid_at = NULL")

    answer = await shop.post("/v1/refunds", {"order_id": ORDER})

    assert (answer.status_code, answer.json()["code"]) == (409, "checkout.order_not_paid")


async def test_late_money_is_not_refunded_by_hand(shop: Client, database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE sbp_payments SET is_late = true, fee_kopecks = 0, next_refund_at = paid_at")

    answer = await shop.post("/v1/refunds", ASK)

    assert (answer.status_code, answer.json()["code"]) == (409, "sbp_gateway.payment_late")
    assert written(database) == 0


async def test_too_soon_says_when(shop: Client, database: Database) -> None:
    await shop.post("/v1/refunds", ASK | {"amount_kopecks": 10})
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE sbp_refund_tries SET is_unheard = false")
    before = written(database)

    answer = await shop.post("/v1/refunds", ASK | {"amount_kopecks": 10})

    assert (answer.status_code, answer.json()["code"]) == (409, "sbp_gateway.refund_too_soon")
    assert datetime.fromisoformat(answer.json()["facts"]["next_allowed_at"]) > machine_now()
    assert written(database) == before


async def test_a_merchant_refunds_and_sees_only_its_own(shop: Client, engine: Engine, database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(
            """INSERT INTO merchants SELECT (jsonb_populate_record(m, jsonb_build_object('id', %s::text))).*
                 FROM merchants AS m""",
            [shown("mer", 2)],
        )
    own = {"authorization": f"Bearer {await key_of(engine, MERCHANT)}"}
    foreign = {"authorization": f"Bearer {await key_of(engine, shown('mer', 2))}"}

    refused = await shop.post("/v1/refunds", ASK, headers=foreign)
    by_order = await shop.post("/v1/refunds", {"order_id": ORDER}, headers=foreign)
    made = (await shop.post("/v1/refunds", ASK, headers=own)).json()

    assert [(refused.status_code, refused.json()["code"]), by_order.status_code] == [
        (404, "sbp_gateway.payment_not_found"), 404,
    ]  # fmt: skip
    assert (await shop.get(f"/v1/refunds/{made['id']}", headers=own)).status_code == 200
    assert (await shop.get(f"/v1/refunds/{made['id']}", headers=foreign)).json()[
        "code"
    ] == "sbp_gateway.refund_not_found"
    assert (await shop.get("/v1/refunds", headers=foreign)).json()["items"] == []


async def test_refunds_are_listed_by_order_payment_and_status(shop: Client) -> None:
    made = (await shop.post("/v1/refunds", ASK)).json()

    async def found(**query: str) -> list[str]:
        return [each["id"] for each in (await shop.get("/v1/refunds", params=query)).json()["items"]]

    assert await found(order_id=ORDER) == [made["id"]]
    assert await found(payment_id=PAYMENT, status=made["status"]) == [made["id"]]
    assert await found(payment_id=PAYMENT, order_id=ORDER) == [made["id"]]
    assert await found(status="succeeded") == await found(payment_id=ATTEMPT) == []
    assert (await shop.get("/v1/refunds", params={"order_id": shown("ord", 9)})).status_code == 404


async def test_notifications_of_strange_refunds_are_kept_once_and_masked(shop: Client, database: Database) -> None:
    said = {
        "originalTrxId": "A" * 32, "agentRefundRequestId": "F" * 32, "opkcRefundRequestId": "AR1X", "status": "ACWP",
    }  # fmt: skip
    for path, more in (
        ("refund", {"code": "RQ00030", "message": ""}),
        ("b2c-refund", {"trxId": "B" * 32, "payeeId": "0079161234512"}),
        ("b2c-refund", {"trxId": "B" * 32, "payeeId": "0079161234512"}),
    ):
        answer = await shop.http.post(f"/nspk/payment/v1/{path}/notification", json=said | more)
        assert (answer.status_code, answer.json()["code"]) == (200, "RQ00000")

    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT qrc_id, body FROM sbp_parked_notifications ORDER BY qrc_id").fetchall()
    assert [row[0] for row in rows] == ["refund:decision", "refund:money"]
    assert rows[1][1]["payeeId"] == "0079*******12"


async def test_a_notification_about_a_refund_makes_us_ask_and_says_nothing_by_itself(shop: Client) -> None:
    refund = (await shop.post("/v1/refunds", ASK)).json()
    said = {
        "originalTrxId": "A" * 32, "agentRefundRequestId": refund["agent_refund_request_id"],
        "opkcRefundRequestId": "AR1X", "status": "ACWP", "trxId": "B" * 32,
    }  # fmt: skip

    answer = await shop.http.post("/nspk/payment/v1/b2c-refund/notification", json=said)

    assert answer.status_code == 200
    assert (await shop.get(f"/v1/refunds/{refund['id']}")).json()["status"] in ("requested", "unknown")
