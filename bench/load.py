"""A small HTTP/1.1 load: kept-alive connections, one request at a time on each, answers counted by status."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

from ledger.clock import monotonic

Requests = Callable[[], bytes]
"""Gives the next whole request."""


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as an answer is whole."""

    def __init__(self, requests: Requests, until: float, statuses: Counter[int], seconds: list[float]) -> None:
        self.requests, self.until, self.statuses, self.seconds = requests, until, statuses, seconds
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def _ask(self) -> None:
        request = self.requests()
        self.asked_at = monotonic()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length: ") + len(b"content-length: ")
        if len(rest) < int(head[at:].partition(b"\r\n")[0]):
            return
        self.received = b""
        self.statuses[int(head[9:12])] += 1
        answered_at = monotonic()
        self.seconds.append(answered_at - self.asked_at)
        if answered_at < self.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def rate(host: str, port: int, requests: Requests, *, connections: int, seconds: float) -> float:
    """Answers a second.

    Raises: RuntimeError if any answer was not a success: a figure of refusals is worth nothing.
    """
    start = monotonic()
    answers = await latencies(host, port, requests, connections=connections, seconds=seconds)
    return len(answers) / (monotonic() - start)


async def latencies(host: str, port: int, requests: Requests, *, connections: int, seconds: float) -> list[float]:
    """How many seconds each answer took. Raises: RuntimeError if any was not a success."""
    statuses: Counter[int] = Counter()
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    until = monotonic() + seconds
    callers = [
        (await loop.create_connection(lambda: _Caller(requests, until, statuses, taken), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    if any(status >= 300 for status in statuses):
        raise RuntimeError(f"not every answer was a success: {dict(statuses)}")
    return taken


def post(host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A whole POST of JSON."""
    return _with_body("POST", host, path, headers, body)


def put(host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A whole PUT of JSON."""
    return _with_body("PUT", host, path, headers, body)


def _with_body(method: str, host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = {"host": host, "content-type": "application/json", "content-length": str(len(body))} | headers
    return f"{method} {path} HTTP/1.1\r\n{_head(lines)}\r\n".encode() + body


def get(host: str, path: str, headers: dict[str, str]) -> bytes:
    """A whole GET."""
    return f"GET {path} HTTP/1.1\r\n{_head({'host': host} | headers)}\r\n".encode()


def _head(lines: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items())
