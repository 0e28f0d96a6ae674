"""Plates over HTTP: what cannot be read is unknown, what NSPK refuses is final, and nothing is repeated blindly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ledger.money import Kopecks
from sbp_gateway.cash_links import LinkState
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.nspk_cash_links import CashLinkRegistration, NspkCashLinksHttp, StickerRegistration
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.payload import build_static

QRC_ID = "AS1R000000000000000000000000TEST"
OTHER_ID = "AS1R000000000000000000000001TEST"
PAYLOAD = build_static(QRC_ID, "100000000999")
PLATE = CashLinkRegistration("MA0000000001", "100000000999", "4" * 20, QRC_ID)
STICKER = StickerRegistration("MA0000000001", "100000000999", "4" * 20, Kopecks(500), "Кофе")
LINK = {"qrcId": QRC_ID, "payload": PAYLOAD, "status": "CREATED"}
SALE = {
    "cashRegisterQrcStatus": "INACTIVATED", "trxStatus": "ACWP", "trxId": "T" * 32, "amount": 100,
    "timestamp": "2026-11-22T12:15:30.004+03:00", "payerId": "79161234512", "kzo": "9F2C",
}  # fmt: skip
Call = Callable[[NspkCashLinksHttp], Awaitable[Any]]


@asynccontextmanager
async def nspk(answer: Any, status: int = 200) -> AsyncIterator[tuple[NspkCashLinksHttp, list[tuple[str, str, Any]]]]:
    """The adapter before a real server that answers so, and what the server heard."""
    heard: list[tuple[str, str, Any]] = []

    async def say(request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        heard.append((request.method, request.path_qs, body))
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield NspkCashLinksHttp(transport, "A00000000001"), heard
        await transport.close()


def done(data: Any) -> dict[str, Any]:
    return {"code": "RQ00000", "message": "", "data": data}


@pytest.mark.parametrize(
    ("call", "data", "said", "path"),
    [
        pytest.param(
            lambda it: it.reserve(2), {"qrcIds": [QRC_ID, OTHER_ID]}, [QRC_ID, OTHER_ID],
            "POST /payment/v1/qrc-id-reservation?quantity=2", id="reserve",
        ),
        pytest.param(
            lambda it: it.activate(QRC_ID, Kopecks(100), "Чек 1"),
            {"paramsId": "p1", "qrcId": QRC_ID, "amount": "100", "currency": "RUB"}, "p1",
            f"POST /payment/v1/cash-register-qrc/{QRC_ID}/params", id="activate",
        ),
        pytest.param(
            lambda it: it.deactivate(QRC_ID), None, None, f"DELETE /payment/v1/cash-register-qrc/{QRC_ID}/params",
            id="deactivate",
        ),
        pytest.param(
            lambda it: it.move(QRC_ID, "4" * 20), {"qrcId": QRC_ID, "account": "4" * 20}, None,
            f"PUT /payment/v1/cash-register-qrc/{QRC_ID}", id="move",
        ),
    ],
)  # fmt: skip
async def test_a_call_goes_where_nspk_listens(call: Call, data: Any, said: Any, path: str) -> None:
    async with nspk(done(data)) as (adapter, heard):
        assert await call(adapter) == said
    assert [f"{method} {where}" for method, where, _ in heard] == [path]


async def test_a_plate_and_a_sticker_are_registered_with_what_the_bank_gave() -> None:
    async with nspk(done(LINK)) as (adapter, heard):
        assert (await adapter.register(PLATE)).payload == PAYLOAD
        assert (await adapter.register_sticker(STICKER)).qrc_id == QRC_ID
    (_, _, plate), (_, _, sticker) = heard
    assert plate == {
        "agentId": "A00000000001", "memberId": "100000000999", "account": "4" * 20, "merchantId": "MA0000000001",
        "qrcId": QRC_ID,
    }  # fmt: skip
    assert (sticker["qrcType"], sticker["amount"], sticker["currency"]) == ("01", "500", "RUB")


async def test_a_sale_is_read_and_its_payer_stays_masked() -> None:
    async with nspk(done(SALE)) as (adapter, _):
        sale = await adapter.sale_state(QRC_ID, "p1")
    assert (sale.link_state, sale.status, sale.amount) == (LinkState.INACTIVATED, OperationStatus.ACCEPTED, 100)
    assert sale.payer_mask == "7916*****12"


CALLS: dict[str, Call] = {
    "reserve": lambda it: it.reserve(1),
    "register": lambda it: it.register(PLATE),
    "activate": lambda it: it.activate(QRC_ID, Kopecks(100), "Чек 1"),
    "link_state": lambda it: it.link_state(QRC_ID),
    "sale_state": lambda it: it.sale_state(QRC_ID, "p1"),
    "move": lambda it: it.move(QRC_ID, "4" * 20),
}


@pytest.mark.parametrize(
    ("call", "data"),
    [
        pytest.param("reserve", {"qrcIds": ["x"]}, id="an id that is none"),
        pytest.param("register", LINK | {"qrcId": OTHER_ID}, id="a link of another id than its payload"),
        pytest.param("register", LINK | {"payload": PAYLOAD[:-1] + "0"}, id="a wrong check sum"),
        pytest.param("activate", {"paramsId": "p1", "qrcId": QRC_ID, "amount": "101"}, id="armed with another sum"),
        pytest.param("activate", {"paramsId": "p1", "qrcId": OTHER_ID, "amount": "100"}, id="another link armed"),
        pytest.param("activate", {"paramsId": "../x", "qrcId": QRC_ID, "amount": "100"}, id="a name that is a path"),
        pytest.param("link_state", {"status": "SLEEPING"}, id="a state that nobody knows"),
        pytest.param("sale_state", SALE | {"trxStatus": "MAYBE"}, id="a status that nobody knows"),
        pytest.param("sale_state", None, id="nothing"),
        pytest.param("move", {"account": "5" * 20}, id="another account"),
    ],
)
async def test_an_answer_we_cannot_read_is_unknown(call: str, data: Any) -> None:
    async with nspk(done(data)) as (adapter, _):
        with pytest.raises(NspkUnknown):
            await CALLS[call](adapter)


@pytest.mark.parametrize("call", CALLS)
async def test_a_refusal_is_final(call: str) -> None:
    async with nspk({"code": "RQ05003", "message": "armed"}, 400) as (adapter, heard):
        with pytest.raises(NspkRefused):
            await CALLS[call](adapter)
    assert len(heard) == 1


@pytest.mark.parametrize("call", ["reserve", "register", "activate"])
async def test_what_may_have_been_done_is_not_asked_for_again(call: str) -> None:
    async with nspk({"code": "RQ07999", "message": ""}, 500) as (adapter, heard):
        with pytest.raises(NspkUnknown):
            await CALLS[call](adapter)
    assert len(heard) == 1
