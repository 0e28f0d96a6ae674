"""What strangers say over the open routes: kept without what we did not ask for, shown to a person, and bounded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.pagination import cursor_of
from api.rate_limit import BURST_SECONDS, Buckets
from api.settings import Settings
from ledger.database import Engine, transaction
from tests.api.conftest import Client

LIST = "/v1/sbp/parked-notifications"
REFUND = {
    "originalTrxId": "A" * 32, "agentRefundRequestId": "F" * 32, "opkcRefundRequestId": "AR1X", "status": "ACWP",
}  # fmt: skip
PERSONAL = {"payerName": "Иван Иванович И", "payerPhone": "79161234512", "payeeName": "Пётр", "more": {"pan": "1"}}


def said(qrc_id: str = "A" * 32, **more: Any) -> dict[str, Any]:
    return {
        "qrcId": qrc_id, "trxId": "B" * 32, "status": "ACWP", "amount": 100, "timestamp": "2026-11-22T09:00:00Z",
        "payerId": "0079161234512", **more,
    }  # fmt: skip


async def knows_nothing(request: web.Request) -> web.Response:
    ids = (await request.json())["qrcIds"]
    data = [{"qrcId": qrc_id, "code": "RQ00000", "status": "NTST"} for qrc_id in ids]
    return web.json_response({"code": "RQ00000", "message": "", "data": data})


@pytest_asyncio.fixture
async def shop(database: Any, engine: Engine) -> AsyncIterator[Client]:
    """A caller of an installation whose NSPK knows nobody's links."""
    nspk = web.Application()
    nspk.router.add_put("/payment/v2/qrc-status", knows_nothing)
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    async with TestServer(nspk) as server:
        settings = Settings(
            database_url=SecretStr(database.app_url), nspk_url=str(server.make_url("/")), log_level="error", workers=1
        )
        app = create_app(settings)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
        ):
            yield Client(http, app, secret.expose())


async def tell(shop: Client, path: str, body: Any) -> httpx.Response:
    return await shop.http.post(f"/nspk/payment/{path}/notification", json=body)


async def test_fields_nobody_declared_are_not_kept_and_phones_are_masked(shop: Client) -> None:
    await tell(shop, "v2/qrc", said(**PERSONAL))
    await tell(shop, "v1/refund", REFUND | {"code": "RQ00030", **PERSONAL})
    await tell(shop, "v1/b2c-refund", REFUND | {"payeeId": "0079161234512", **PERSONAL})

    found = (await shop.get(LIST)).json()["items"]

    assert [parked["about"] for parked in found] == ["A" * 32, "refund:decision", "refund:money"]
    assert found[0]["said"]["payerId"] == found[2]["said"]["payeeId"] == "0079*******12"
    kept = json.dumps(found, ensure_ascii=False)
    assert not any(trace in kept for trace in ("Иван", "Пётр", "79161234512", "pan", "payerName"))


async def test_they_are_listed_by_pages_once_each_and_in_order(shop: Client) -> None:
    for letter in "CABA":
        assert (await tell(shop, "v2/qrc", said(letter * 32))).status_code == 200

    first = (await shop.get(LIST, params={"limit": 2})).json()
    rest = (await shop.get(LIST, params={"limit": 2, "after": first["next"]})).json()

    assert [parked["about"][0] for parked in first["items"] + rest["items"]] == ["C", "A", "B"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    for cursor in ("x", cursor_of("parked-notifications", "yesterday")):
        assert (await shop.get(LIST, params={"after": cursor})).json()["code"] == "api.unknown_cursor"


async def test_only_an_administrator_sees_them(shop: Client, engine: Engine) -> None:
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="s", scopes=["orders:read"], mode="test", now=datetime.now(UTC))

    answer = await shop.get(LIST, headers={"authorization": f"Bearer {secret.expose()}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing")


@pytest.mark.usefixtures("buckets_stay_empty")
@pytest.mark.parametrize("path", ["v2/qrc", "v1/refund", "v1/b2c-refund"])
async def test_a_flood_of_notifications_is_refused(shop: Client, path: str) -> None:
    shop.app.state.door.buckets = Buckets(per_second=1)
    body = said() if path == "v2/qrc" else REFUND | {"code": "RQ00030"}

    answers = [await tell(shop, path, body) for _ in range(BURST_SECONDS + 1)]

    assert [answer.status_code for answer in answers] == [200] * BURST_SECONDS + [429]
    assert answers[-1].json()["code"] == "api.rate_limited"


async def test_an_id_that_nspk_cannot_have_made_is_not_asked_about(shop: Client) -> None:
    assert (await tell(shop, "v2/qrc", said("Z" * 32))).status_code == 422
    assert (await shop.get(LIST)).json()["items"] == []
