"""Many at once: one effect for each reference, no limit passed, no deadlock, and every proof holds after it."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from ledger import holds, journal
from ledger.accounts import AccountTerms, find_account, open_account
from ledger.clock import moscow_day
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.days import fold
from ledger.entry import Booked, Entry, Posting
from ledger.errors import EntryRejected
from ledger.exports import hledger
from ledger.holds import HoldRequest
from ledger.periods import close_period
from ledger.proofs import broken_proofs

CASH, SALES, WALLET = "asset:cash:till", "income:sales:shop", "liability:wallet:buyer"
CALLERS = 24
CONNECTIONS = 7
"""Those of the engine less one, so that nobody waits for the pool longer than it lets them."""


@pytest_asyncio.fixture
async def books(engine: Engine, now: datetime) -> AsyncIterator[Engine]:
    """Books with a till, sales, and a wallet that holds 10 roubles and may not be overdrawn."""
    async with transaction(engine) as session:
        for terms in (AccountTerms(CASH), AccountTerms(SALES), AccountTerms(WALLET, available_min=0)):
            await open_account(session, terms, now=now)
        await journal.post(session, Entry("top up", "test", now, (Posting(CASH, WALLET, 1_000),)), now=now)
    yield engine
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


async def post(books: Engine, entry: Entry, now: datetime) -> Booked | str:
    async def work(session: Session) -> Booked:
        return await journal.post(session, entry, now=now)

    try:
        return await in_transaction(books, work)
    except EntryRejected as refusal:
        return refusal.code


async def post_all(books: Engine, entries: Iterable[Entry], now: datetime) -> list[Booked | str]:
    """Post every entry, seven at once, and give the answers."""
    waiting = list(entries)
    answers: list[Booked | str] = []

    async def caller() -> None:
        while waiting:
            answers.append(await post(books, waiting.pop(), now))

    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return answers


async def test_one_reference_from_many_callers_is_booked_once(books: Engine, now: datetime) -> None:
    sale = Entry("order 1", "test.sale", now, (Posting(CASH, SALES, 5),))

    answers = await post_all(books, [sale] * CALLERS, now)

    booked = [answer for answer in answers if isinstance(answer, Booked)]
    assert len(booked) == CALLERS
    assert Counter(answer.is_replay for answer in booked) == {True: CALLERS - 1, False: 1}
    assert len({(answer.entry_id, answer.postings) for answer in booked}) == 1


async def test_a_wallet_is_spent_to_the_kopeck_and_not_below(books: Engine, now: datetime) -> None:
    spends = [Entry(f"spend {n}", "test.spend", now, (Posting(WALLET, SALES, 300),)) for n in range(CALLERS)]

    answers = await post_all(books, spends, now)

    assert Counter(a if isinstance(a, str) else "booked" for a in answers) == {
        "booked": 3,
        "ledger.overdrawn": CALLERS - 3,
    }
    async with transaction(books) as session:
        wallet = await find_account(session, WALLET)
        assert wallet is not None
        assert wallet.balance == 100


async def test_entries_that_cross_each_other_do_not_deadlock(books: Engine, now: datetime) -> None:
    def crossing(number: int) -> Entry:
        pair = (CASH, SALES) if number % 2 else (SALES, CASH)
        return Entry(f"cross {number}", "test.cross", now, (Posting(*pair, 1), Posting(*reversed(pair), 2)))

    async def batch(number: int) -> None:
        entries = [crossing(number * 20 + place) for place in range(20)]
        async with transaction(books) as session:  # not retried: a deadlock would be seen
            await journal.post_batch(session, random.Random(number).sample(entries, 20), now=now)

    for first in range(0, CALLERS, CONNECTIONS):
        await asyncio.gather(*(batch(number) for number in range(first, first + CONNECTIONS)))


async def test_one_hold_is_posted_or_released_but_not_both(books: Engine, now: datetime) -> None:
    request = HoldRequest("hold", "test.hold", WALLET, SALES, 700, now)
    async with transaction(books) as session:
        hold = await holds.place(session, request, now=now)

    async def step(number: int) -> str:
        async def work(session: Session) -> str:
            if number % 2:
                await holds.release(session, hold.id, reference=f"release {number}", happened_at=now)
                return "released"
            await holds.post_part(session, hold.id, reference=f"post {number}", happened_at=now, now=now)
            return "posted"

        try:
            return await in_transaction(books, work)
        except EntryRejected as refusal:
            return refusal.code

    answers = Counter(await asyncio.gather(*(step(number) for number in range(CONNECTIONS))))

    assert answers["ledger.hold_not_open"] == CONNECTIONS - 1
    assert answers["released"] + answers["posted"] == 1


async def test_nothing_slips_under_a_period_that_closes(books: Engine, now: datetime) -> None:
    yesterday = now - timedelta(days=1)

    async def close() -> int:
        await asyncio.sleep(0.02)
        async with transaction(books) as session:
            closed = await close_period(session, through_on=moscow_day(yesterday), closed_by="test", now=now)
        return closed.postings

    late = [Entry(f"late {n}", "test.late", yesterday, (Posting(CASH, SALES, 1),)) for n in range(60)]
    closed, answers = await asyncio.gather(close(), post_all(books, late, now))

    booked = sum(isinstance(answer, Booked) for answer in answers)
    assert booked == closed
    assert {answer for answer in answers if isinstance(answer, str)} <= {"ledger.period_closed"}


async def test_days_are_folded_once_while_entries_come_in(books: Engine, now: datetime) -> None:
    async def folding() -> int:
        folded = 0
        for _ in range(20):
            folded += await in_transaction(books, lambda session: fold(session))
            await asyncio.sleep(0.005)
        return folded

    sales = [
        Entry(f"sale {n}", "test.sale", now - timedelta(days=n % 3), (Posting(CASH, SALES, 1),)) for n in range(120)
    ]
    await asyncio.gather(folding(), post_all(books, sales, now))

    while await in_transaction(books, lambda session: fold(session)):
        pass


async def test_an_export_is_one_moment_of_a_busy_book(books: Engine, now: datetime, tmp_path: Path) -> None:
    if shutil.which("hledger") is None:
        pytest.skip("hledger is missing: install the Debian package")
    out = tmp_path / "busy.journal"
    sales = [Entry(f"sale {n}", "test.sale", now, (Posting(CASH, SALES, 1),)) for n in range(100)]

    await asyncio.gather(hledger.write(books, "main", out), post_all(books, sales, now))

    await asyncio.to_thread(subprocess.run, ["hledger", "-f", out, "check", "--strict"], check=True)
