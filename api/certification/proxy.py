"""A line with faults between a till and us: requests and answers get lost, come twice, wait, or carry an old code.

Everything that passes is written down: what a till repeats, and under which id, is what it is judged by.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web

FORWARDED = ("authorization", "content-type", "token", "x-request-id")
TOLD_BACK = ("content-type", "x-server-time", "x-contract-compat", "idempotent-replayed", "retry-after")
BODY_BYTES_MAX = 1_000_000
UPSTREAM_SECONDS_MAX = 30.0
HOLD_SECONDS_MAX = 30.0


class Fault(StrEnum):
    """What happens to a call on its way."""

    LOSE_REQUEST = "lose_request"
    """We never hear it."""
    LOSE_ANSWER = "lose_answer"
    """We carry it out, and the till never hears of it."""
    DUPLICATE = "duplicate"
    """We hear it twice."""
    WRONG_CODE = "wrong_code"
    """Its one-time code is of another time."""
    HOLD = "hold"
    """It waits until it is let go."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it came from the till, and what became of it."""

    call: str
    body: Any
    token: str
    fault: Fault | None
    status: int | None
    """What the till was answered; nothing when its line was cut."""
    answer: Any


@dataclass(slots=True)
class Trouble:
    """A fault that waits for its calls."""

    call: str
    fault: Fault
    times: int


@dataclass(slots=True)
class FaultProxy:
    """The line of one till."""

    upstream: str
    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    is_let_go: asyncio.Event = field(default_factory=asyncio.Event)
    has_held: asyncio.Event = field(default_factory=asyncio.Event)
    http: aiohttp.ClientSession | None = None

    def order(self, call: str, fault: Fault, times: int = 1) -> None:
        """Let the next calls of this name meet a fault."""
        self.is_let_go.clear()
        self.has_held.clear()
        self.troubles.append(Trouble(call, fault, times))

    def heal(self) -> None:
        """No more faults; what is held goes on."""
        self.troubles.clear()
        self.is_let_go.set()

    def calls(self, name: str, order_id: str) -> list[Exchange]:
        """What the till said by this call about one order of its own."""
        return [each for each in self.exchanges if each.call == name and order_id in json.dumps(each.body)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Carry one call, with the fault that waits for it."""
        raw, name = await request.read(), call_in(request.path)
        fault = self._next_fault(name)
        token = request.headers.get("token", "")
        if fault is Fault.HOLD:
            self.has_held.set()
            async with asyncio.timeout(HOLD_SECONDS_MAX):
                await self.is_let_go.wait()
        if fault is Fault.LOSE_REQUEST:
            self._note(name, raw, token, fault, None, b"")
            return cut(request)
        if fault is Fault.WRONG_CODE:
            token = token[:-6] + f"{(int(token[-6:] or 0) + 1) % 1_000_000:06d}"
        status, headers, answer = await self._forward(request, raw, token)
        if fault is Fault.DUPLICATE:
            status, headers, answer = await self._forward(request, raw, token)
        is_lost = fault is Fault.LOSE_ANSWER
        self._note(name, raw, token, fault, None if is_lost else status, answer)
        return cut(request) if is_lost else web.Response(body=answer, status=status, headers=headers)

    def _next_fault(self, name: str) -> Fault | None:
        for trouble in self.troubles:
            if trouble.call == name:
                trouble.times -= 1
                if trouble.times == 0:
                    self.troubles.remove(trouble)
                return trouble.fault
        return None

    async def _forward(self, request: web.Request, raw: bytes, token: str) -> tuple[int, dict[str, str], bytes]:
        assert self.http is not None
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers} | {"token": token}
        async with self.http.post(self.upstream + request.path, data=raw, headers=headers) as answer:
            told = {name: answer.headers[name] for name in TOLD_BACK if name in answer.headers}
            return answer.status, told, await answer.read()

    def _note(self, name: str, raw: bytes, token: str, fault: Fault | None, status: int | None, answer: bytes) -> None:
        self.exchanges.append(Exchange(name, read(raw), token[:8], fault, status, read(answer)))


def read(raw: bytes) -> Any:
    """What a body says; nothing if it is no JSON."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


def call_in(path: str) -> str:
    """The name of a call of the contract: the part before ``task``."""
    return path.removesuffix("/task").rpartition("/")[2]


def cut(request: web.Request) -> web.Response:
    """Hang up without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def open_proxy(upstream: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[FaultProxy]:
    """A line to ``upstream`` while the block runs."""
    proxy = FaultProxy(upstream)
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_route("POST", "/{path:.*}", proxy.handle)
    timeout = aiohttp.ClientTimeout(total=UPSTREAM_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout) as proxy.http, serving(app, host, port) as proxy.url:
        try:
            yield proxy
        finally:
            proxy.heal()


@asynccontextmanager
async def serving(app: web.Application, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """An application on a port while the block runs; gives its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
