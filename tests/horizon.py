"""Readers of events and leaves see what was committed before the oldest transaction still running on the server."""

from __future__ import annotations

import asyncio

from ledger.database import Engine, text, transaction

TRIES_MAX = 6_000


async def pass_horizon(engine: Engine) -> None:
    """Come back when every transaction of now is over, of whatever database: the server looks at its tables, too."""
    async with transaction(engine) as session:
        last = await session.scalar(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))
    for _ in range(TRIES_MAX):
        async with transaction(engine) as session:
            if await session.scalar(
                text("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= CAST(:last AS xid8)"), {"last": last}
            ):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("a transaction has been running for a minute")
