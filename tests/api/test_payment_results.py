"""What NSPK says of links is carried out for each; money of stickers, which nobody asks about again, is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from api.nspk_address import tkassa_of
from api.payment_results import Hint, StatusReader
from api.settings import Settings
from bench.sbp_polls import FILL
from ledger.accounts import AccountTerms, open_account
from ledger.chart import merchant_payable
from ledger.clock import Clock
from ledger.database import Engine, text, transaction
from ledger.money import Kopecks
from pci.secret import Secret
from sbp_gateway import bookkeeping, repository, unmatched_repository
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.payload import parse
from sbp_gateway.stickers import SaidOperation, Sticker
from sbp_gateway.tkassa_links import link_id
from sbp_gateway.tkassa_token import token_of
from tests.api.conftest import Client
from tests.conftest import Database

STICKER, FIRST, SECOND = "S" * 32, "1" * 32, "2" * 32
KZO = "9F2C7B1E44D05A66"
PLACE = [f"{kind}_" + "0" * 26 for kind in ("stk", "mer", "sto", "ter")]


def code(number: int) -> str:
    return f"AD{number:030}"


def accepted(trx_id: str) -> dict[str, Any]:
    return {"code": "RQ00000", "status": "ACWP", "trxId": trx_id, "kzo": KZO}


@dataclass
class Says:
    """NSPK's answers by links; a link that has none is answered as one that nobody paid."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        silent = {"code": "RQ00000", "status": "NTST"}
        asked = (await request.json())["qrcIds"]
        data = [{"qrcId": qrc_id, **self.answers.get(qrc_id, silent)} for qrc_id in asked]
        return web.json_response({"code": "RQ00000", "message": "", "data": data}, status=self.status)


@asynccontextmanager
async def asking(says: Says, engine: Engine) -> AsyncIterator[StatusReader]:
    app = web.Application()
    app.router.add_put("/payment/v2/qrc-status", says.answer)
    async with TestServer(app) as server:
        nspk = NspkHttp(NspkTransport(str(server.make_url("/"))), "A00000000001")
        yield StatusReader(engine, nspk, Clock())
        await nspk.close()


@pytest.fixture
def says() -> Says:
    return Says()


@pytest_asyncio.fixture
async def reader(says: Says, database: Database, engine: Engine, now: datetime) -> AsyncIterator[StatusReader]:
    """Three open codes of 100 kopecks, and a sticker of what the buyer types."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(FILL.format(codes=3))
    sticker = Sticker(*PLACE, None, "Кофе", STICKER, "https://…", now)  # type: ignore[arg-type]
    async with transaction(engine) as session:
        await unmatched_repository.add_sticker(session, sticker)
        merchant = await repository.live_merchant(session, sticker.merchant_id)
        assert merchant is not None
        await bookkeeping.open_accounts(session, merchant, now=now)
        await open_account(session, AccountTerms(merchant_payable(sticker.merchant_id)), now=now)
    async with asking(says, engine) as reader:
        yield reader


@pytest_asyncio.fixture
async def shop(client: Client, reader: StatusReader) -> Client:
    """A door whose NSPK is this one."""
    door = client.app.state.door
    client.app.state.door = replace(door, wiring=replace(door.wiring, results=reader))
    return client


def of_sticker(trx_id: str, now: datetime) -> Hint:
    return Hint(STICKER, now, None, SaidOperation(trx_id, Kopecks(100), now, KZO))


async def kept(engine: Engine) -> set[str]:
    async with transaction(engine) as session:
        return set(await session.scalars(text("SELECT trx_id FROM sbp_unmatched_payments")))


async def parked(engine: Engine) -> set[str]:
    async with transaction(engine) as session:
        return set(await session.scalars(text("SELECT trx_id FROM sbp_parked_notifications")))


async def test_who_asks_in_the_turn_in_which_a_round_ends_is_answered(reader: StatusReader) -> None:
    async with asyncio.timeout(60):
        for _ in range(3):
            assert await reader.look_up(Hint(code(1)))


@pytest.mark.parametrize(
    "of_second",
    [
        pytest.param({"code": "RQ00000", "status": "RCVD", "trxId": SECOND}, id="the next buyer is paying"),
        pytest.param({"code": "RQ05001", "status": None}, id="no status of the link"),
        pytest.param({"code": "RQ00000", "status": "RJCT", "trxId": SECOND}, id="the next buyer's bank refused"),
        pytest.param(accepted(SECOND), id="the next buyer has paid"),
        pytest.param({"code": 5}, id="an answer that cannot be read"),
    ],
)
async def test_an_operation_of_a_sticker_is_known_only_when_its_very_money_is_kept(
    reader: StatusReader, says: Says, engine: Engine, now: datetime, of_second: dict[str, Any]
) -> None:
    says.answers[STICKER] = of_second
    both = await asyncio.gather(reader.look_up(Hint(code(1))), reader.look_up(of_sticker(FIRST, now)))
    assert both == [True, False]
    assert await kept(engine) == set()

    says.answers[STICKER] = accepted(SECOND)
    assert await reader.look_up(of_sticker(SECOND, now))
    assert await kept(engine) == {SECOND}

    says.answers[STICKER] = {"code": "RQ00000", "status": "RCVD", "trxId": "3" * 32}
    assert await reader.look_up(of_sticker(SECOND, now))  # told again: it is kept


async def test_a_notification_that_cannot_be_looked_at_is_parked_before_nspk_hears_so(
    shop: Client, says: Says, engine: Engine
) -> None:
    says.status = 500
    for qrc_id, trx_id in ((STICKER, FIRST), (code(1), SECOND)):
        body = {"qrcId": qrc_id, "trxId": trx_id, "status": "ACWP", "amount": 100, "timestamp": "2026-11-22T09:00:00Z"}
        answer = await shop.http.post("/nspk/payment/v2/qrc/notification", json=body)
        assert answer.json()["code"] in ("sbp_gateway.nspk_unknown", "sbp_gateway.nspk_unavailable")
    assert await parked(engine) == {FIRST}


async def test_one_operation_said_of_two_links_spoils_no_others_of_the_batch(
    reader: StatusReader, says: Says, engine: Engine
) -> None:
    says.answers |= {code(1): accepted(FIRST), code(2): accepted(FIRST), code(3): accepted(SECOND)}

    await reader.read_open([code(1), code(2), code(3)], frozenset())

    async with transaction(engine) as session:
        paid = set(await session.scalars(text("SELECT trx_id FROM sbp_payments")))
        still_open = list(await session.scalars(text("SELECT qrc_id FROM qr_codes WHERE status = 'registered'")))
    assert paid == {FIRST, SECOND}
    assert still_open == [code(2)]


async def test_a_signed_notification_of_a_payment_that_is_not_ours_is_parked(shop: Client, engine: Engine) -> None:
    password = "p" * 20
    settings = Settings(
        tkassa_members=frozenset({"100000000004"}), tkassa_url="http://127.0.0.1:9", tkassa_terminal_key="K",
        tkassa_password=SecretStr(password),
    )  # fmt: skip
    door = shop.app.state.door
    shop.app.state.door = replace(door, wiring=replace(door.wiring, tkassa=tkassa_of(settings, parse)))
    said: dict[str, Any] = {"TerminalKey": "K", "PaymentId": 7, "Status": "CONFIRMED"}

    answer = await shop.http.post("/tkassa/notification", json=said | {"Token": token_of(said, Secret(password))})

    assert (answer.status_code, answer.text) == (200, "OK")
    (found,) = (await shop.get("/v1/sbp/parked-notifications")).json()["items"]
    assert (found["about"], found["said"]) == (link_id("7"), said)
