"""The sandbox's gateway of messages on a real port, and the phones behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from api.messages_gateway import MessagesGateway
from api.serve import listening_socket
from api.simulators import create_simulators


@dataclass
class MessageWorld:
    """The gateway, our way to it, and what is on phones."""

    http: httpx.AsyncClient
    gateway: MessagesGateway

    async def read(self, phone: str) -> list[dict[str, Any]]:
        """What a phone has, the newest last."""
        found: list[dict[str, Any]] = (await self.http.get(f"/simulator/messages/{phone}")).json()["messages"]
        return found

    async def faults(self, **rates: float) -> None:
        """Order faults."""
        assert (await self.http.put("/simulator/faults", json=rates)).status_code == 200


@asynccontextmanager
async def message_world() -> AsyncIterator[MessageWorld]:
    """The simulators while the block runs."""
    with listening_socket("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(create_simulators(), ws="none", log_config=None, lifespan="on"))
        serving = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        gateway = MessagesGateway(url)
        try:
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                assert (await http.get("/simulator/summary")).status_code == 200
                yield MessageWorld(http, gateway)
        finally:
            await gateway.close()
            server.should_exit = True
            await serving
