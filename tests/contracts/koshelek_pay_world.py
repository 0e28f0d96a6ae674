"""One house in this process: the api and the simulators on real ports, the worker's jobs when a test says so."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.contracts.koshelek_pay.terminals import token_of
from api.serve import listening_socket
from api.settings import Settings
from api.simulators import create_simulators
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, transaction
from pci.secret import Secret
from tests.conftest import Database

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
CALL_SECONDS_MAX = 20.0
SCOPES = ("orders:read", "orders:write", "refunds:write")
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

    @property
    def base_url(self) -> str:
        return f"{self.world.url}/pos/v1/{self.partner}"

    def token(self) -> str:
        return token_of(self.fingerprint, self.secret, self.world.app.state.door.clock.now())

    async def call(self, name: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """One call of the contract, as this till makes it."""
        async with httpx.AsyncClient(auth=(self.partner, self.api_key), timeout=CALL_SECONDS_MAX) as http:
            return await http.post(
                f"{self.base_url}/api/v1/merchant/{name}/task", json=body, headers={"token": self.token(), **headers}
            )

    def checkout(self, **more: Any) -> dict[str, Any]:
        """A body of checkout: 349.00 for a kilogram, 1.125 kg of it, and two pieces at 50.00, less 12.63."""
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


@dataclass
class TillWorld:
    """Where everything is."""

    app: FastAPI
    url: str
    simulators: httpx.AsyncClient
    native: httpx.AsyncClient
    engine: Engine

    async def made(self, path: str, body: Any) -> Any:
        headers = {"idempotency-key": f"till-world-{next(numbers):010}"}
        answer = await self.native.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def till(self) -> Till:
        """A merchant with one till that has a key."""
        merchant = await self.made("/v1/merchants", {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        })  # fmt: skip
        store = await self.made("/v1/stores", {"merchant_id": merchant["id"], "name": "С", "address": "Москва"})
        terminal = await self.made("/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})
        key = await self.made(f"/v1/terminals/{terminal['id']}/keys", {})
        secret = (await self.native.get(f"/v1/terminals/{terminal['id']}/keys/{key['id']}/secret")).json()["secret"]
        async with transaction(self.engine) as session:
            _, api_key = await create_key(
                session, name="till", scopes=SCOPES, mode="test", merchant_id=merchant["id"], now=datetime.now(UTC)
            )
        return Till(
            self, merchant["id"], merchant["id"], store["id"], terminal["id"], api_key.expose(), key["fingerprint"],
            Secret(secret),
        )  # fmt: skip

    async def faults(self, **rates: float) -> None:
        assert (await self.simulators.put("/simulator/faults", json=rates)).status_code == 200

    async def pays(self, payload: str, **how: Any) -> None:
        """The buyer scans the code and pays."""
        qrc_id = payload.rpartition("/")[2].partition("?")[0]
        answer = await self.simulators.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})
        assert answer.status_code == 200, answer.text

    async def until(self, read: Callable[[], Awaitable[Any]], is_so: Callable[[Any], bool]) -> Any:
        """Read again and again until what is read is so."""
        async with asyncio.timeout(CALL_SECONDS_MAX):
            while not is_so(found := await read()):  # noqa: ASYNC110  # another process says it
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """An application on a port of its own while the block runs."""
    with listening_socket("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, lifespan="on", access_log=False))
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest_asyncio.fixture
async def till_world(database: Database, engine: Engine) -> AsyncIterator[TillWorld]:
    """Everything on a fresh database."""
    async with AsyncExitStack() as stack:
        simulators_url = await stack.enter_async_context(serving(create_simulators()))
        app = create_app(Settings(
            database_url=SecretStr(database.app_url), log_level="error", nspk_url=simulators_url,
            bank_url=simulators_url, messages_url=simulators_url,
        ))  # fmt: skip
        url = await stack.enter_async_context(serving(app))
        async with transaction(engine) as session:
            _, admin = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
        simulators = await stack.enter_async_context(
            httpx.AsyncClient(base_url=simulators_url, timeout=CALL_SECONDS_MAX)
        )
        native = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=url, timeout=CALL_SECONDS_MAX, headers={"authorization": f"Bearer {admin.expose()}"}
            )
        )
        assert (await simulators.put("/simulator/agent", json={"url": url})).status_code in (200, 404, 405)
        assert (await simulators.get("/simulator/summary")).status_code == 200
        yield TillWorld(app, url, simulators, native, engine)
