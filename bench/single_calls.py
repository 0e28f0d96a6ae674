"""One entry a call on some connections: a process of ``bench ledger``. The URL comes on standard input."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import uvloop
from psycopg import AsyncConnection

from api.serve import GARBAGE_THRESHOLDS
from bench.ledger import Source
from ledger import journal
from ledger.clock import monotonic


async def measure(url: str, connections: int, seconds: int) -> float:
    """Entries a second over all connections."""
    source = Source()
    booked = 0

    async def call(connection: AsyncConnection[Any]) -> None:
        nonlocal booked
        turn = asyncio.Lock()
        while monotonic() < end:
            await journal.book_at_once(connection, [source.next()], now=source.now, turn=turn)
            booked += 1

    opened = [await AsyncConnection.connect(url, autocommit=True) for _ in range(connections)]
    start = monotonic()
    end = start + seconds
    await asyncio.gather(*(call(connection) for connection in opened))
    rate = booked / (monotonic() - start)
    for connection in opened:
        await connection.close()
    return rate


if __name__ == "__main__":
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.stdout.write(str(uvloop.run(measure(sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])))))
