"""Cards with real processes that are killed, the vault and the acquirer; the api and the worker beside the test."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.acquirer_simulator import ACQUIRER_LISTEN_FD, ACQUIRER_STATE
from api.app import create_app
from api.card_calls import CardCalls, carry_on_card_payments, release_withdrawn_cards
from api.serve import LISTEN_FD, listening_socket
from ledger.clock import machine_now
from ledger.database import Engine, Session
from tests.api.conftest import Client
from tests.api.test_cards import key_of, merchant_of
from tests.api.vault_process import VaultProcess, vault_process
from tests.conftest import Database, VaultDatabase
from tests.processes import Process, start
from tests.tokenization.entry_world import seal

SETTLED_SECONDS_MAX = 240


@dataclass
class AcquirerProcess:
    """A real acquirer with a file in which it remembers; its sockets outlive it, as under the supervisor."""

    messages: socket.socket
    control: socket.socket
    state: Path
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.messages.getsockname()[1]}"

    def start(self) -> None:
        told = {
            LISTEN_FD: str(self.control.fileno()), ACQUIRER_LISTEN_FD: str(self.messages.fileno()),
            ACQUIRER_STATE: str(self.state),
        }  # fmt: skip
        self.process = start(
            "api.acquirer_simulator", environment=os.environ | told,
            pass_fds=[self.control.fileno(), self.messages.fileno()],
        )  # fmt: skip

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(timeout=60) as http:
            url = f"http://127.0.0.1:{self.control.getsockname()[1]}/acquirer/{path}"
            answer = await http.request(method, url, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()


@dataclass
class CardInstallation:
    """Everything a card payment passes through."""

    api: Client
    engine: Engine
    vault: VaultProcess
    acquirer: AcquirerProcess
    calls: CardCalls
    merchant_id: str
    token: str = ""
    answers: list[Any] = field(default_factory=list)

    async def pay(self, amount: int, **terms: Any) -> Any:
        body = {"merchant_id": self.merchant_id, "card_token": self.token, "amount_kopecks": amount, **terms}
        answered = await self.api.post("/v1/card-payments", body)
        assert answered.status_code == 201, answered.text
        self.answers.append(answered.json())
        return answered.json()

    async def read(self, payment_id: str) -> Any:
        return (await self.api.get(f"/v1/card-payments/{payment_id}")).json()

    async def work(self) -> None:
        """The worker's jobs, over and over."""
        while True:
            await carry_on_card_payments(self.calls)
            await release_withdrawn_cards(self.calls)
            await asyncio.sleep(0.2)

    async def settle(self) -> None:
        """Wait until nobody is unsure of anything, here and in the vault."""
        async with asyncio.timeout(SETTLED_SECONDS_MAX):
            while await self._unsure() or await self._vault_unsure():  # noqa: ASYNC110  # other processes work
                await asyncio.sleep(0.3)

    async def _unsure(self) -> int:
        return await self._count(self.engine, "card_payments") + await self._count(self.engine, "card_refunds")

    async def _vault_unsure(self) -> int:
        return await self._count(self.vault_engine, "charges") + await self._count(self.vault_engine, "charge_refunds")

    @staticmethod
    async def _count(engine: Engine, table: str) -> int:
        async with Session(engine) as session:
            found = await session.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE next_look_at IS NOT NULL")
            return int(found.scalar_one())

    vault_engine: Engine = field(default=None)  # type: ignore[assignment]

    async def books(self) -> int:
        answered = await self.api.get("/v1/ledger/accounts/asset:card_settlement:10000000001")
        return int(answered.json()["balance"]) if answered.status_code == 200 else 0


@asynccontextmanager
async def card_installation(
    database: Database, vault_database: VaultDatabase, engine: Engine, vault_engine: Engine, folder: Path
) -> AsyncIterator[CardInstallation]:
    """Start all of it and keep one card."""
    with listening_socket("127.0.0.1", 0) as messages, listening_socket("127.0.0.1", 0) as control:
        acquirer = AcquirerProcess(messages, control, folder / "acquirer.jsonl")
        acquirer.start()
        try:
            with vault_process(vault_database.vault_url, folder, KOPEYKA_VAULT_ACQUIRER_URL=acquirer.url) as vault:
                vault.until_alive()
                async with _api(database, engine, vault) as (client, calls):
                    merchant_id = await merchant_of(client, "Кофейня")
                    opened = CardInstallation(client, engine, vault, acquirer, calls, merchant_id)
                    opened.vault_engine = vault_engine
                    opened.token = await keep_card(client, merchant_id)
                    async with _running(opened.work):
                        yield opened
        finally:
            acquirer.kill()


@asynccontextmanager
async def _api(database: Database, engine: Engine, vault: VaultProcess) -> AsyncIterator[tuple[Client, CardCalls]]:
    app = create_app(vault.settings(database).model_copy(update={"log_level": "critical"}))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://k.test", timeout=120) as http,
    ):
        yield Client(http, app, await key_of(engine, None)), app.state.door.wiring.cards


@asynccontextmanager
async def _running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        assert not task.done(), "the worker's jobs ended"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep_card(client: Client, merchant_id: str) -> str:
    keys = (await client.get("/v1/card-keys")).json()
    body = {"merchant_id": merchant_id, "sealed_card": seal(keys, machine_now(), merchant_id=merchant_id)}
    kept = await client.post("/v1/cards", body)
    assert kept.status_code == 201, kept.text
    return str(kept.json()["token"])
