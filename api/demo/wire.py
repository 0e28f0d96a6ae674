"""One kept-alive HTTP/1.1 connection, just what the demo's clients need.

A tenth of a general client's work per request: the demo shares its machine with what it drives.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANSWER_SECONDS_MAX = 30.0
HEAD_BYTES_MAX = 64 * 1024
USER_AGENT = "kopeyka-demo"


class ConnectionLost(Exception):  # not an error of ours: networks do that
    """There is no whole answer; the request may or may not have been carried out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def is_replayed(self) -> bool:
        """Whether the door says that it repeats an earlier answer."""
        return self.headers.get("idempotent-replayed") == "true"


@dataclass(slots=True)
class Connection:
    """A connection to one server, opened when needed and again after a loss."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request and read its answer.

        Raises: ConnectionLost.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                reader = await self._send(method, path, body, headers or {})
                return await self._read(reader)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            self.hang_up()
            raise ConnectionLost(f"{method} {path}: {error!r}") from error
        except BaseException:
            self.hang_up()  # what is still to come would be taken for the next answer
            raise

    async def tell(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> None:
        """Send a request and hang up without an answer.

        Raises: ConnectionLost.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._send(method, path, body, headers)
        except OSError as error:
            raise ConnectionLost(f"{method} {path}: {error!r}") from error
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> asyncio.StreamReader:
        if self._streams is not None and self._streams[0].at_eof():
            self.hang_up()
        if self._streams is None:
            host, _, port = self.url.removeprefix("http://").rpartition(":")
            self._streams = await asyncio.open_connection(host.strip("[]"), int(port), limit=HEAD_BYTES_MAX)
        reader, writer = self._streams
        raw = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        lines = {"host": self.url.removeprefix("http://"), "user-agent": USER_AGENT, **self.headers, **headers}
        if raw or method == "POST":
            lines |= {"content-type": "application/json", "content-length": str(len(raw))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + raw)
        await writer.drain()
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.hang_up()
        return Answer(int(first.split(" ", 2)[1]), headers, body)
