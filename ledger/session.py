"""A session: one open transaction on one connection, with a short road for plain statements.

SQLAlchemy takes three to five times as long over a statement of ours as psycopg under it: a greenlet for each call, a
context, types that a plain text does not have. So a text with its parameters goes to psycopg at once; its rows and its
errors are SQLAlchemy's all the same. Everything else (constructs, many rows at a time, streams, savepoints) goes
SQLAlchemy's own way on the same connection. DECISIONS.md, 22.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast

import psycopg
import sqlalchemy
from psycopg import AsyncRawCursor
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.engine import Connection, Dialect, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

STATEMENTS_MAX = 2_048
"""Different statements and shapes of answers that a process remembers."""

Result = sqlalchemy.CursorResult[*tuple[Any, ...]]

_DIALECT: Dialect = PGDialectAsync_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class _Rows(IteratorResult[Any]):
    """The rows of a plain statement, all of them here."""

    rowcount: int
    """Rows given or changed."""


class Session(AsyncConnection):
    """One open transaction on one connection."""

    async def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Result:
        """Run a statement and give its rows. Raises: DBAPIError, as SQLAlchemy."""
        is_plain = (
            type(statement) is sqlalchemy.TextClause
            and execution_options is None
            and (parameters is None or isinstance(parameters, Mapping))
        )
        if not is_plain:
            return await super().execute(statement, parameters, execution_options=execution_options)
        sql, names = _numbered(statement.text)
        return await self._run(sql, [parameters[name] for name in names] if names else None)

    async def scalar(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """Run a statement and give the first value of its first row, or nothing."""
        return (await self.execute(statement, parameters, execution_options=execution_options)).scalar()

    async def driver(self) -> psycopg.AsyncConnection[Any]:
        """The bare psycopg connection."""
        raw = await self.get_raw_connection() if self.invalidated else self._sync.connection
        return cast("psycopg.AsyncConnection[Any]", raw.driver_connection)

    async def __aenter__(self) -> Session:
        """Take a connection and open the transaction, which PostgreSQL hears of with the first statement."""
        await self.start()
        self._sync.begin()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        """Give the connection back; what needs PostgreSQL for that is not cut short."""
        if self.invalidated or not _is_idle((await self.driver()).pgconn):
            await super().__aexit__(*failure)
        else:
            await self.close()

    @property
    def _sync(self) -> Connection:
        assert self.sync_connection is not None, "it was opened"
        return self.sync_connection

    async def _run(self, sql: str, values: Sequence[Any] | None) -> Result:
        if not self._sync.in_transaction():
            self._sync.begin()  # else nothing would commit it; refused when the last one has failed
        cursor = AsyncRawCursor(await self.driver())
        try:
            await cursor.execute(sql, values)
            answer = cursor.pgresult
            assert answer is not None, "it was carried out"
            shape = _shape(tuple([answer.fname(place) for place in range(answer.nfields)]))
            rows = _Rows(shape, iter(await cursor.fetchall() if answer.status == ExecStatus.TUPLES_OK else ()))
        except BaseException as error:
            await greenlet_spawn(_refuse, self._sync, sql, error)
            raise
        rows.rowcount = cursor.rowcount
        return cast("Result", rows)


def reset(connection: Any, _record: Any, _state: Any) -> None:
    """What a pool does with a connection that comes back: nothing if no transaction was left open on it."""
    if not _is_idle(connection.driver_connection.pgconn):
        connection.rollback()


def _is_idle(connection: PGconn) -> bool:
    return connection.transaction_status == TransactionStatus.IDLE


def _refuse(connection: Connection, sql: str, error: BaseException) -> NoReturn:
    """Tell of an error as SQLAlchemy does, which also gives up connections that broke or were left half-way."""
    try:
        raise error
    except BaseException as raised:
        connection._handle_dbapi_exception(raised, sql, None, None, None)  # there is no public way to all of that


@lru_cache(maxsize=STATEMENTS_MAX)
def _numbered(text: str) -> tuple[str, Sequence[str]]:
    """A text with ``:names`` as PostgreSQL numbers them, and the names in that order."""
    compiled = sqlalchemy.text(text).compile(dialect=_DIALECT)
    order = cast("Any", compiled).positiontup or []
    return compiled.string, list(dict.fromkeys(order))


@lru_cache(maxsize=STATEMENTS_MAX)
def _shape(names: tuple[bytes | None, ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData([(name or b"").decode() for name in names])
