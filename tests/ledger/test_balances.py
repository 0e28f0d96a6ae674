from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ledger import balances, days, journal
from ledger.clock import machine_now, moscow_day
from ledger.database import Engine, transaction
from ledger.errors import EntryRejected
from tests.ledger.books import CASH, FEES, PAYABLE, entry


async def post(engine: Engine, reference: str, amount: int, happened_at: datetime, now: datetime) -> datetime:
    async with transaction(engine) as session:
        booked = await journal.post(
            session, entry(reference, CASH, PAYABLE, amount, now, happened_at=happened_at), now=now
        )
    return booked.recorded_at


async def fold_all(engine: Engine) -> None:
    folded = 1
    while folded:
        async with transaction(engine) as session:
            folded = await days.fold(session)


async def test_what_the_books_said_is_not_changed_by_a_later_back_dated_entry(books: Engine, now: datetime) -> None:
    first = await post(books, "e1", 100, now, now)
    between = machine_now()
    await post(books, "back-dated", 7, now - timedelta(days=30), now)

    async with transaction(books) as session:
        assert await balances.balance_recorded_at(session, PAYABLE, first - timedelta(seconds=1)) == balances.Balance(
            0, 0
        )
        assert await balances.balance_recorded_at(session, PAYABLE, between) == balances.Balance(1, 100)
        assert await balances.balance_recorded_at(session, PAYABLE, machine_now()) == balances.Balance(2, 107)


@pytest.mark.parametrize("is_folded", [False, True])
async def test_what_was_true_counts_back_dated_entries_on_their_own_day(
    books: Engine, now: datetime, is_folded: bool
) -> None:
    await post(books, "e1", 100, now, now)
    await post(books, "e2", 50, now - timedelta(days=1), now)
    await post(books, "e3", 7, now - timedelta(days=30), now)
    if is_folded:
        await fold_all(books)

    async with transaction(books) as session:
        seen = [
            (await balances.balance_happened_at(session, PAYABLE, at)).balance
            for at in (
                now - timedelta(days=31),
                now - timedelta(days=30),
                now - timedelta(days=1, seconds=1),
                now - timedelta(days=1),
                now - timedelta(microseconds=1),
                now,
            )
        ]

    assert seen == [0, 7, 7, 57, 57, 157]


async def test_the_accounting_day_turns_at_moscow_midnight(books: Engine, now: datetime) -> None:
    before_midnight = now.replace(hour=20, minute=59, second=59)
    await post(books, "late", 1, before_midnight, now)
    await post(books, "early", 10, before_midnight + timedelta(seconds=1), now)
    await fold_all(books)

    async with transaction(books) as session:
        lines = await balances.trial_balance(session, through_on=moscow_day(before_midnight))

    assert {line.code: line.balance for line in lines} == {CASH: 1, PAYABLE: 1}


async def test_the_trial_balance_is_the_same_folded_or_not(books: Engine, now: datetime) -> None:
    for number in range(5):
        await post(books, f"e{number}", 10 + number, now - timedelta(days=number), now)
    async with transaction(books) as session:
        await journal.post(session, entry("fee", PAYABLE, FEES, 5, now), now=now)
        before = await balances.trial_balance(session, through_on=moscow_day(now))
        assert before == await balances.trial_balance(session)
    await fold_all(books)

    async with transaction(books) as session:
        assert await balances.trial_balance(session, through_on=moscow_day(now)) == before
    assert sum(line.debits for line in before) == sum(line.credits for line in before) == 65


async def test_an_unknown_account_has_no_balance(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        with pytest.raises(EntryRejected) as caught:
            await balances.balance_recorded_at(session, "asset:cash:nobody", now)

    assert caught.value.code == "ledger.unknown_account"
