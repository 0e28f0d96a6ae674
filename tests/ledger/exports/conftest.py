"""Busy books for exports: several commodities, reversals, holds, back-dated entries, odd names."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from ledger import holds, journal
from ledger.accounts import AccountTerms, open_account, open_book, open_commodity
from ledger.database import Engine, Session, transaction
from ledger.days import fold
from ledger.entry import Booked, Entry, Posting
from ledger.holds import HoldRequest

ACCOUNTS = {
    "RUB": (
        "asset:sbp_settlement:bank.one",
        "asset:cash:Main-Till",
        "asset:cash:main_till",
        "liability:merchant_payable:mer_01hx",
        "liability:merchant_payable:mer-01hx",
        "equity:memo:capital",
        "equity:Opening-Balances",
        "equity:opening_balances",
        "income:fee:sbp",
        "expense:bank:_monthly",
        "memo:capital",
        "memo:guarantees.given",
        "asset:never:moved",
    ),
    "PTS:coffee_club-": ("liability:points:7", "expense:points:given_Xcd"),
    "PTS:air": ("liability:points:air", "expense:points:air", "memo:points:.air"),
}

KeepBook = Callable[[Engine, str, int, int, datetime], Awaitable[None]]


@pytest.fixture
def keep_busy_book() -> KeepBook:
    """Fills a fresh book with a random but repeatable life."""
    return _keep_busy_book


async def _keep_busy_book(engine: Engine, book: str, seed: int, steps: int, now: datetime) -> None:
    chance = random.Random(seed)
    async with transaction(engine) as session:
        await open_commodity(session, "PTS:coffee_club-", 0, now=now)
        await open_commodity(session, "PTS:air", 3, now=now)
        await open_book(session, book, 1_000 + seed, now=now)
        for commodity, codes in ACCOUNTS.items():
            for code in codes:
                await open_account(session, AccountTerms(code, commodity), now=now, book=book)
    booked: list[Booked] = []
    for step in range(steps):
        happened_at = now - timedelta(seconds=chance.randrange(40 * 86_400))
        async with transaction(engine) as session:
            roll = chance.random()
            if roll < 0.1 and booked:
                await _reverse(session, booked.pop(chance.randrange(len(booked))), step, happened_at, now, book)
            elif roll < 0.25:
                await _hold(session, chance, step, happened_at, now, book)
            else:
                booked.append(await journal.post(session, _entry(chance, step, happened_at), now=now, book=book))
            if roll > 0.9:
                await fold(session, book=book)


async def _reverse(
    session: Session, victim: Booked, step: int, happened_at: datetime, now: datetime, book: str
) -> None:
    await journal.reverse(
        session, victim.entry_id, reference=f"undo {step}", happened_at=happened_at, now=now, book=book
    )


async def _hold(
    session: Session, chance: random.Random, step: int, happened_at: datetime, now: datetime, book: str
) -> None:
    debit, credit = chance.sample(ACCOUNTS["RUB"][:-1], 2)
    amount = chance.randrange(2, 10**6)
    request = HoldRequest(f"hold {step}", "test.hold", debit, credit, amount, happened_at)
    hold = await holds.place(session, request, now=now, book=book)
    if chance.random() < 0.6:
        part = chance.randrange(1, amount)
        await holds.post_part(
            session,
            hold.id,
            reference=f"part {step}",
            amount=part,
            happened_at=happened_at,
            now=now,
            book=book,
        )


def _entry(chance: random.Random, step: int, happened_at: datetime) -> Entry:
    postings = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        commodity = chance.choice(tuple(ACCOUNTS))
        debit, credit = chance.sample([c for c in ACCOUNTS[commodity] if c != "asset:never:moved"], 2)
        postings.append(Posting(debit, credit, chance.randrange(1, 10**9), commodity))
    odd = chance.choice(("", ', "quoted" \\ ; date:x [2026-99-99]', "; comment: yes", " =1+1"))
    return Entry(f"ref:{step}{odd}", "test.sale", happened_at, tuple(postings), {"step": step, "слово": "да"})
