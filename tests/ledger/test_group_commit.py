from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from ledger.database import Engine, transaction
from ledger.entry import Booked, Refused
from ledger.errors import EntryRejected, LedgerBusy
from ledger.group_commit import GroupCommit, entries_together, submit_entries
from ledger.proofs import broken_proofs
from tests.conftest import Database
from tests.ledger.books import CASH, FEES, PAYABLE, entry


async def test_callers_share_transactions_and_get_their_own_answers(
    books: Engine, database: Database, now: datetime
) -> None:
    async with entries_together(database.app_url, now=lambda: now) as queue:
        verdicts = await asyncio.gather(
            *(submit_entries(queue, [entry(f"e{n}", CASH, PAYABLE, n + 1, now)]) for n in range(300))
        )

    assert [verdict.postings[0].posting.amount for (verdict,) in verdicts if isinstance(verdict, Booked)] == [
        *range(1, 301)
    ]
    assert queue.meter.jobs == 300
    assert queue.meter.batches < 100
    async with transaction(books) as session:
        assert await broken_proofs(session) == []


async def test_both_writers_share_one_line(books: Engine, database: Database, now: datetime) -> None:
    async with entries_together(database.app_url, now=lambda: now) as queue:
        await asyncio.gather(*(submit_entries(queue, [entry(f"e{n}", CASH, FEES, 1, now)]) for n in range(300)))
        with psycopg.connect(database.superuser_url) as superuser:
            lines = superuser.execute(
                """SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE '%book_entr%' AND pid <> pg_backend_pid()"""
            ).fetchone()

    assert lines == (1,)


async def test_callers_that_ask_again_at_once_go_in_equal_batches(database: Database) -> None:
    sizes: list[int] = []

    async def carry_out(connection: AsyncConnection[Any], jobs: Sequence[int]) -> list[int]:
        sizes.append(len(jobs))
        await connection.execute("SELECT pg_sleep(0.002)")
        return list(jobs)

    async with GroupCommit(database.app_url, carry_out, writers=2) as queue:

        async def call() -> None:
            for n in range(50):
                assert await queue.submit(n) == n

        await asyncio.gather(*(call() for _ in range(8)))

    assert sum(sizes) == 400
    assert set(sizes[:50]) == {4}  # the last callers left are fewer


async def test_a_refused_or_malformed_entry_hurts_only_its_caller(
    books: Engine, database: Database, now: datetime
) -> None:
    async with entries_together(database.app_url, now=lambda: now) as queue:
        good, refused, malformed = await asyncio.gather(
            submit_entries(queue, [entry("good", CASH, FEES, 5, now)]),
            submit_entries(queue, [entry("poor", PAYABLE, FEES, 5, now)]),
            submit_entries(queue, [entry("bad", CASH, CASH, 5, now)]),
            return_exceptions=True,
        )

    assert isinstance(good, list)
    assert isinstance(good[0], Booked)
    assert isinstance(refused, list)
    assert isinstance(refused[0], Refused)
    assert isinstance(malformed, EntryRejected)


async def test_a_caller_that_goes_away_does_not_disturb_the_others(
    books: Engine, database: Database, now: datetime
) -> None:
    async with entries_together(database.app_url, now=lambda: now) as queue:
        gone = asyncio.create_task(submit_entries(queue, [entry("gone", CASH, FEES, 1, now)]))
        stays = asyncio.create_task(submit_entries(queue, [entry("stays", CASH, FEES, 2, now)]))
        await asyncio.sleep(0)
        gone.cancel()

        (verdict,) = await stays

    assert isinstance(verdict, Booked)


async def test_a_full_queue_says_come_back(database: Database) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_connection: AsyncConnection[Any], jobs: Sequence[int]) -> list[int]:
        started.set()
        await release.wait()
        return list(jobs)

    async with GroupCommit(database.app_url, slow, queue_max=2, writers=1) as queue:
        first = asyncio.create_task(queue.submit(0))
        await started.wait()
        waiting = [asyncio.create_task(queue.submit(n)) for n in (1, 2)]
        await asyncio.sleep(0)

        with pytest.raises(LedgerBusy):
            await queue.submit(3)

        release.set()
        assert await asyncio.gather(first, *waiting) == [0, 1, 2]


async def test_a_writer_outlives_whatever_its_batch_raises(database: Database) -> None:
    async def stumble(_connection: AsyncConnection[Any], jobs: Sequence[int]) -> list[int]:
        assert 0 not in jobs, "our own bug"
        return list(jobs)

    async with GroupCommit(database.app_url, stumble, writers=1) as queue:
        with pytest.raises(AssertionError, match="our own bug"):
            await queue.submit(0)

        assert await asyncio.wait_for(queue.submit(1), 60) == 1


async def test_a_lost_connection_fails_its_batch_and_the_next_one_reconnects(
    books: Engine, database: Database, now: datetime
) -> None:
    async with entries_together(database.app_url, now=lambda: now, writers=1) as queue:
        await submit_entries(queue, [entry("before", CASH, FEES, 1, now)])
        with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
            superuser.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
            )
        with pytest.raises(psycopg.OperationalError):
            await submit_entries(queue, [entry("during", CASH, FEES, 1, now)])

        (after,) = await submit_entries(queue, [entry("during", CASH, FEES, 1, now)])

    assert isinstance(after, Booked)


async def test_what_is_queued_when_we_stop_is_still_committed(books: Engine, database: Database, now: datetime) -> None:
    async with entries_together(database.app_url, now=lambda: now) as queue:
        tasks = [asyncio.create_task(submit_entries(queue, [entry(f"e{n}", CASH, FEES, 1, now)])) for n in range(50)]
        await asyncio.sleep(0)

    assert all([isinstance((await task)[0], Booked) for task in tasks])
