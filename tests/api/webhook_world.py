"""A receiver of webhooks as a merchant would run one, and the worker's jobs done by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from api.public_addresses import public_client
from api.settings import Mode, Settings
from api.webhooks.sending import choose_webhooks, send_due
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.outbox import Event
from tests.api.conftest import Client


@dataclass
class Received:
    """One call as it came."""

    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """The event, if Standard Webhooks' own verifier takes it."""
        return Webhook(secret).verify(self.body, self.headers)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """A network server that takes events, and answers as it is told to."""

    url: str = ""
    status: int = 204
    answer: str = ""
    statuses: list[int] = field(default_factory=list)
    """What to answer to the next calls, before ``status``."""
    received: list[Received] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.received.append(Received(dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else self.status
        return web.Response(status=status, text=self.answer, headers={"location": "http://127.0.0.1:9/"})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{name:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class WebhookWorld:
    """An application, its worker's jobs, and a clock that a test moves."""

    client: Client
    engine: Engine
    settings: Settings
    sender: aiohttp.ClientSession
    clock: Clock = field(default_factory=Clock)

    async def add(self, url: str, *event_types: str, **more: Any) -> dict[str, Any]:
        body = {"url": url, "event_types": list(event_types or ("*",)), **more}
        answer = await self.client.post("/v1/webhooks", body)
        assert answer.status_code == 201, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def secrets(self, webhook: dict[str, Any]) -> list[str]:
        answer = await self.client.get(f"/v1/webhooks/{webhook['id']}/secrets")
        return [each["secret"] for each in answer.json()]

    async def happen(self, type_: str = "order.paid", *, merchant_id: str | None = None, object_id: str = "") -> str:
        event_id = new_id("evt", self.clock.now())
        event = Event(type_, object_id or new_id("ord", self.clock.now()), merchant_id, {"order_id": "ord_1"})
        async with transaction(self.engine) as session:
            await outbox.publish_all(session, [event], now=self.clock.now(), ids=[event_id])
        return event_id

    async def work(self) -> int:
        """One round of each job; how many calls were made."""
        await choose_webhooks(self.engine, self.clock)
        calls = [
            await send_due(self.engine, self.sender, self.settings, self.clock, are_failing=are_failing)
            for are_failing in (False, True)
        ]
        return sum(calls)

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.clock.offset += timedelta(**by)
        self.client.app.state.door.clock.offset = self.clock.offset

    async def delivery(self, webhook: dict[str, Any], event_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/webhooks/{webhook['id']}/deliveries/{event_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def read(self, webhook: dict[str, Any]) -> dict[str, Any]:
        return (await self.client.get(f"/v1/webhooks/{webhook['id']}")).json()  # type: ignore[no-any-return]


@asynccontextmanager
async def webhook_world(client: Client, engine: Engine, app_url: str) -> AsyncIterator[WebhookWorld]:
    settings = Settings(database_url=SecretStr(app_url))
    async with public_client(Mode.SANDBOX) as sender:
        yield WebhookWorld(client, engine, settings, sender)
