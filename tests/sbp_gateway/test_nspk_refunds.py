"""Refunds at NSPK over HTTP, and what each answer means to us: whatever is no answer is silence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.refund_calls import RefundCalls
from ledger.clock import Clock
from ledger.database import Engine
from ledger.money import Kopecks
from sbp_gateway.cash_links import LinkState
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk_cash_links import NspkCashLinksHttp
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_refunds import NspkRefunds, NspkRefundsHttp, RefundRequest, RefundState
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.refunds import KZO_WAIT_MAX, NO_KZO, Refund, RefundAnswer, RefundNews, RefundStatus
from tests.sbp_gateway.refund_books import RefundBooks, books_of

TRX, QRC, AGENT, OPKC, MONEY = "A" * 32, "A" * 32, "0" * 32, "AR1X", "B" * 32
WANTED = RefundRequest(TRX, QRC, "100000000999", "MA0000000001", Kopecks(60), "9F2C", AGENT)
STATE = {"originalTrxId": TRX, "originalQrcId": QRC, "agentRefundRequestId": AGENT, "opkcRefundRequestId": OPKC}


def ok(data: Any) -> tuple[int, Any]:
    return 200, {"code": "RQ00000", "message": "", "data": data}


def no(code: str, status: int = 400) -> tuple[int, Any]:
    return status, {"code": code, "message": "why"}


@asynccontextmanager
async def nspk(*answers: tuple[int, Any]) -> AsyncIterator[tuple[NspkTransport, list[tuple[str, str, Any]]]]:
    """The way to a server that gives these answers in turn, and then the last again; and what it was asked."""
    asked: list[tuple[str, str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        text = await request.text()
        asked.append((request.method, request.path_qs, json.loads(text) if text else None))
        status, body = answers[min(len(asked), len(answers)) - 1]
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield transport, asked
        await transport.close()


async def test_a_refund_is_asked_for_in_nspks_words() -> None:
    async with nspk(ok({"opkcRefundRequestId": OPKC})) as (transport, asked):
        assert await NspkRefundsHttp(transport).ask(WANTED) == OPKC
    assert asked == [
        (
            "POST",
            f"/payment/v1/agent/refund/{TRX}",
            {
                "memberId": "100000000999", "merchantId": "MA0000000001", "originalQrcId": QRC, "amount": "60",
                "currency": "RUB", "kzo": "9F2C", "agentRefundRequestId": AGENT,
            },
        )
    ]  # fmt: skip


@pytest.mark.parametrize("data", [None, {}, {"opkcRefundRequestId": 1}, {"opkcRefundRequestId": "a/../b"}])
async def test_an_answer_without_an_id_is_no_answer(data: Any) -> None:
    async with nspk(ok(data)) as (transport, asked):
        with pytest.raises(NspkUnknown):
            await NspkRefundsHttp(transport).ask(WANTED)
    assert len(asked) == 1


async def test_a_request_is_found_by_our_id_or_was_never_heard() -> None:
    async with nspk(ok({"opkcRefundRequestId": OPKC}), no("RQ05013"), no("RQ01001")) as (transport, asked):
        refunds = NspkRefundsHttp(transport)
        assert [await refunds.find(TRX, AGENT), await refunds.find(TRX, AGENT)] == [OPKC, None]
        with pytest.raises(NspkUnknown):
            await refunds.find(TRX, AGENT)
    assert asked[0][:2] == ("GET", f"/payment/v1/agent/refund/{TRX}?agentRefundRequestId={AGENT}")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(no("RQ05013"), id="refused"),
        pytest.param(ok(None), id="nothing"),
        pytest.param(ok(STATE | {"originalTrxId": "C" * 32}), id="of another payment"),
        pytest.param(ok(STATE | {"opkcRefundRequestId": "AR2"}), id="another request"),
        pytest.param(ok(STATE | {"amount": "60,00"}), id="a sum we cannot read"),
    ],
)
async def test_a_state_that_is_not_about_our_refund_is_no_answer(answer: tuple[int, Any]) -> None:
    async with nspk(answer) as (transport, _), _unknown():
        await NspkRefundsHttp(transport).read(TRX, OPKC)


@asynccontextmanager
async def _unknown() -> AsyncIterator[None]:
    with pytest.raises(NspkUnknown):
        yield


@pytest.fixture
async def books(database: Any, engine: Engine, now: Any) -> RefundBooks:
    return await books_of(database, engine, now)


def calls(books: RefundBooks, transport: NspkTransport) -> RefundCalls:
    return RefundCalls(books.engine, NspkHttp(transport, "A"), NspkRefundsHttp(transport), Clock())


@pytest.mark.parametrize(
    ("said", "news"),
    [
        pytest.param({}, RefundNews.UNDECIDED, id="nothing yet"),
        pytest.param({"refundStatusCode": "RQ00031"}, RefundNews.UNDECIDED, id="awaited"),
        pytest.param({"refundStatusCode": "RQ07999"}, RefundNews.UNDECIDED, id="a technical error decides nothing"),
        pytest.param({"refundStatusCode": "RQ00030"}, RefundNews.APPROVED, id="agreed"),
        pytest.param({"refundStatusCode": "RQ05040"}, RefundNews.DECLINED, id="declined"),
        pytest.param({"refundStatusCode": "RQ00030", "trxStatus": "RCVD"}, RefundNews.APPROVED, id="on its way"),
        pytest.param({"refundStatusCode": "RQ00030", "trxStatus": "NEWW"}, RefundNews.APPROVED, id="a new word"),
        pytest.param({"trxStatus": "RJCT"}, RefundNews.NOT_MOVED, id="not moved"),
        pytest.param({"trxStatus": "ACWP", "trxId": MONEY, "amount": 60}, RefundNews.MOVED, id="moved"),
        pytest.param({"trxStatus": "ACWP", "trxId": MONEY, "amount": "60"}, RefundNews.MOVED, id="moved, as text"),
        pytest.param({"trxStatus": "ACWP", "trxId": MONEY, "amount": 61}, RefundNews.SILENT, id="another sum"),
        pytest.param({"trxStatus": "ACWP", "amount": 60}, RefundNews.SILENT, id="no operation"),
        pytest.param({"agentRefundRequestId": "1" * 32}, RefundNews.SILENT, id="another's request"),
    ],
)
async def test_what_nspk_says_of_a_request_it_took(books: RefundBooks, said: Any, news: RefundNews) -> None:
    refund = await taken(books)
    async with nspk(ok(STATE | {"agentRefundRequestId": refund.agent_request_id} | said)) as (transport, _):
        assert (await calls(books, transport).look(refund)).news is news


@pytest.mark.parametrize(
    ("has_earlier", "has_shown", "news"),
    [
        pytest.param(False, False, RefundNews.MOVED, id="nothing else can be meant"),
        pytest.param(True, False, RefundNews.SILENT, id="may be the earlier one"),
        pytest.param(True, True, RefundNews.MOVED, id="this one was seen at work"),
    ],
)
async def test_good_news_that_may_be_of_an_earlier_refund_are_no_news(
    books: RefundBooks, has_earlier: bool, has_shown: bool, news: RefundNews
) -> None:
    if has_earlier:
        await books.hear(await books.ask(10), RefundNews.TAKEN, RefundNews.MOVED)
    refund = await taken(books)
    if has_shown:
        refund = await books.hear(refund, RefundNews.APPROVED)
    said = {"agentRefundRequestId": refund.agent_request_id, "trxStatus": "ACWP", "trxId": MONEY, "amount": 60}
    async with nspk(ok(STATE | said)) as (transport, _):
        of = calls(books, transport)
        assert (await replace(of, refunds=OfTheLastRefundOnly(of.refunds)).look(refund)).news is news


@dataclass
class OfTheLastRefundOnly:
    """A provider that says what became of the last refund, and not whose it was."""

    refunds: NspkRefunds

    async def ask(self, request: RefundRequest) -> str:
        return await self.refunds.ask(request)

    async def find(self, trx_id: str, agent_request_id: str) -> str | None:
        return await self.refunds.find(trx_id, agent_request_id)

    async def read(self, trx_id: str, opkc_request_id: str) -> RefundState:
        return replace(await self.refunds.read(trx_id, opkc_request_id), may_be_earlier=True)


async def taken(books: RefundBooks) -> Refund:
    return await books.hear(await books.ask(60), RefundAnswer(RefundNews.TAKEN, OPKC))


@pytest.mark.parametrize(
    ("answer", "news"),
    [
        pytest.param(ok({"opkcRefundRequestId": OPKC}), RefundNews.TAKEN, id="taken"),
        pytest.param(no("RQ05040"), RefundNews.REFUSED, id="refused"),
        pytest.param(no("RQ07999", 500), RefundNews.SILENT, id="a technical error"),
        pytest.param((200, "nonsense"), RefundNews.SILENT, id="nonsense"),
    ],
)
async def test_what_nspk_says_to_a_request(books: RefundBooks, answer: tuple[int, Any], news: RefundNews) -> None:
    async with nspk(answer) as (transport, _):
        found = await calls(books, transport).ask(WANTED, of_try=1)
    assert (found.news, found.of_try) == (news, 1)


async def test_a_request_that_could_not_leave_was_not_sent(books: RefundBooks) -> None:
    transport = NspkTransport("http://127.0.0.1:9")
    assert (await calls(books, transport).ask(WANTED, of_try=1)).news is RefundNews.NOT_SENT
    await transport.close()


async def test_a_missing_control_value_is_asked_for_first(books: RefundBooks) -> None:
    told = [{"qrcId": QRC, "code": "RQ00000", "status": "ACWP", "trxId": TRX, "kzo": "9F2C"}]
    async with nspk(ok(told), ok({"opkcRefundRequestId": OPKC})) as (transport, asked):
        found = await calls(books, transport).ask(replace(WANTED, kzo=None), of_try=1)
    assert (found.news, found.kzo, asked[1][2]["kzo"]) == (RefundNews.TAKEN, "9F2C", "9F2C")

    async with nspk(ok([told[0] | {"trxId": "C" * 32}])) as (transport, asked):
        found = await calls(books, transport).ask(replace(WANTED, kzo=None), of_try=1)
    assert (found.news, len(asked)) == (RefundNews.NOT_SENT, 1)


async def test_refusals_are_kept_verbatim(books: RefundBooks) -> None:
    async with nspk(no("RQ05777")) as (transport, _):
        with pytest.raises(NspkRefused) as refused:
            await NspkRefundsHttp(transport).ask(WANTED)
        found = await calls(books, transport).ask(WANTED, of_try=1)
    assert refused.value.facts == {"nspk_code": "RQ05777", "nspk_message": "why"}
    assert (found.code, found.message) == ("RQ05777", "why")


async def test_the_control_value_of_a_plates_payment_is_asked_for_by_its_activation(books: RefundBooks) -> None:
    sale = {
        "cashRegisterQrcStatus": LinkState.DEACTIVATED, "trxStatus": "ACWP", "trxId": TRX, "kzo": "9F2C",
        "amount": "100", "timestamp": "2026-11-22T09:00:00Z",
    }  # fmt: skip
    async with nspk(ok(sale), ok({"opkcRefundRequestId": OPKC})) as (transport, asked):
        of = replace(calls(books, transport), sales=NspkCashLinksHttp(transport, "A"))
        found = await of.ask(replace(WANTED, kzo=None, params_id="p1"), of_try=1)

    assert (found.news, found.kzo, asked[1][2]["kzo"]) == (RefundNews.TAKEN, "9F2C", "9F2C")
    assert "p1" in asked[0][1]


async def test_a_refund_without_a_control_value_ends_after_some_days_and_gives_the_money_back(
    books: RefundBooks, database: Any
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE sbp_payments SET kzo = NULL")
    books = replace(books, payment=replace(books.payment, kzo=None))
    refund = await books.ask(60)
    async with nspk(no("RQ05013")) as (transport, asked):
        of = replace(calls(books, transport), clock=(clock := Clock()))
        clock.offset = books.now - clock.now()
        refund = await of.record(refund.id, await of.ask(replace(WANTED, kzo=None), of_try=1))
        for days in (1, 1):
            clock.offset += timedelta(days=days)
            refund = await of.carry_on(refund)
            assert (refund.status, refund.asked_at) == (RefundStatus.REQUESTED, None)
        clock.offset += KZO_WAIT_MAX
        refund = await of.carry_on(refund)
        clock.offset += timedelta(minutes=1)
        ended = await of.carry_on(refund)  # NSPK was asked for our id, and knows none

    assert (ended.status, ended.refusal_code) == (RefundStatus.REFUSED, NO_KZO)
    assert not any(method == "POST" and "agent/refund" in path for method, path, _ in asked)
    assert await books.events() == ["refund.refused"]
    books.now = clock.now()
    await books.prove()
