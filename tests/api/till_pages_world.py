"""The sandbox's till over sockets: our door, NSPK's simulator in a process of its own, and the worker's jobs."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.card_calls import CardCalls
from api.deliveries import events_client
from api.plan_calls import PlanCalls
from api.public_addresses import public_client
from api.sandbox import take_in_banks, take_in_operator
from api.settings import Settings
from api.wiring import wire
from api.worker import JOBS, Tools
from ledger.clock import Clock
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import VAULT, PlanShop, plan_shop
from tests.api.test_device_tokens import NearDeviceVault
from tests.vault_calls import service_client
from tokenization.settings import VaultSettings

OF_SALES = {job.name: job for job in JOBS if job.name in {"poll_links", "resume_lost_links", "carry_on_refunds"}}


@dataclass
class TillPages:
    """A browser's view of the sandbox."""

    app: Any
    http: httpx.AsyncClient

    async def open(self) -> str:
        """A till of one's own: its path."""
        answered = await self.http.post("/till", headers={"content-type": "application/x-www-form-urlencoded"})
        assert answered.status_code == 303, answered.text
        return answered.headers["location"].partition("?")[0]

    async def act(self, path: str, deed: str, **form: str) -> str:
        """A touch of a page: the panel that comes back."""
        headers = {"hx-request": "true"}
        answered = await self.http.post(f"{path}/{deed}", data=form or {"of": "nothing"}, headers=headers)
        assert answered.status_code == 200, answered.text
        return answered.text


@dataclass
class TillWorld(TillPages):
    """With NSPK behind it, and the hands of its worker."""

    tools: Tools
    nspk_url: str

    async def work(self) -> None:
        """What the worker does of a sale, once."""
        for job in OF_SALES.values():
            await job.run(self.tools)


@dataclass
class VaultTill(TillPages):
    """With a vault, an acquirer and a gateway of messages behind it."""

    shop: PlanShop
    vault: NearDeviceVault


@asynccontextmanager
async def vault_till(
    client: Client, engine: Engine, vault_engine: Engine, *, home: str = "https://kopeyka.test", safe: str = VAULT
) -> AsyncIterator[VaultTill]:
    """Open it: browsers have our pages from ``home``, and the vault's form from ``safe``."""
    async with plan_shop(client, engine, vault_engine) as shop:
        door = client.app.state.door
        desk = shop.charges.desk
        vault = replace(desk.vault, acquirer=desk.link, settings=VaultSettings(public_url=safe))
        shop.charges.desk = replace(desk, vault=vault)
        near = NearDeviceVault(service_client(vault))
        cards = CardCalls(engine, near, Clock())
        plans = PlanCalls(engine, cards, door.clock)
        door.wiring = replace(door.wiring, cards=cards, vault=near, plans=plans)
        told = {"public_url": home, "messages_url": str(shop.messages.http.base_url)}
        door.settings = door.settings.model_copy(update=told)
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url=home, timeout=30) as http:
            yield VaultTill(client.app, http, shop, near)
        await near.close()


@asynccontextmanager
async def till_world(database: Any, engine: Engine, **settings: Any) -> AsyncIterator[TillWorld]:
    """Open it."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {**os.environ, "KOPEYKA_LISTEN_FD": str(listener.fileno())}
        process = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "api.simulators"], env=environment, pass_fds=(listener.fileno(),)
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        told = Settings(
            database_url=SecretStr(database.app_url), nspk_url=url, bank_url=url, log_level="error", **settings
        )
        await take_in_banks(database.app_url)
        await take_in_operator(database.app_url)
        app = create_app(told)
        await stack.enter_async_context(app.router.lifespan_context(app))
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kopeyka.test", timeout=30)
        )
        clock = Clock()
        tools = Tools(told, engine, clock, wire(told, engine, clock), events_client(), public_client(told.mode))
        for client in (tools.events, tools.webhooks, tools.wiring):
            stack.push_async_callback(client.close)
        yield TillWorld(app, http, tools, url)
