"""The demo's connection against servers that behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.demo.wire import Connection, ConnectionLost

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Reply = Callable[[int, bytes], bytes]
"""From the number of the request on this server and its head to what is sent back; then an empty answer hangs up."""


@asynccontextmanager
async def server(reply: Reply) -> AsyncIterator[str]:
    asked = 0
    serving: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked += 1
                sent = reply(asked, head)
                writer.write(sent)
                await writer.drain()
                if not sent.endswith(b"{}"):
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(task for task in serving if task is not None))


async def test_requests_share_a_connection() -> None:
    heads: list[bytes] = []

    def reply(_number: int, head: bytes) -> bytes:
        heads.append(head)
        return OK

    async with server(reply) as url:
        connection = Connection(url, {"authorization": "Bearer x"})
        answers = [await connection.ask("GET", "/a"), await connection.ask("GET", "/b")]
        connection.hang_up()

    assert [answer.json() for answer in answers] == [{}, {}]
    assert [head.split(b" ")[1] for head in heads] == [b"/a", b"/b"]
    assert b"authorization: Bearer x\r\n" in heads[0]


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n"],
    ids=["nothing", "half a head", "half a body", "no http"],
)
async def test_what_is_not_a_whole_answer_is_a_loss_and_the_next_request_works(sent: bytes) -> None:
    async with server(lambda number, _head: sent if number == 1 else OK) as url:
        connection = Connection(url)
        with pytest.raises(ConnectionLost):
            await connection.ask("GET", "/")
        again = await connection.ask("GET", "/")
        connection.hang_up()

    assert again.status == 200


async def test_nobody_listening_is_a_loss() -> None:
    async with server(lambda _number, _head: OK) as url:
        pass

    with pytest.raises(ConnectionLost):
        await Connection(url).ask("GET", "/")
