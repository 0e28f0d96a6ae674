"""The bank that pays buyers, over HTTP: its simulator, and answers that are no answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ledger.money import Kopecks
from pci.secret import Secret
from sbp_gateway.buyer_payouts import BuyerPayout, BuyerPayoutStatus
from sbp_gateway.errors import PayoutBankUnknown
from sbp_gateway.payout_bank import PayoutAnswer, PayoutWord
from sbp_gateway.payout_bank_http import PayoutBankHttp
from sbp_gateway.phones import mask_phone
from sbp_gateway.simulator.payouts import PATH
from tests.sbp_gateway.simulator_world import simulated_world

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def payout(phone: str = "79123456789", amount: int = 149_990) -> BuyerPayout:
    now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    return BuyerPayout(
        "bpo_1", "mer_1", "100000000999", phone, mask_phone(phone), "100000000004", Kopecks(amount), "За заказ «1»",
        BuyerPayoutStatus.REQUESTED, uuid4(), None, 1, now, None, now, None,
    )  # fmt: skip


@asynccontextmanager
async def bank(answer: Answer) -> AsyncIterator[PayoutBankHttp]:
    """The adapter before a real server that answers so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        adapter = PayoutBankHttp(str(server.make_url("/")), Secret("key"))
        yield adapter
        await adapter.close()


def says(status: int, body: Any) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


async def test_the_sum_travels_in_roubles_to_the_kopeck_and_the_key_with_it() -> None:
    heard: list[tuple[str, str]] = []

    async def listens(request: web.Request) -> web.Response:
        heard.append((await request.text(), request.headers["Authorization"]))
        return web.json_response({"status": {"value": "COMPLETED"}})

    async with bank(listens) as adapter:
        assert await adapter.pay(payout(amount=12_345_610)) == PayoutAnswer(PayoutWord.COMPLETED)

    text, authorization = heard[0]
    assert '"amount":123456.10' in text
    assert json.loads(text)["payoutParams"] == {"phone": "79123456789", "bankAlias": "100000000004"}
    assert authorization == "Bearer key"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, {"status": {"value": "THINKING"}}, id="a word nobody knows"),
        pytest.param(200, {"status": "COMPLETED"}, id="another form"),
        pytest.param(200, [], id="not an object"),
        pytest.param(500, {"status": {"value": "COMPLETED"}}, id="a failure with a word in it"),
        pytest.param(401, {"code": "ERROR.UNAUTHORIZED"}, id="our key is refused"),
        pytest.param(302, {}, id="somewhere else"),
        pytest.param(400, {"code": "ERROR.PAYOUT_ALREADY_EXISTS"}, id="the id is known"),
    ],
)
async def test_what_is_no_clear_answer_is_unknown(status: int, body: Any) -> None:
    async with bank(says(status, body)) as adapter:
        with pytest.raises(PayoutBankUnknown):
            await adapter.pay(payout())


async def test_a_refusal_keeps_the_banks_code_and_never_its_sentence() -> None:
    body = {"code": "ERROR.LIMIT", "message": "79123456789 has had enough"}
    async with bank(says(400, body)) as adapter:
        assert await adapter.pay(payout()) == PayoutAnswer(PayoutWord.DECLINED, "ERROR.LIMIT")


async def test_a_bank_that_does_not_know_the_payout_says_nothing() -> None:
    async with bank(says(404, {"code": "ERROR.PAYOUT_NOT_FOUND"})) as adapter:
        assert await adapter.find("bpo_1") is None


async def test_the_simulator_pays_once_refuses_and_takes_its_time() -> None:
    async with simulated_world() as world:

        async def ask(one: BuyerPayout, **change: Any) -> tuple[int, Any]:
            body = {
                "id": one.id, "amount": int(one.amount) // 100, "currency": "RUB", "payoutMethod": "SBP",
                "payoutParams": {"phone": one.phone, "bankAlias": one.bank_member_id}, "paymentDetails": "p",
            }  # fmt: skip
            answer = await world.http.post(PATH, json=body | change)
            return answer.status_code, answer.json()

        async def word(payout_id: str) -> Any:
            return (await world.http.get(f"{PATH}/{payout_id}")).json()["status"]["value"]

        first = payout(amount=100_000)
        assert (await ask(first))[1]["status"]["value"] == "COMPLETED"
        assert (await ask(first))[1]["code"] == "ERROR.PAYOUT_ALREADY_EXISTS"
        assert (await ask(replace(first, id="b", phone="79000000099")))[1]["status"]["value"] == "DECLINED"
        assert (await ask(replace(first, id="c", phone="79000000098")))[1]["status"]["value"] == "IN_PROGRESS"
        assert [await word("c"), await word("c")] == ["IN_PROGRESS", "COMPLETED"]
        await ask(replace(first, id="d", phone="79000000097"))
        assert [await word("d"), await word("d")] == ["IN_PROGRESS", "DECLINED"]
        for change in (
            {"amount": 0.5}, {"amount": "10"}, {"amount": 500_000.01}, {"amount": 10.001}, {"currency": "USD"},
            {"payoutMethod": "CARD"}, {"payoutParams": {"phone": "1", "bankAlias": "100000000004"}},
            {"payoutParams": {"phone": "79123456789", "bankAlias": "1"}}, {"id": ""}, {"id": "x" * 41},
        ):  # fmt: skip
            assert (await ask(replace(first, id="e"), **change))[0] == 400, change
        summary = (await world.http.get("/simulator/summary")).json()
        assert (summary["buyer_payouts"], summary["buyer_payouts_kopecks"]) == (2, 200_000)
        assert (await world.http.get(f"{PATH}/e")).status_code == 404
