"""The real processes of one installation: api, worker and simulators, each on its own, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, transaction
from tests.processes import Process, start

READY_SECONDS_MAX = 120.0
keys = itertools.count(1)
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
REFUSED_ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000999"))


@dataclass
class Installation:
    """Processes by name, their addresses, and a caller that may do everything."""

    api: httpx.AsyncClient
    world: httpx.AsyncClient
    commands: dict[str, tuple[list[str], dict[str, str], tuple[int, ...]]]
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str) -> None:
        command, environment, descriptors = self.commands[name]
        self.processes[name] = start(*command, environment=environment, pass_fds=descriptors)

    def stop(self, name: str, number: int = signal.SIGTERM, seconds_max: float = 12.0) -> float:
        """Signal a process and say how long it took to end."""
        started = time.monotonic()
        self.processes[name].send_signal(number)
        self.processes[name].wait(seconds_max)
        return time.monotonic() - started

    async def post(self, path: str, body: Any, *, key: str | None = None) -> httpx.Response:
        headers = {"idempotency-key": key or f"scenario-key-{next(keys):010}"}
        return await self.api.post(path, json=body, headers=headers)

    async def made(self, path: str, body: Any) -> Any:
        deadline, key = time.monotonic() + READY_SECONDS_MAX, f"scenario-key-{next(keys):010}"
        while (response := await self.post(path, body, key=key)).status_code == 503:  # busy: what every caller does
            assert response.json()["retryable"], response.text
            assert time.monotonic() < deadline, response.text
            await asyncio.sleep(0.3)
        assert response.status_code in (200, 201), response.text
        return response.json()

    async def get(self, path: str, **query: Any) -> Any:
        response = await self.api.get(path, params=query or None)
        assert response.status_code == 200, response.text
        return response.json()

    async def until(self, path: str, is_so: Callable[[Any], bool], seconds_max: float = 180.0) -> Any:
        """Read a path again and again until what it says is so."""
        deadline = time.monotonic() + seconds_max
        while True:
            found = await self.get(path)
            if is_so(found):
                return found
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)

    async def terminal(self, *, tariff_group: str = "everyday", account: BankAccount = ACCOUNT) -> dict[str, Any]:
        """A merchant with a store and a till."""
        merchant = await self.made(
            "/v1/merchants",
            {
                "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893",
                "bank_account": {"bik": account.bik, "number": account.number}, "tariff_group": tariff_group,
            },
        )  # fmt: skip
        store = await self.made(
            "/v1/stores", {"merchant_id": merchant["id"], "name": "На Тверской", "address": "Москва, Тверская, 1"}
        )
        made: dict[str, Any] = await self.made("/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})
        return made

    async def order(self, terminal: dict[str, Any], number: str, amount_kopecks: int) -> dict[str, Any]:
        made: dict[str, Any] = await self.made(
            "/v1/orders", {"terminal_id": terminal["id"], "number": number, "amount_kopecks": amount_kopecks}
        )
        return made

    async def faults(self, **rates: float) -> None:
        assert (await self.world.put("/simulator/faults", json=rates)).status_code == 200

    async def pays(self, qrc_id: str, **how: Any) -> httpx.Response:
        return await self.world.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})


def listener() -> socket.socket:
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen(128)
    return found


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    found = {"api": listener(), "simulators": listener()}
    yield found
    for each in found.values():
        each.close()


@pytest_asyncio.fixture
async def installation(
    database: Any, engine: Engine, sockets: dict[str, socket.socket], tmp_path: Path
) -> AsyncIterator[Installation]:
    """Everything running on a fresh database."""
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    urls = {name: f"http://127.0.0.1:{found.getsockname()[1]}" for name, found in sockets.items()}
    environment = {
        **os.environ,
        "KOPEYKA_DATABASE_URL": database.app_url,
        "KOPEYKA_PUBLIC_URL": urls["api"],
        "KOPEYKA_NSPK_URL": urls["simulators"],
        "KOPEYKA_BANK_URL": urls["simulators"],
        "KOPEYKA_MESSAGES_URL": urls["simulators"],
        "KOPEYKA_EVENTS_URL": f"{urls['simulators']}/sink/events",
        "KOPEYKA_LOG_LEVEL": "warning",
        "KOPEYKA_SIMULATORS_STATE": str(tmp_path / "simulators.jsonl"),
    }
    commands = {
        name: (
            module,
            environment | ({"KOPEYKA_LISTEN_FD": str(sockets[name].fileno())} if name in sockets else {}),
            (sockets[name].fileno(),) if name in sockets else (),
        )
        for name, module in {
            "simulators": ["api.simulators"],
            "api": ["api.serve", "api.app:create_app"],
            "worker": ["api.worker"],
        }.items()
    }
    headers = {"authorization": f"Bearer {secret.expose()}"}
    async with (
        httpx.AsyncClient(base_url=urls["api"], headers=headers, timeout=60.0) as api,
        httpx.AsyncClient(base_url=urls["simulators"], timeout=60.0) as world,
    ):
        found = Installation(api, world, commands)
        for name in commands:
            found.start(name)
        try:
            await ready(found)
            yield found
        finally:
            for process in found.processes.values():
                process.kill()
                process.wait()


async def ready(found: Installation) -> None:
    """The sockets listen already, so the first answers come when the processes are up."""
    assert (await found.world.get("/simulator/summary", timeout=READY_SECONDS_MAX)).status_code == 200
    assert (await found.api.get("/v1/events", timeout=READY_SECONDS_MAX)).status_code == 200
