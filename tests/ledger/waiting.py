"""Waiting until one transaction waits for another."""

from __future__ import annotations

import asyncio

from ledger.database import Engine, text, transaction

TRIES_MAX = 6_000


async def is_waiting_for_a_lock(engine: Engine) -> None:
    """Come back when a transaction on this database waits for a lock that another one has."""
    for _ in range(TRIES_MAX):
        async with transaction(engine) as session:
            waits = await session.scalar(
                text("""SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
                         WHERE NOT l.granted AND a.datname = current_database()
                           AND a.backend_type = 'client backend'""")
            )
        if waits:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nobody waits")
