"""One entry a call on some connections: a process of ``bench ledger``. The URL comes on standard input."""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop

from api.serve import GARBAGE_THRESHOLDS
from bench.ledger import Source
from ledger import journal
from ledger.clock import monotonic
from ledger.direct import Line


async def measure(url: str, connections: int, seconds: int) -> float:
    """Entries a second over all connections."""
    source = Source()
    booked = 0

    async def call(line: Line) -> None:
        nonlocal booked
        while monotonic() < end:
            await journal.book_at_once(line, [source.next()], now=source.now)
            booked += 1

    lines = [await Line.open(url) for _ in range(connections)]
    start = monotonic()
    end = start + seconds
    await asyncio.gather(*(call(line) for line in lines))
    rate = booked / (monotonic() - start)
    for line in lines:
        await line.close()
    return rate


if __name__ == "__main__":
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.stdout.write(str(uvloop.run(measure(sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])))))
