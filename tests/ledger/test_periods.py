from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta

import pytest

from ledger import holds, journal, periods
from ledger.clock import moscow_day
from ledger.database import Engine, transaction
from ledger.errors import EntryRejected
from tests.ledger.books import CASH, PAYABLE, entry


async def close(engine: Engine, now: datetime, days_ago: int = 1) -> periods.PeriodClose:
    async with transaction(engine) as session:
        return await periods.close_period(
            session, through_on=moscow_day(now) - timedelta(days=days_ago), closed_by="accountant", now=now
        )


async def test_a_close_keeps_the_balances_and_a_proof_anyone_can_repeat(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await journal.post(session, entry("old", CASH, PAYABLE, 5, now, happened_at=now - timedelta(days=2)), now=now)
        await journal.post(session, entry("new", CASH, PAYABLE, 9, now), now=now)

    closed = await close(books, now)

    assert (closed.accounts, closed.postings) == (2, 1)
    assert closed.proof == hashlib.sha256(f"{CASH} 5 0\n{PAYABLE} 0 5".encode()).hexdigest()
    async with transaction(books) as session:
        assert await periods.list_closes(session) == [closed]


async def test_nothing_is_dated_on_or_before_the_last_closed_day(books: Engine, now: datetime) -> None:
    midnight = now.replace(hour=21, minute=0) - timedelta(days=1)  # the Moscow day of ``now`` begins
    async with transaction(books) as session:
        await journal.post(session, entry("fund", CASH, PAYABLE, 9, now), now=now)
        hold = await holds.place(
            session, holds.HoldRequest("h", "payout", PAYABLE, CASH, 5, midnight - timedelta(seconds=1)), now=now
        )
    await close(books, now)

    async with transaction(books) as session:
        late, single = await journal.post_batch(
            session,
            [
                entry("too-old", CASH, PAYABLE, 5, now, happened_at=midnight - timedelta(microseconds=1)),
                entry("just", CASH, PAYABLE, 5, now, happened_at=midnight),
            ],
            now=now,
        )
    assert getattr(late, "code", None) == "ledger.period_closed"
    assert getattr(single, "code", None) is None
    with pytest.raises(EntryRejected) as caught:
        async with transaction(books) as session:
            await holds.post_part(session, hold.id, reference="p", happened_at=midnight - timedelta(seconds=1), now=now)
    assert caught.value.code == "ledger.period_closed"


@pytest.mark.parametrize(
    ("days_ago", "code"), [(0, "ledger.period_not_over"), (3, "ledger.period_closed"), (2, "ledger.period_closed")]
)
async def test_only_a_new_day_that_is_over_can_be_closed(
    books: Engine, now: datetime, days_ago: int, code: str
) -> None:
    await close(books, now, days_ago=2)

    with pytest.raises(EntryRejected) as caught:
        await close(books, now, days_ago=days_ago)

    assert caught.value.code == code


async def test_a_close_waits_for_bookings_that_run_and_counts_them(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        await journal.post(session, entry("old", CASH, PAYABLE, 5, now, happened_at=now - timedelta(days=2)), now=now)
        closing = asyncio.create_task(close(books, now))
        await asyncio.sleep(0.2)
        assert not closing.done()

    assert (await closing).postings == 1
