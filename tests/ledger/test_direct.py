from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import psycopg
import pytest
import uvloop

from ledger import direct, journal, periods
from ledger.database import SILENCE_SECONDS_MAX, Engine, transaction
from ledger.direct import Line
from ledger.entry import AMOUNT_MAX, Booked, Entry, Refused, Verdict
from ledger.errors import EntryRejected
from ledger.proofs import broken_proofs
from tests.conftest import Database
from tests.ledger.books import CASH, FEES, PAYABLE, POINTS, TILL, entry


@pytest.fixture
async def line(database: Database) -> AsyncIterator[Line]:
    opened = await Line.open(database.app_url)
    yield opened
    await opened.close()


async def book(line: Line, one: Entry, now: datetime, book: str = "main") -> Verdict:
    (verdict,) = await journal.book_at_once(line, [one], now=now, book=book)
    return verdict


async def test_a_call_is_prepared_once_and_answers_typed_rows(line: Line) -> None:
    for number in range(3):
        rows = await line.call("SELECT $1::int8, $2::text, $3::text[]", [str(number), None, "{a,b}"])

        assert rows == [(number, None, ["a", "b"])]
    (prepared,) = await line.call("SELECT count(*) FROM pg_prepared_statements", [])
    assert prepared == (2,)


async def test_a_refused_statement_leaves_the_line_fit_for_the_next(line: Line) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await line.call("SELECT 1 / $1::int", ["0"])
    with pytest.raises(psycopg.errors.UndefinedTable):
        await line.call("SELECT * FROM nowhere", [])

    assert await line.call("SELECT 1 / $1::int", ["1"]) == [(1,)]


async def test_a_statement_whose_table_was_changed_is_prepared_anew(line: Line, database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute("CREATE TABLE changing AS SELECT 1 AS first; GRANT SELECT ON changing TO PUBLIC")
        assert await line.call("SELECT * FROM changing", []) == [(1,)]
        superuser.execute("ALTER TABLE changing ADD second integer")

        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await line.call("SELECT * FROM changing", [])

        assert await line.call("SELECT * FROM changing", []) == [(1, None)]


async def test_more_than_a_socket_holds_is_sent_and_read_whole(line: Line) -> None:
    text = "ы" * 1_000_000

    assert await line.call("SELECT $1::text", [text]) == [(text,)]


async def test_a_caller_that_goes_away_harms_nobody_else(line: Line) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.call("SELECT pg_sleep($1::float8)::text", ["0.2"]), 0.05)

    assert await line.call("SELECT 1", []) == [(1,)]


async def test_calls_made_together_each_get_their_own_answer(line: Line) -> None:
    async def refused(number: int) -> str:
        try:
            await line.call("SELECT 1 / $1::int", [str(number)])
        except psycopg.errors.DivisionByZero:
            return "refused"
        return "answered"

    said = await asyncio.gather(*(refused(number % 3) for number in range(30)))

    assert said == ["refused", "answered", "answered"] * 10


async def test_a_broken_line_is_said_to_all_who_wait_and_to_who_comes_later(line: Line, database: Database) -> None:
    ((pid,),) = await line.call("SELECT pg_backend_pid()", [])
    waiting = [asyncio.create_task(line.call("SELECT pg_sleep($1::float8)::text", ["9"])) for _ in range(2)]
    await asyncio.sleep(0.2)
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute("SELECT pg_terminate_backend(%s)", (pid,))

    for task in waiting:
        with pytest.raises(psycopg.OperationalError):
            await task
    with pytest.raises(psycopg.OperationalError):
        await line.call("SELECT 1", [])
    assert line.closed


def test_what_follows_a_servers_last_words_is_heard_too(database: Database) -> None:
    """A server that ends with our bytes unread leaves an error beside its last words: uvloop tells of both once."""

    async def scene() -> None:
        line = await Line.open(database.app_url)
        ((pid,),) = await line.call("SELECT pg_backend_pid()", [])
        sleeps = asyncio.create_task(line.call("SELECT pg_sleep($1::float8)::text", ["60"]))
        unread = asyncio.create_task(line.call("SELECT $1::text", ["x" * 100_000]))
        await asyncio.sleep(0.3)
        with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        for task in (sleeps, unread):
            with pytest.raises(psycopg.OperationalError):
                await asyncio.wait_for(task, SILENCE_SECONDS_MAX / 2)
        assert line.closed

    uvloop.run(scene())


async def test_a_silent_server_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "SILENCE_SECONDS_MAX", 0.3)
    silent = await Line.open(database.app_url)
    ((pid,),) = await silent.call("SELECT pg_backend_pid()", [])
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError, match="too long"):
            await asyncio.wait_for(silent.call("SELECT 1", []), 30)
        assert silent.closed
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_server_that_speaks_now_and_then_is_kept(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "SILENCE_SECONDS_MAX", 2.0)

    said = await asyncio.gather(*(line.call("SELECT pg_sleep($1::float8)::text", ["0.5"]) for _ in range(6)))

    assert said == [[("",)]] * 6


async def test_silence_counts_from_a_question(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "SILENCE_SECONDS_MAX", 2.0)
    await line.call("SELECT 1", [])
    await asyncio.sleep(1.7)

    assert await line.call("SELECT pg_sleep($1::float8)::text", ["1.0"]) == [("",)]


async def test_the_short_road_books_and_a_repeat_gives_the_first_answer(
    books: Engine, line: Line, now: datetime
) -> None:
    first = await book(line, entry("e1", CASH, FEES, 5, now, metadata={"order": "№ 1"}), now)
    second = await book(line, entry("e1", CASH, FEES, 5, now, metadata={"order": "№ 1"}), now)
    changed = await book(line, entry("e1", CASH, FEES, 6, now), now)

    assert isinstance(first, Booked)
    assert isinstance(second, Booked)
    assert (first.is_replay, second.is_replay) == (False, True)
    assert second.postings == first.postings
    assert isinstance(changed, Refused)
    assert changed.code == "ledger.reference_reused"
    async with transaction(books) as session:
        found = await journal.find_entry(session, first.entry_id)
        assert found is not None
        assert found.metadata == {"order": "№ 1"}
        assert await broken_proofs(session) == []


@pytest.mark.parametrize(
    ("code", "debit", "credit", "amount"),
    [
        pytest.param("ledger.unknown_account", CASH, "asset:cash:nobody", 1, id="unknown account"),
        pytest.param("ledger.wrong_commodity", CASH, POINTS, 1, id="another commodity"),
        pytest.param("ledger.overdrawn", PAYABLE, FEES, 1, id="below what must stay available"),
        pytest.param("ledger.over_ceiling", TILL, FEES, 1_001, id="above the ceiling"),
        pytest.param("ledger.amount_overflow", CASH, FEES, AMOUNT_MAX, id="beyond 63 bits in sum"),
    ],
)
async def test_the_short_road_refuses_as_the_long_one_and_remembers(
    books: Engine, line: Line, now: datetime, code: str, debit: str, credit: str, amount: int
) -> None:
    await book(line, entry("before", CASH, FEES, 10, now), now)

    alone = await book(line, entry("r", debit, credit, amount, now), now)
    again = await book(line, entry("r", debit, credit, amount, now), now)
    async with transaction(books) as session:
        (long,) = await journal.post_batch(session, [entry("long", debit, credit, amount, now)], now=now)

    assert isinstance(alone, Refused)
    assert isinstance(again, Refused)
    assert isinstance(long, Refused)
    assert alone.code == again.code == long.code == code
    assert dict(alone.facts) == dict(again.facts) == dict(long.facts)


async def test_the_short_road_knows_closed_days_unknown_books_and_remembered_refusals(
    books: Engine, line: Line, now: datetime
) -> None:
    poor = await book(line, entry("poor", PAYABLE, FEES, 1, now), now)
    await book(line, entry("rich", CASH, PAYABLE, 100, now), now)
    still_poor = await book(line, entry("poor", PAYABLE, FEES, 1, now), now)
    async with transaction(books) as session:
        day = (now - timedelta(days=2)).date()
        await periods.close_period(session, through_on=day, closed_by="test", now=now)
    closed = await book(line, entry("old", CASH, FEES, 1, now, happened_at=now - timedelta(days=3)), now)

    assert [verdict.code for verdict in (poor, still_poor, closed) if isinstance(verdict, Refused)] == [
        "ledger.overdrawn", "ledger.overdrawn", "ledger.period_closed",
    ]  # fmt: skip
    with pytest.raises(EntryRejected, match=r"ledger\.unknown_book|book"):
        await book(line, entry("e9", CASH, FEES, 1, now), now, book="nowhere")


async def test_two_lines_with_one_reference_book_once(
    books: Engine, line: Line, database: Database, now: datetime
) -> None:
    other = await Line.open(database.app_url)
    for number in range(50):
        same = entry(f"same{number}", CASH, FEES, 1, now)
        verdicts = await asyncio.gather(book(line, same, now), book(other, same, now))

        assert sorted(verdict.is_replay for verdict in verdicts if isinstance(verdict, Booked)) == [False, True]
    await other.close()
