"""The simulators on a real port, and the way to T-Kassa there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.serve import listening_socket
from api.simulators import create_simulators
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.simulator.tkassa import TERMINAL
from sbp_gateway.tkassa_http import TkassaHttp, read_answer


@dataclass
class TkassaWorld:
    """T-Kassa's simulator, our adapter to it, and its other side."""

    url: str
    http: httpx.AsyncClient
    adapter: TkassaHttp

    async def pays(self, payload: str, **how: Any) -> httpx.Response:
        """The payer scans what a QR says."""
        qrc_id = payload.removeprefix("https://qr.nspk.ru/")[:32]
        return await self.http.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})

    async def faults(self, **rates: float) -> None:
        assert (await self.http.put("/simulator/faults", json=rates)).status_code == 200


@asynccontextmanager
async def tkassa_world(state: Path | None = None) -> AsyncIterator[TkassaWorld]:
    """The simulators while the block runs."""
    with listening_socket("127.0.0.1", 0) as listener:
        config = uvicorn.Config(create_simulators(state=state), ws="none", log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        adapter = TkassaHttp(NspkTransport(url, read=read_answer), TERMINAL)
        try:
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                assert (await http.get("/simulator/summary")).status_code == 200
                yield TkassaWorld(url, http, adapter)
        finally:
            await adapter.close()
            server.should_exit = True
            await serving
