from __future__ import annotations

from datetime import datetime, timedelta

from ledger import journal, statements
from ledger.database import Engine, transaction
from ledger.statements import EntryFilter
from tests.ledger.books import CASH, FEES, PAYABLE, TILL, entry


async def fill(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await journal.post_batch(
            session,
            [entry(f"order:{n}", CASH, PAYABLE, 100 + n, now + timedelta(minutes=n)) for n in range(7)]
            + [entry(f"fee:{n}", PAYABLE, FEES, 1, now) for n in range(3)],
            now=now,
        )


async def test_pages_of_a_statement_join_without_gap_or_overlap(books: Engine, now: datetime) -> None:
    await fill(books, now)
    async with transaction(books) as session:
        pages, after = [], 0
        while True:
            page = await statements.statement(session, PAYABLE, after_version=after, limit=4)
            pages.append(page)
            if not page.has_more:
                break
            after = page.lines[-1].version

    assert [line.version for page in pages for line in page.lines] == list(range(1, 11))
    assert [page.opening for page in pages[1:]] == [page.closing for page in pages[:-1]]
    assert pages[0].opening == 0
    assert pages[-1].closing == sum(100 + n for n in range(7)) - 3


async def test_every_line_carries_the_balance_forward(books: Engine, now: datetime) -> None:
    await fill(books, now)
    async with transaction(books) as session:
        statement = await statements.statement(session, PAYABLE)

    balance = statement.opening
    for line in statement.lines:
        balance += line.credit - line.debit
        assert line.balance == balance
        assert line.counter_account in (CASH, FEES)


async def test_an_account_that_never_moved_has_an_empty_statement(books: Engine) -> None:
    async with transaction(books) as session:
        statement = await statements.statement(session, TILL)

    assert (statement.opening, statement.closing, statement.lines, statement.has_more) == (0, 0, (), False)


async def test_new_entries_do_not_move_pages_already_read(books: Engine, now: datetime) -> None:
    await fill(books, now)
    async with transaction(books) as session:
        first, _ = await statements.list_entries(session, EntryFilter(), limit=5)
        await journal.post(session, entry("later", CASH, FEES, 1, now), now=now)
        second, has_more = await statements.list_entries(session, EntryFilter(), after=first[-1].id, limit=5)
        third, ends = await statements.list_entries(session, EntryFilter(), after=second[-1].id, limit=5)

    assert [listed.reference for listed in third] == ["later"]
    assert (has_more, ends) == (True, False)
    assert len({listed.id for listed in (*first, *second, *third)}) == 11


async def test_entries_are_found_by_what_is_known_of_them(books: Engine, now: datetime) -> None:
    await fill(books, now)

    async def count(**wanted: object) -> int:
        async with transaction(books) as session:
            return len((await statements.list_entries(session, EntryFilter(**wanted)))[0])  # type: ignore[arg-type]

    assert await count(reference_prefix="fee:") == 3
    assert await count(account_prefix="income:") == 3
    assert await count(account_prefix="liability:merchant_payable") == 10
    assert await count(kind="test", happened_from=now + timedelta(minutes=5)) == 2
    assert await count(happened_to=now + timedelta(minutes=1), reference_prefix="order") == 1
    assert await count(kind="nothing") == 0
