"""The whole SBP rail for one test process: the door and the worker's jobs here, NSPK and banks as their simulator."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.deliveries import events_client
from api.public_addresses import public_client
from api.settings import Mode, Settings
from api.wiring import wire
from api.worker import JOBS, Tools
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import Clock
from ledger.database import Engine, Session, create_engine, in_transaction, text, transaction
from tests.processes import start

T = TypeVar("T")
keys = itertools.count(1)
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
SKIPPED_JOBS = {"follow_clock", "deliver_events", "notify_shops", "clear_idempotency_keys"}
"""Jobs that move no money."""
MONEY_JOBS = {job.name: job for job in JOBS if job.name not in SKIPPED_JOBS}
TOTALS = ("paid_kopecks", "refunds_kopecks", "payouts_kopecks", "buyer_payouts_kopecks")


@dataclass
class RailWorld:
    """What a machine acts upon. Everything is asked through ``run``."""

    runner: asyncio.Runner
    engine: Engine
    simulators: httpx.Client
    door: httpx.AsyncClient
    tools: Tools
    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def read(self, work: Callable[[Session], Awaitable[T]]) -> T:
        return self.run(in_transaction(self.engine, work))

    def post(self, path: str, body: Any = None) -> httpx.Response:
        headers = {"idempotency-key": f"machine-key-{next(keys):010}"}
        return self.run(self.door.post(path, json=body, headers=headers))

    def made(self, path: str, body: Any = None) -> Any:
        answer = self.post(path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.run(self.door.get(path))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, name: str) -> int:
        return self.run(MONEY_JOBS[name].run(self.tools))

    def advance(self, seconds: int) -> None:
        """Time passes for us and for NSPK alike."""
        self.made("/v1/clock/advance", {"seconds": seconds})
        self.tools.clock.offset += timedelta(seconds=seconds)
        self.order("POST", "/simulator/clock/advance", {"seconds": seconds})

    def order(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Order something of the simulator."""
        return self.simulators.request(method, path, json=body)

    @contextmanager
    def losing(self, fault: str | None) -> Iterator[None]:
        """Every call loses its request or its answer while the block runs."""
        if fault is None:
            yield
            return
        self.order("PUT", "/simulator/faults", {fault: 1.0})
        try:
            yield
        finally:
            self.order("PUT", "/simulator/faults", {fault: 0.0})

    def statuses(self, qrc_ids: list[str]) -> dict[str, Any]:
        """NSPK's own word on links."""
        if not qrc_ids:
            return {}
        answer = self.order("PUT", "/payment/v2/qrc-status", {"qrcIds": qrc_ids}).json()
        return {said["qrcId"]: said for said in answer["data"]}

    def totals(self) -> dict[str, int]:
        """What NSPK and the banks moved in all."""
        summary = self.order("GET", "/simulator/summary").json()
        return {name: int(summary[name]) for name in TOTALS}

    def balances(self) -> dict[str, int]:
        """Every balance in the books, by the account's own side."""

        async def work(session: Session) -> dict[str, int]:
            rows = await session.execute(text("SELECT code, normal_side, debits_posted, credits_posted FROM accounts"))
            return {
                row.code: (row.debits_posted - row.credits_posted) * (1 if row.normal_side == "debit" else -1)
                for row in rows
            }

        return self.read(work)


@contextmanager
def rail_world(database: Any) -> Iterator[RailWorld]:
    """The rail while the block runs."""
    with socket.socket() as listener, asyncio.Runner() as runner:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {**os.environ, "KOPEYKA_LISTEN_FD": str(listener.fileno())}
        process = start("api.simulators", environment=environment, pass_fds=[listener.fileno()])
        try:
            with httpx.Client(base_url=url, timeout=60.0) as simulators:
                world = runner.run(_open(runner, database, url, simulators))
                try:
                    yield world
                finally:
                    runner.run(world.stack.aclose())
        finally:
            process.kill()
            process.wait()


async def _open(runner: asyncio.Runner, database: Any, url: str, simulators: httpx.Client) -> RailWorld:
    settings = Settings(
        database_url=SecretStr(database.app_url), nspk_url=url, bank_url=url, log_level="critical", mode=Mode.SANDBOX
    )
    stack, app, engine, clock = AsyncExitStack(), create_app(settings), create_engine(database.app_url, size=4), Clock()
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="machine", scopes=["admin"], mode="test", now=datetime.now(UTC))
    await stack.enter_async_context(app.router.lifespan_context(app))
    door = await stack.enter_async_context(
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://kopeyka.test",
            headers={"authorization": f"Bearer {secret.expose()}"},
        )
    )  # fmt: skip
    tools = Tools(settings, engine, clock, wire(settings, engine, clock), events_client(), public_client(settings.mode))
    stack.push_async_callback(engine.dispose)
    for client in (tools.events, tools.webhooks, tools.wiring):
        stack.push_async_callback(client.close)
    return RailWorld(runner, engine, simulators, door, tools, stack, clock)
