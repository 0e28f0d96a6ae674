"""NSPK over HTTP: a refusal is final, everything else that is no answer is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ledger.money import Kopecks
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import OperationStatus, Registration
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import READ_TIMEOUT_SECONDS, NspkTransport
from sbp_gateway.payload import build_dynamic, build_static, parse_leniently

QRC_ID = "AD10000000000000000000000000TEST"
WANTED = Registration("MA0000000001", "100000000999", "4" * 20, Kopecks(149_990), 15, "Order 1")
GOOD = {"qrcId": QRC_ID, "payload": build_dynamic(QRC_ID, "100000000999", Kopecks(149_990)), "status": "CREATED"}
STATIC = {"qrcId": "AS" + QRC_ID[2:], "payload": build_static("AS" + QRC_ID[2:], "100000000999"), "status": "CREATED"}
OTHER = {"qrcId": QRC_ID, "payload": build_dynamic(QRC_ID, "100000000999", Kopecks(1)), "status": "CREATED"}


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def nspk(answer: Answer) -> AsyncIterator[NspkHttp]:
    """The adapter before a real server that answers so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        adapter = NspkHttp(NspkTransport(str(server.make_url("/"))), "A00000000001")
        yield adapter
        await adapter.close()


def says(status: int, body: Any) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


async def keeps_silent(_request: web.Request) -> web.Response:
    await asyncio.sleep(READ_TIMEOUT_SECONDS + 60)
    raise AssertionError


async def cuts_off(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_link_is_registered() -> None:
    seen: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.json_response({"code": "RQ00000", "message": "", "data": GOOD})

    async with nspk(answer) as adapter:
        link = await adapter.register(WANTED)
    assert (link.qrc_id, link.payload) == (QRC_ID, GOOD["payload"])
    assert seen[0]["amount"] == "149990"


async def test_nobody_there_means_that_nothing_was_asked() -> None:
    adapter = NspkHttp(NspkTransport("http://127.0.0.1:9"), "A00000000001")
    with pytest.raises(NspkUnavailable):
        await adapter.register(WANTED)
    await adapter.close()


async def test_no_answer_in_time_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbp_gateway.nspk_transport.READ_TIMEOUT_SECONDS", 0.2)
    async with nspk(keeps_silent) as adapter:
        with pytest.raises(NspkUnknown):
            await adapter.register(WANTED)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(cuts_off, id="cut off"),
        pytest.param(says(502, {"code": "RQ00000", "data": GOOD}), id="a server's error"),
        pytest.param(says(200, {"code": "RQ07999", "message": "technical"}), id="a technical error"),
        pytest.param(says(200, ["what"]), id="not the envelope"),
        pytest.param(says(200, {"code": "RQ00000", "data": None}), id="no data"),
        pytest.param(says(200, {"code": "RQ00000", "data": OTHER}), id="a link for another sum"),
        pytest.param(says(200, {"code": "RQ00000", "data": STATIC}), id="a link for many payments"),
        pytest.param(
            says(200, {"code": "RQ00000", "data": {**GOOD, "payload": "https://x"}}), id="a link that is none"
        ),
    ],
)
async def test_what_is_no_answer_is_unknown(answer: Answer) -> None:
    async with nspk(answer) as adapter:
        with pytest.raises(NspkUnknown):
            await adapter.register(WANTED)


async def test_a_link_of_a_banks_sandbox_is_taken_only_leniently() -> None:
    qrc_id = "AD1F2CD7212E48FA919AB52EF0AEFB33"
    link = f"https://qr.nspk.ru/{qrc_id}?type=02&bank=10000007&sum=149990&cur=RUB&crc=0000"
    async with nspk(says(200, {"code": "RQ00000", "data": {"qrcId": qrc_id, "payload": link}})) as adapter:
        with pytest.raises(NspkUnknown):
            await adapter.register(WANTED)
        lenient = NspkHttp(adapter.transport, "A00000000001", parse_leniently)
        assert (await lenient.register(WANTED)).payload == link


async def test_a_refusal_is_final_and_keeps_nspks_words() -> None:
    async with nspk(says(400, {"code": "RQ05001", "message": "no such merchant"})) as adapter:
        with pytest.raises(NspkRefused) as refused:
            await adapter.register(WANTED)
    assert refused.value.facts == {"nspk_code": "RQ05001", "nspk_message": "no such merchant"}


async def test_statuses_are_read() -> None:
    data = [
        {"qrcId": QRC_ID, "code": "RQ00000", "message": "", "status": "ACWP", "trxId": "A" * 32, "kzo": "9F"},
        {"qrcId": "B" * 32, "code": "RQ00000", "message": "", "status": "ACTC"},
        {"qrcId": "C" * 32, "code": "RQ05001", "message": "?"},
    ]
    async with nspk(says(200, {"code": "RQ00000", "data": data})) as adapter:
        found = await adapter.statuses([QRC_ID, "B" * 32, "C" * 32])
    assert [status.status for status in found] == [OperationStatus.ACCEPTED, OperationStatus.RECEIVED, None]
    assert (found[0].trx_id, found[0].kzo) == ("A" * 32, "9F")


@pytest.mark.parametrize("data", [None, "what", [], [{}], ["what"], [{"qrcId": QRC_ID, "code": "RQ00000", "trxId": 1}]])
async def test_an_answer_without_any_status_we_can_read_is_unknown(data: Any) -> None:
    async with nspk(says(200, {"code": "RQ00000", "data": data})) as adapter:
        with pytest.raises(NspkUnknown):
            await adapter.statuses([QRC_ID])


async def test_one_status_that_cannot_be_read_does_not_spoil_the_others() -> None:
    paid = {"qrcId": QRC_ID, "code": "RQ00000", "status": "ACWP", "trxId": "A" * 32}
    bad = [{"code": "RQ00000"}, None, {"qrcId": "B" * 32, "code": "RQ00000", "status": ["ACWP"]}, {"qrcId": 7}]
    async with nspk(says(200, {"code": "RQ00000", "data": [*bad, paid]})) as adapter:
        found = await adapter.statuses([QRC_ID, "B" * 32, "C" * 32])
    assert [(status.qrc_id, status.status) for status in found] == [(QRC_ID, OperationStatus.ACCEPTED)]


async def test_a_word_that_nspk_adds_later_is_not_final() -> None:
    data = [{"qrcId": QRC_ID, "code": "RQ00000", "status": "NEW?"}]
    async with nspk(says(200, {"code": "RQ00000", "data": data})) as adapter:
        (found,) = await adapter.statuses([QRC_ID])
    assert found.status is OperationStatus.RECEIVED


async def test_one_id_that_nspk_refuses_does_not_stop_the_others() -> None:
    poison, asked = "P" * 32, []

    async def answer(request: web.Request) -> web.Response:
        ids = (await request.json())["qrcIds"]
        asked.append(ids)
        if poison in ids:
            return web.json_response({"code": "RQ05002", "message": "bad id"}, status=400)
        return web.json_response(
            {"code": "RQ00000", "data": [{"qrcId": qrc_id, "code": "RQ00000", "status": "NTST"} for qrc_id in ids]}
        )

    async with nspk(answer) as adapter:
        found = await adapter.statuses([QRC_ID, poison, "B" * 32])
        with pytest.raises(NspkUnknown):
            await adapter.statuses([poison])
    assert {status.qrc_id for status in found} == {QRC_ID, "B" * 32}
    assert len(asked) == 1 + 3 + 1
