"""NSPK over HTTP: a refusal is final, everything else that is no answer is unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ledger.money import Kopecks
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk import OperationStatus, Registration
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.payload import build_dynamic

QRC_ID = "AD10000000000000000000000000TEST"
WANTED = Registration("MA0000000001", "100000000999", "4" * 20, Kopecks(149_990), 15, "Order 1")
GOOD = {"qrcId": QRC_ID, "payload": build_dynamic(QRC_ID, "100000000999", Kopecks(149_990)), "status": "CREATED"}
OTHER = {"qrcId": QRC_ID, "payload": build_dynamic(QRC_ID, "100000000999", Kopecks(1)), "status": "CREATED"}


def nspk(answer: Callable[[httpx.Request], httpx.Response]) -> NspkHttp:
    transport = httpx.MockTransport(answer)  # plays the wire, not our code
    return NspkHttp(httpx.AsyncClient(transport=transport, base_url="http://nspk.test"), "A00000000001")


def says(status: int, body: Any) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(status, json=body)


def breaks(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    return answer


async def test_a_link_is_registered() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"code": "RQ00000", "message": "", "data": GOOD})

    link = await nspk(answer).register(WANTED)
    assert (link.qrc_id, link.payload) == (QRC_ID, GOOD["payload"])
    assert b'"amount":"149990"' in seen[0].content.replace(b'": "', b'":"')


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(breaks(httpx.ReadTimeout("slow")), id="no answer in time"),
        pytest.param(breaks(httpx.ConnectError("away")), id="not reached"),
        pytest.param(breaks(httpx.RemoteProtocolError("cut")), id="cut off"),
        pytest.param(says(502, {"code": "RQ00000", "data": GOOD}), id="a server's error"),
        pytest.param(says(200, {"code": "RQ07999", "message": "technical"}), id="a technical error"),
        pytest.param(says(200, ["what"]), id="not the envelope"),
        pytest.param(says(200, {"code": "RQ00000", "data": None}), id="no data"),
        pytest.param(says(200, {"code": "RQ00000", "data": OTHER}), id="a link for another sum"),
        pytest.param(
            says(200, {"code": "RQ00000", "data": {**GOOD, "payload": "https://x"}}), id="a link that is none"
        ),
    ],
)
async def test_what_is_no_answer_is_unknown(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    with pytest.raises(NspkUnknown):
        await nspk(answer).register(WANTED)


async def test_a_refusal_is_final_and_keeps_nspks_words() -> None:
    with pytest.raises(NspkRefused) as refused:
        await nspk(says(400, {"code": "RQ05001", "message": "no such merchant"})).register(WANTED)
    assert refused.value.facts == {"nspk_code": "RQ05001", "nspk_message": "no such merchant"}


async def test_statuses_are_read() -> None:
    data = [
        {"qrcId": QRC_ID, "code": "RQ00000", "message": "", "status": "ACWP", "trxId": "A" * 32, "kzo": "9F"},
        {"qrcId": "B" * 32, "code": "RQ00000", "message": "", "status": "ACTC"},
        {"qrcId": "C" * 32, "code": "RQ05001", "message": "?"},
    ]
    found = await nspk(says(200, {"code": "RQ00000", "data": data})).statuses([QRC_ID, "B" * 32, "C" * 32])
    assert [status.status for status in found] == [OperationStatus.ACCEPTED, OperationStatus.RECEIVED, None]
    assert (found[0].trx_id, found[0].kzo) == ("A" * 32, "9F")


@pytest.mark.parametrize("data", [None, [{}], [{"qrcId": QRC_ID, "code": "RQ00000", "status": "NEW?"}]])
async def test_statuses_we_cannot_read_are_unknown(data: Any) -> None:
    with pytest.raises(NspkUnknown):
        await nspk(says(200, {"code": "RQ00000", "data": data})).statuses([QRC_ID])
