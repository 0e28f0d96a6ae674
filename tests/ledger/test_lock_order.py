"""The one order of accounts: who books several times in a transaction never waits in a circle with who books once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from ledger import chart, holds, journal
from ledger.accounts import AccountTerms, find_account, lock_accounts, open_account
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.entry import Entry, Posting
from ledger.holds import HoldRequest
from tests.ledger.waiting import is_waiting_for_a_lock

HELD, BUYERS = chart.PLAN_HOLD, chart.PLAN_HOLD_BUYERS
OWED, PAYABLE, CLEARING = "asset:plan_receivable:not_due", chart.plan_payable("mer_1"), chart.card_payable("mer_9")


@pytest_asyncio.fixture
async def books(engine: Engine, now: datetime) -> AsyncIterator[Engine]:
    """Books of plans: a card holds ten roubles, a buyer owes as much."""
    async with transaction(engine) as session:
        for code in (HELD, BUYERS, OWED, PAYABLE, CLEARING):
            await open_account(session, AccountTerms(code), now=now)
        await journal.post(session, Entry("held", "test", now, (Posting(HELD, BUYERS, 1_000),)), now=now)
    yield engine


async def hold_then_commit(session: Session, other: asyncio.Event, started: asyncio.Event, now: datetime) -> None:
    """What a plan's yes books: what the bank holds, and in a call of its own the debt."""
    await journal.post(session, Entry("held too", "test", now, (Posting(HELD, BUYERS, 10),)), now=now)
    started.set()
    await other.wait()
    await journal.post(session, Entry("committed", "test", now, (Posting(OWED, PAYABLE, 10),)), now=now)


async def capture(books: Engine, now: datetime) -> None:
    """What the bank's word books, all at once: money off the debt, and nothing is held any more."""
    taken = Entry("captured", "test", now, (Posting(CLEARING, OWED, 1_000), Posting(BUYERS, HELD, 1_000)))
    async with transaction(books) as session:
        await journal.post(session, taken, now=now)


async def release(books: Engine, now: datetime) -> None:
    """A hold of the ledger takes its two accounts in the same order."""
    async with transaction(books) as session:
        await holds.place(session, HoldRequest("set aside", "test", OWED, HELD, 1, now), now=now)


async def while_it_waits(
    books: Engine,
    first: Coroutine[Any, Any, None],
    is_half_way: asyncio.Event,
    second: Coroutine[Any, Any, None],
    go_on: asyncio.Event,
) -> None:
    """Begin the second when the first is half way, and let the first go on when the second waits for it."""
    begun = asyncio.create_task(first)
    await is_half_way.wait()
    waiting = asyncio.create_task(second)
    await is_waiting_for_a_lock(books)
    go_on.set()
    await asyncio.gather(begun, waiting)


@pytest.mark.parametrize("one_call", [capture, release])
async def test_two_bookings_in_a_row_and_one_of_both_wait_for_each_other_in_no_circle(
    books: Engine, now: datetime, one_call: Callable[[Engine, datetime], Coroutine[Any, Any, None]]
) -> None:
    started, other = asyncio.Event(), asyncio.Event()

    async def in_a_row() -> None:
        async with transaction(books) as session:
            await hold_then_commit(session, other, started, now)

    await while_it_waits(books, in_a_row(), started, one_call(books, now), other)

    async with transaction(books) as session:
        owed = await find_account(session, OWED)
    assert owed is not None
    assert owed.version > 0


async def test_accounts_taken_beforehand_may_be_booked_in_any_order(books: Engine, now: datetime) -> None:
    taken, other = asyncio.Event(), asyncio.Event()

    async def against_the_order() -> None:
        async with transaction(books) as session:
            await lock_accounts(session, [PAYABLE, OWED, BUYERS, HELD, "asset:not_open:yet"])
            await journal.post(session, Entry("committed", "test", now, (Posting(OWED, PAYABLE, 10),)), now=now)
            taken.set()
            await other.wait()
            await journal.post(session, Entry("held too", "test", now, (Posting(HELD, BUYERS, 10),)), now=now)

    await while_it_waits(books, against_the_order(), taken, capture(books, now), other)


async def test_a_deadlock_of_bookings_is_tried_again(books: Engine, now: datetime) -> None:
    """Against the order on purpose, as a caller of ours never does."""
    started = [asyncio.Event(), asyncio.Event()]
    tries: list[int] = []

    async def against_the_order(who: int, first: Posting, then: Posting) -> None:
        async def work(session: Session) -> None:
            tries.append(who)
            await journal.post(session, Entry(f"first of {who}", "test", now, (first,)), now=now)
            started[who].set()
            await started[1 - who].wait()
            await journal.post(session, Entry(f"second of {who}", "test", now, (then,)), now=now)

        await in_transaction(books, work)

    money, memo = Posting(OWED, PAYABLE, 10), Posting(HELD, BUYERS, 10)
    await asyncio.gather(against_the_order(0, money, memo), against_the_order(1, memo, money))

    assert len(tries) >= 3  # whoever gave way tries again, and may have to give way once more
    async with transaction(books) as session:
        owed = await find_account(session, OWED)
    assert owed is not None
    assert owed.balance == 20


@pytest.mark.usefixtures("watched_accounts")
async def test_the_watch_refuses_a_transaction_that_takes_accounts_out_of_order(books: Engine, now: datetime) -> None:
    async def against_the_order(session: Session) -> None:
        await journal.post(session, Entry("committed", "test", now, (Posting(OWED, PAYABLE, 10),)), now=now)
        await journal.post(session, Entry("held too", "test", now, (Posting(HELD, BUYERS, 10),)), now=now)

    with pytest.raises(psycopg.Error, match=f"account {BUYERS} is taken after {PAYABLE}"):
        await in_transaction(books, against_the_order)
