"""One house for all tests of the tills' contract: api, simulators and the worker's jobs, in a thread of ours."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from api import bootstrap
from api.app import create_app
from api.callers import create_key
from api.contracts.koshelek_pay.terminals import token_of
from api.deliveries import events_client
from api.postgres import Server
from api.public_addresses import public_client
from api.serve import listening_socket
from api.settings import Settings
from api.simulators import create_simulators
from api.wiring import wire
from api.worker import JOBS, Tools, repeat
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import Clock
from ledger.database import create_engine, transaction
from pci.secret import Secret

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
CALL_SECONDS_MAX = 60.0
STATE_SECONDS_MAX = 180.0
SCOPES = ("orders:read", "orders:write", "refunds:write")
NAME = "kopeyka_tills"
JOBS_NEEDED = frozenset({
    "poll_links", "resume_lost_links", "end_till_payments", "tell_partners", "carry_on_refunds",
    "refund_late_money", "look_for_late_money",
})  # fmt: skip
numbers = itertools.count(1)


@dataclass
class Till:
    """A till of a partner, with its key."""

    world: TillWorld
    partner: str
    merchant_id: str
    store_id: str
    terminal_id: str
    api_key: str
    fingerprint: str
    secret: Secret
    http: httpx.Client = field(repr=False)

    @property
    def base_url(self) -> str:
        return f"{self.world.url}/pos/v1/{self.partner}"

    def token(self) -> str:
        return token_of(self.fingerprint, self.secret, self.world.app.state.door.clock.now())

    def call(self, name: str, body: Any, **headers: str) -> httpx.Response:
        """One call of the contract, as this till makes it."""
        basic = b64encode(f"{self.partner}:{self.api_key}".encode()).decode()
        return self.http.post(
            f"{self.base_url}/api/v1/merchant/{name}/task", json=body,
            headers={"authorization": f"Basic {basic}", "token": self.token(), **headers},
        )  # fmt: skip

    def said(self, name: str, body: Any) -> Any:
        """What a call that succeeds answers."""
        answer = self.call(name, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def checkout(self, **more: Any) -> dict[str, Any]:
        """A body of checkout: 1.125 kg at 349.00 for a kilogram and two pieces at 50.00, less 12.63: 480.00."""
        items = [
            {"name": "Сыр", "article": "cheese", "price": 34_900, "quantity": 1125, "measure": "GRAM"},
            {"name": "Хлеб", "article": "bread", "price": 5_000, "quantity": 2, "measure": "PIECE"},
        ]
        invoice = {
            "orderId": f"R-{next(numbers)}", "totalAmount": 48_000, "currency": "RUB", "discountAmount": 1_263,
            "subTotalAmount": 49_263, "items": items, **more.pop("invoice", {}),
        }  # fmt: skip
        return {
            "storeId": self.store_id, "terminalId": self.terminal_id, "paymentType": "SBP", "invoice": invoice, **more,
        }  # fmt: skip

    def refund(self, transaction_id: str, amount: int, items: dict[str, int], **more: Any) -> dict[str, Any]:
        """A body of refund."""
        return {
            "storeId": self.store_id, "terminalId": self.terminal_id, "requestId": f"refund-{next(numbers)}",
            "paymentTransactionId": transaction_id, "refundAmount": amount,
            "items": [{"article": article, "quantity": quantity} for article, quantity in items.items()], **more,
        }  # fmt: skip

    def paid(self, **more: Any) -> Any:
        """A payment that its buyer has paid."""
        begun = self.said("checkout", self.checkout(**more))
        self.world.pays(begun["qrPayload"])
        return self.until(begun["paymentTransactionId"], "PAID")

    def until(self, transaction_id: str, status: str) -> Any:
        """The payment once it has this status."""
        return self.world.until(
            lambda: self.said("status", {"paymentTransactionId": transaction_id}),
            lambda found: found["status"] == status,
        )


@dataclass
class TillWorld:
    """Where everything is."""

    app: FastAPI
    url: str
    simulators_url: str
    database_url: str
    admin: str
    loop: asyncio.AbstractEventLoop
    """In which the house runs."""
    simulators: httpx.Client
    native: httpx.Client

    def made(self, path: str, body: Any) -> Any:
        headers = {"idempotency-key": f"till-world-{next(numbers):010}"}
        answer = self.native.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def read(self, path: str) -> Any:
        answer = self.native.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def till(self, scopes: tuple[str, ...] = SCOPES) -> Till:
        """A merchant with one till that has a key."""
        merchant = self.made("/v1/merchants", {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        })  # fmt: skip
        store = self.made("/v1/stores", {"merchant_id": merchant["id"], "name": "С", "address": "Москва"})
        terminal = self.made("/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})
        key = self.made(f"/v1/terminals/{terminal['id']}/keys", {})
        secret = self.read(f"/v1/terminals/{terminal['id']}/keys/{key['id']}/secret")["secret"]
        return Till(
            self, merchant["id"], merchant["id"], store["id"], terminal["id"],
            made_key(self.database_url, merchant["id"], scopes), key["fingerprint"], Secret(secret), self.simulators,
        )  # fmt: skip

    def pays(self, payload: str, **how: Any) -> None:
        """The buyer scans the code and pays."""
        qrc_id = payload.rpartition("/")[2].partition("?")[0]
        answer = self.simulators.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})
        assert answer.status_code == 200, answer.text

    def faults(self, **rates: float) -> None:
        """Order faults; without any, all are healed."""
        assert self.simulators.put("/simulator/faults", json=rates or {"lost_answer": 0.0}).status_code == 200

    def until(self, read: Callable[[], Any], is_so: Callable[[Any], bool]) -> Any:
        """Read again and again until what is read is so."""
        deadline = time.monotonic() + STATE_SECONDS_MAX
        while not is_so(found := read()):
            assert time.monotonic() < deadline, found
            time.sleep(0.03)
        return found


def made_key(database_url: str, merchant_id: str | None, scopes: tuple[str, ...]) -> str:
    async def make() -> str:
        engine = create_engine(database_url)
        async with transaction(engine) as session:
            _, secret = await create_key(
                session, name="tills", scopes=scopes, mode="test", merchant_id=merchant_id, now=datetime.now(UTC)
            )
        await engine.dispose()
        return secret.expose()

    return asyncio.run(make())


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.json()["details"], "every refusal has a tip for the cashier"
    return answer.status_code, answer.json()["code"]


def basic(login: str, password: str) -> str:
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """An application on a port of its own while the block runs."""
    with listening_socket("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, lifespan="on", access_log=False))
        running = asyncio.create_task(server._serve([listener]))  # ``serve`` would take this process's signals
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """The worker's jobs that tills need, while the block runs."""
    engine, clock, stop = create_engine(settings.database_url.get_secret_value(), size=4), Clock(), asyncio.Event()
    tools = Tools(settings, engine, clock, wire(settings, engine, clock), events_client(), public_client(settings.mode))
    running = [asyncio.create_task(repeat(job, tools, stop)) for job in JOBS if job.name in JOBS_NEEDED]
    assert len(running) == len(JOBS_NEEDED)
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)
        await tools.wiring.close()
        await tools.events.close()
        await tools.webhooks.close()
        await engine.dispose()


async def run_house(
    database_url: str, tell: Callable[[FastAPI, str, str, asyncio.AbstractEventLoop], None], stop: threading.Event
) -> None:
    """Everything, until told to stop."""
    async with AsyncExitStack() as stack:
        simulated = create_simulators()
        simulators_url = await stack.enter_async_context(serving(simulated))
        settings = Settings(
            database_url=SecretStr(database_url), log_level="error", nspk_url=simulators_url,
            bank_url=simulators_url, messages_url=simulators_url,
        )  # fmt: skip
        app = create_app(settings)
        url = await stack.enter_async_context(serving(app))
        await stack.enter_async_context(working(settings))
        tell(app, url, simulators_url, asyncio.get_running_loop())
        await asyncio.to_thread(stop.wait)


@pytest.fixture(scope="module")
def till_world(server: Server, template: str) -> Iterator[TillWorld]:
    """Everything on a database of its own, for one file: its jobs never rest."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME} OWNER kopeyka_owner TEMPLATE {template}")
        bootstrap.restrict_database(connection, NAME, bootstrap.BOOKS_ROLES)
    database_url = server.url("kopeyka_app", NAME)
    told: list[tuple[FastAPI, str, str, asyncio.AbstractEventLoop]] = []
    is_ready, stop = threading.Event(), threading.Event()

    def tell(*where: Any) -> None:
        told.append(where)  # type: ignore[arg-type]
        is_ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(run_house(database_url, tell, stop)), daemon=True)
    thread.start()
    try:
        assert is_ready.wait(STATE_SECONDS_MAX), "the house does not open"
        app, url, simulators_url, loop = told[0]
        admin = made_key(database_url, None, ("admin",))
        with (
            httpx.Client(base_url=simulators_url, timeout=CALL_SECONDS_MAX) as simulators,
            httpx.Client(
                base_url=url, timeout=CALL_SECONDS_MAX, headers={"authorization": f"Bearer {admin}"}
            ) as native,
        ):
            assert simulators.put("/simulator/agent", json={"url": url}).status_code == 200
            yield TillWorld(app, url, simulators_url, database_url, admin, loop, simulators, native)
    finally:
        stop.set()
        thread.join()
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
