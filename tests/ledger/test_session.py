"""A plain statement goes to psycopg at once and is in all things what SQLAlchemy makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy
from psycopg.errors import CheckViolation, QueryCanceled
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.postgres import Server
from ledger.database import (
    PREPARED_AFTER,
    Engine,
    Session,
    create_engine,
    in_transaction,
    text,
    transaction,
    violated_constraint,
)

VALUES = {"word": "50% of :that", "number": 7, "flags": [True, None], "bytes": b"\x00\xff", "nothing": None}
STATEMENT = r"""SELECT CAST(:word AS text) AS word, CAST(:number AS int) + CAST(:number AS int) AS twice,
                       '100%' AS literal, CAST(:flags AS bool[]) AS flags, CAST(:bytes AS bytea) AS bytes,
                       CAST(:nothing AS text) AS nothing,
                       '{"a": [1]}'::jsonb AS told, '2026-11-22 10:00+03'::timestamptz AS at, ':word' AS quoted,
                       9 \:\:int AS cast_in_another_way"""


@pytest_asyncio.fixture
async def engine(server: Server) -> AsyncIterator[Engine]:
    """An engine of somebody who may make tables, on a database that is there anyway."""
    engine = create_engine(server.url("postgres", "postgres"))
    yield engine
    await engine.dispose()


async def nested(session: Session, *statements: str) -> None:
    async with session.begin_nested():
        for statement in statements:
            await session.execute(text(statement))


async def test_a_plain_statement_gives_the_rows_that_sqlalchemy_gives(engine: Engine) -> None:
    async with transaction(engine) as session:
        quick = (await session.execute(text(STATEMENT), VALUES)).mappings().one()
        slow = (await AsyncConnection.execute(session, text(STATEMENT), VALUES)).mappings().one()

    assert dict(quick) == dict(slow)
    assert [type(value) for value in quick.values()] == [type(value) for value in slow.values()]


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda rows: rows.all(), id="all"),
        pytest.param(lambda rows: rows.first(), id="first"),
        pytest.param(lambda rows: rows.fetchall(), id="fetchall"),
        pytest.param(lambda rows: rows.scalars().all(), id="scalars"),
        pytest.param(lambda rows: rows.keys(), id="keys"),
        pytest.param(lambda rows: [(row.n, row[1], row._mapping["m"]) for row in rows], id="iterated"),
        pytest.param(lambda rows: rows.rowcount, id="rowcount"),
    ],
)
async def test_rows_are_taken_in_every_way_that_sqlalchemy_has(engine: Engine, take: Any) -> None:
    sql = text("SELECT n, n * 2 AS m FROM generate_series(1, :upto) AS n")
    async with transaction(engine) as session:
        quick = take(await session.execute(sql, {"upto": 3}))
        slow = take(await AsyncConnection.execute(session, sql, {"upto": 3}))

    assert list(quick) == list(slow) if not isinstance(quick, int) else quick == slow


async def test_a_row_without_columns_is_a_row(engine: Engine) -> None:
    async with transaction(engine) as session:
        assert (await session.execute(text("SELECT"))).first() is not None
        assert (await session.execute(text("SELECT WHERE false"))).first() is None


async def test_a_violated_constraint_has_its_name_and_undoes_everything(engine: Engine) -> None:
    async def work(session: Session) -> None:
        await session.execute(text("CREATE TABLE session_undone (n int CONSTRAINT n_is_small CHECK (n < 3))"))
        await session.execute(text("INSERT INTO session_undone VALUES (:n)"), {"n": 3})

    with pytest.raises(IntegrityError) as caught:
        await in_transaction(engine, work)

    assert isinstance(caught.value.orig, CheckViolation)
    assert violated_constraint(caught.value) == "n_is_small"
    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT to_regclass('session_undone') IS NULL")) is True


async def test_what_a_deferred_constraint_refuses_at_the_commit_is_told_as_any_other_error(engine: Engine) -> None:
    async def work(session: Session) -> None:
        once = "n int CONSTRAINT n_once UNIQUE DEFERRABLE INITIALLY DEFERRED"
        await session.execute(text(f"CREATE TEMPORARY TABLE once ({once}) ON COMMIT DROP"))
        await session.execute(text("INSERT INTO once VALUES (1), (1)"))

    with pytest.raises(IntegrityError) as caught:
        await in_transaction(engine, work)

    assert violated_constraint(caught.value) == "n_once"


async def test_a_savepoint_undoes_plain_statements(engine: Engine) -> None:
    async with transaction(engine) as session:
        await session.execute(text("CREATE TEMPORARY TABLE kept (n int CHECK (n < 3)) ON COMMIT DROP"))
        await session.execute(text("INSERT INTO kept VALUES (1)"))
        with pytest.raises(IntegrityError):
            await nested(session, "INSERT INTO kept VALUES (2)", "INSERT INTO kept VALUES (3)")

        assert (await session.execute(text("SELECT n FROM kept"))).scalars().all() == [1]


async def test_plain_statements_and_constructs_share_a_transaction(engine: Engine) -> None:
    table = sqlalchemy.table("mixed", sqlalchemy.column("n"))
    async with transaction(engine) as session:
        await session.execute(text("CREATE TEMPORARY TABLE mixed (n int) ON COMMIT DROP"))
        await session.execute(sqlalchemy.insert(table), [{"n": 1}, {"n": 2}])

        assert await session.scalar(text("SELECT sum(n) FROM mixed")) == 3


async def test_a_lost_connection_ends_its_transaction_and_the_next_one_has_another(engine: Engine) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(OperationalError) as caught:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert caught.value.connection_invalidated
        await session.execute(text("SELECT 1"))  # half a transaction must not go on elsewhere

    with pytest.raises(PendingRollbackError):
        await in_transaction(engine, work)

    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_who_is_cut_short_leaves_no_statement_behind(engine: Engine) -> None:
    async def wait() -> None:
        async with transaction(engine) as session:
            await session.execute(text("SELECT pg_sleep(60) /* cut short */"))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with transaction(engine) as session:
        running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
        assert await session.scalar(text(running)) == 0


async def test_a_statement_that_takes_too_long_is_refused_and_the_connection_kept(engine: Engine) -> None:
    async with transaction(engine) as session:
        before = await session.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(DBAPIError) as caught:
            await nested(session, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(5)")

        assert isinstance(caught.value.orig, QueryCanceled)
        assert await session.scalar(text("SELECT pg_backend_pid()")) == before


async def test_a_session_that_ended_without_a_commit_leaves_nothing_to_the_next_one(engine: Engine) -> None:
    async with Session(engine) as session:
        await session.execute(text("CREATE TABLE session_left (n int)"))

    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT to_regclass('session_left') IS NULL")) is True


async def test_statements_gone_through_in_turns_stay_prepared_on_the_connection_that_is_taken_again(
    engine: Engine,
) -> None:
    turns, statements = PREPARED_AFTER + 1, 200
    for _ in range(turns):
        for number in range(statements):
            async with transaction(engine) as session:
                await session.execute(text(f"SELECT {number} AS n"))

    async with transaction(engine) as session:
        prepared = await session.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE generic_plans > 0"))
    assert prepared == statements
