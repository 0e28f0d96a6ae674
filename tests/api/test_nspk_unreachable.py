"""While NSPK cannot be reached, the cashier hears so at once and may try again: nothing has to be found out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.settings import Settings
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, transaction
from tests.api.conftest import Client

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))


@pytest_asyncio.fixture(params=["http://127.0.0.1:9", ""], ids=["nobody answers", "no address is set"])
async def client(database: Any, engine: Engine, request: Any) -> AsyncIterator[Client]:
    """A caller of an installation whose NSPK is not there."""
    settings = Settings(database_url=SecretStr(database.app_url), nspk_url=request.param, log_level="error", workers=1)
    app = create_app(settings)
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
    ):
        yield Client(http, app, secret.expose())


async def made(client: Client, path: str, body: Any) -> Any:
    answer = await client.post(path, body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_attempt_is_rejected_at_once_and_another_may_begin(client: Client) -> None:
    merchant = await made(
        client,
        "/v1/merchants",
        {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        },
    )  # fmt: skip
    store = await made(client, "/v1/stores", {"merchant_id": merchant["id"], "name": "Т", "address": "Москва"})
    terminal = await made(client, "/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})
    order = await made(
        client, "/v1/orders", {"terminal_id": terminal["id"], "number": "A-1", "amount_kopecks": 149_990}
    )

    path = f"/v1/orders/{order['id']}/attempts"
    tries = [await made(client, path, {"rail": "sbp"}) for _ in range(2)]

    assert [attempt["status"] for attempt in tries] == ["rejected", "rejected"]
    assert (await client.get(f"/v1/orders/{order['id']}")).json()["status"] == "open"


async def test_a_notification_then_is_asked_to_come_again(client: Client) -> None:
    said = {"qrcId": "A" * 32, "trxId": "B" * 32, "status": "ACWP", "amount": 1, "timestamp": "2026-11-22T09:00:00Z"}

    answer = await client.post("/nspk/payment/v2/qrc/notification", said)

    assert (answer.status_code, answer.json()["code"]) == (503, "sbp_gateway.nspk_unavailable")


@pytest.mark.parametrize("amount", ["1", 1.0, True], ids=repr)
async def test_a_notification_of_no_whole_kopecks_is_not_understood(client: Client, amount: Any) -> None:
    said = {
        "qrcId": "A" * 32, "trxId": "B" * 32, "status": "ACWP", "amount": amount, "timestamp": "2026-11-22T09:00:00Z",
    }  # fmt: skip

    answer = await client.post("/nspk/payment/v2/qrc/notification", said)

    assert (answer.status_code, answer.json()["code"]) == (422, "api.request_invalid")
