"""A plate that is taken back while NSPK is being asked to arm it is disarmed, however late NSPK arms it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.late_watching import ask_sale
from api.sale_results import SaleReader
from api.sale_watching import take_back, watch_activations
from bench.sbp_polls import FILL
from ledger.accounts import AccountTerms, open_account
from ledger.chart import merchant_payable
from ledger.database import Engine, text, transaction
from ledger.money import Kopecks
from sbp_gateway import activating, bookkeeping, late_watches, repository
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import ANSWER_WAIT, Activation, ActivationStatus, CashLink, CashLinkStatus
from sbp_gateway.errors import NspkUnknown
from sbp_gateway.nspk_cash_links import NspkCashLinksHttp
from sbp_gateway.nspk_transport import NspkTransport
from tests.api.conftest import Client
from tests.api.test_looking_up import FixedClock
from tests.conftest import Database
from tests.ledger.waiting import is_waiting_for_a_lock

MERCHANT, STORE, TERMINAL, LINK, SALE = (f"{kind}_" + "0" * 26 for kind in ("mer", "sto", "ter", "csh", "acv"))
ATTEMPT = f"att_{1:026}"
QRC_ID = "AS1R000000000000000000000000TEST"
NAME = "p1"
SECOND = timedelta(seconds=1)


@dataclass
class Plate:
    """One link at NSPK, and what it is armed with."""

    params_id: str | None = None
    paid_at: datetime | None = None

    @property
    def state(self) -> str:
        return "INACTIVATED" if self.params_id is None or self.paid_at is not None else "WAITING_PAYMENT"

    async def link(self, _request: web.Request) -> web.Response:
        return self.said({"status": self.state, "paramsId": self.params_id})

    async def sale(self, request: web.Request) -> web.Response:
        is_armed = request.match_info["params_id"] == self.params_id
        sale: dict[str, Any] = {"trxStatus": "NTST", "amount": "149990"}
        if self.paid_at is not None:
            sale |= {"trxStatus": "ACWP", "trxId": "T" * 32, "kzo": "9F2C", "timestamp": self.paid_at.isoformat()}
        return self.said(sale | {"cashRegisterQrcStatus": self.state if is_armed else "DEACTIVATED"})

    async def disarm(self, _request: web.Request) -> web.Response:
        if self.state != "WAITING_PAYMENT":
            return web.json_response({"code": "RQ05001", "message": ""}, status=400)
        self.params_id = None
        return self.said({})

    def said(self, data: dict[str, Any]) -> web.Response:
        return web.json_response({"code": "RQ00000", "message": "", "data": data})


@pytest.fixture
def plate() -> Plate:
    return Plate()


@pytest_asyncio.fixture
async def sales(plate: Plate, database: Database, engine: Engine) -> AsyncIterator[SaleReader]:
    """A till whose plate NSPK is being asked to arm."""
    now = datetime.now(UTC)
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(FILL.format(codes=1))
    link = CashLink(LINK, MERCHANT, STORE, TERMINAL, "4" * 20, CashLinkStatus.REQUESTED, QRC_ID, None, now)
    requested = Activation(
        SALE, LINK, QRC_ID, "https://…", ATTEMPT, MERCHANT, Kopecks(149_990), "p", ActivationStatus.REQUESTED, None,
        now, now + timedelta(minutes=5), 0,
    )  # fmt: skip
    async with transaction(engine) as session:
        merchant = await repository.live_merchant(session, MERCHANT)
        assert merchant is not None
        await bookkeeping.open_accounts(session, merchant, now=now)
        await open_account(session, AccountTerms(merchant_payable(MERCHANT)), now=now)
        await rows.add_cash_link(session, link, next_try_at=now)
        await rows.register_cash_link(session, LINK, "https://…")
        await rows.add_activation(session, requested, next_poll_at=now + ANSWER_WAIT)
    app = web.Application()
    path = f"/payment/v1/cash-register-qrc/{QRC_ID}"
    app.router.add_get(path, plate.link)
    app.router.add_delete(f"{path}/params", plate.disarm)
    app.router.add_get(path + "/{params_id}", plate.sale)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield SaleReader(engine, NspkCashLinksHttp(transport, "A00000000001"), FixedClock(now))
        await transport.close()


def later(sales: SaleReader, wait: timedelta) -> SaleReader:
    return replace(sales, clock=FixedClock(sales.clock.now() + wait))


async def found(sales: SaleReader) -> Activation:
    async with transaction(sales.engine) as session:
        return await rows.lock_activation(session, SALE)


async def test_a_plate_taken_back_while_it_is_being_armed_is_disarmed_by_its_name(
    sales: SaleReader, plate: Plate
) -> None:
    with pytest.raises(NspkUnknown):
        await take_back(sales, await found(sales))
    assert (await found(sales)).status is ActivationStatus.DEACTIVATING

    plate.params_id = NAME  # the call that was under way is carried out now, and its answer comes
    async with transaction(sales.engine) as session:
        assert not await activating.record_armed(session, SALE, NAME, now=sales.clock.now())
    assert await watch_activations(later(sales, SECOND)) == 1

    over = await found(sales)
    assert (over.status, over.params_id, plate.params_id) == (ActivationStatus.DEACTIVATED, NAME, None)


async def test_a_plate_is_not_given_up_before_the_last_asking_to_arm_it_must_be_answered(sales: SaleReader) -> None:
    with pytest.raises(NspkUnknown):
        await take_back(sales, await found(sales))
    async with transaction(sales.engine) as session:
        await rows.count_arms(session, SALE, now=sales.clock.now() + 10 * SECOND)

    await later(sales, ANSWER_WAIT + 9 * SECOND).read(await found(sales))
    assert (await found(sales)).status is ActivationStatus.DEACTIVATING

    await take_back(later(sales, ANSWER_WAIT + 10 * SECOND), await found(sales))
    assert (await found(sales)).status is ActivationStatus.DEACTIVATED


@pytest_asyncio.fixture
async def given_up(sales: SaleReader) -> SaleReader:
    """The same after NSPK knew of no activation for as long as we wait."""
    over = later(sales, ANSWER_WAIT)
    await take_back(over, await found(over))
    return over


async def look(client: Client, sales: SaleReader) -> bool:
    async with transaction(sales.engine) as session:
        (watch,) = await late_watches.take_due(session, now=sales.clock.now() + late_watches.FIRST_LOOK_WAIT)
    return await ask_sale(sales.engine, replace(client.app.state.door.wiring, sales=sales), watch)


async def test_a_plate_armed_after_it_was_given_up_is_disarmed_by_the_late_watch(
    given_up: SaleReader, plate: Plate, client: Client
) -> None:
    plate.params_id = NAME

    assert await look(client, given_up)

    over = await found(given_up)
    assert (over.status, over.params_id, plate.params_id) == (ActivationStatus.DEACTIVATED, NAME, None)


async def test_an_answer_that_comes_after_it_was_given_up_names_it_and_hurries_the_watch(
    given_up: SaleReader,
) -> None:
    now = given_up.clock.now()
    async with transaction(given_up.engine) as session:
        assert not await activating.record_armed(session, SALE, NAME, now=now + SECOND)
        assert [watch.id for watch in await late_watches.take_due(session, now=now + SECOND)] == [SALE]
    assert (await found(given_up)).params_id == NAME


async def test_money_by_a_plate_that_was_given_up_is_late_and_nobody_elses(
    given_up: SaleReader, plate: Plate, client: Client
) -> None:
    plate.params_id, plate.paid_at = NAME, given_up.clock.now()

    assert await look(client, given_up)

    assert (await found(given_up)).status is ActivationStatus.PAID
    async with transaction(given_up.engine) as session:
        paid = (await session.execute(text("SELECT is_late, attempt_id FROM sbp_payments"))).one()
        assert await session.scalar(text("SELECT count(*) FROM sbp_unmatched_payments")) == 0
    assert tuple(paid) == (True, ATTEMPT)


async def test_a_sale_whose_transaction_loses_a_deadlock_is_carried_out_again(
    sales: SaleReader, plate: Plate, database: Database
) -> None:
    plate.params_id, plate.paid_at = NAME, sales.clock.now()
    async with await psycopg.AsyncConnection.connect(database.superuser_url) as other:
        await other.execute("SET deadlock_timeout = '1min'")  # it never gives way
        await other.execute("SELECT 1 FROM orders FOR UPDATE")
        reading = asyncio.create_task(sales.read(await found(sales)))
        await is_waiting_for_a_lock(sales.engine)  # it holds the activation and waits for the order
        await other.execute("SELECT 1 FROM cash_link_activations WHERE id = %s FOR NO KEY UPDATE", (SALE,))

    await reading

    assert (await found(sales)).status is ActivationStatus.PAID
