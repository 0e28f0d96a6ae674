"""The simulators' own application with an agent that only listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from api.simulators import create_simulators


@dataclass
class World:
    """The simulators over HTTP, and the notifications they sent."""

    http: httpx.AsyncClient
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def register(self, amount: Any = "1000", **more: Any) -> httpx.Response:
        body = {"memberId": "100000000999", "qrcType": "02", "amount": amount, "currency": "RUB", "qrTtl": "15"}
        return await self.http.post("/payment/v1/qrc-data", json=body | more)

    async def link(self, **more: Any) -> str:
        return str((await self.register(**more)).json()["data"]["qrcId"])

    async def pay(self, qrc_id: str, **how: Any) -> httpx.Response:
        return await self.http.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})

    async def status(self, qrc_id: str) -> str:
        answer = await self.http.put("/payment/v2/qrc-status", json={"qrcIds": [qrc_id]})
        return str(answer.json()["data"][0]["status"])

    async def script(self, qrc_id: str, **script: Any) -> httpx.Response:
        return await self.http.put(f"/simulator/operations/{qrc_id}/script", json=script)

    async def order(self, count: int = 1, **script: Any) -> httpx.Response:
        return await self.http.post("/simulator/scripts", json={"script": script, "count": count})

    async def hears(self, count: int, seconds_max: float = 60.0) -> list[dict[str, Any]]:
        """What the agent heard, once it is so much."""
        for _ in range(int(seconds_max / 0.05)):
            if len(self.heard) >= count:
                break
            await asyncio.sleep(0.05)
        return self.heard


@asynccontextmanager
async def simulated_world(state: Path | None = None) -> AsyncIterator[World]:
    """The simulators while the block runs."""
    heard: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.json_response({"code": "RQ00000"})

    agent = web.Application()
    for path in ("v2/qrc", "v1/refund", "v1/b2c-refund"):
        agent.router.add_post(f"/nspk/payment/{path}/notification", hear)
    runner = web.AppRunner(agent)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    app = create_simulators(agent_url=f"http://127.0.0.1:{port}", state=state)
    transport = httpx.ASGITransport(app)
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://simulators.test") as http,
        ):
            yield World(http, heard)
    finally:
        await runner.cleanup()
