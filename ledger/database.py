"""The database: engines, sessions, and the only commit of the project.

A *session* is one open transaction on one connection (SQLAlchemy Core). Packages receive it and
never commit; the door and the worker open it with ``transaction()``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import sqlalchemy
from psycopg.adapt import Dumper
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg.pq import Format, TransactionStatus
from psycopg.types.array import ListDumper
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger.session import Session as Session
from ledger.session import reset
from ledger.sql_arrays import SqlArray

Engine = AsyncEngine

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_TIMEOUT_MS = 10_000
CONNECT_SECONDS_MAX = 10
SILENCE_SECONDS_MAX = 15
"""After which a server that says nothing is given up: every statement of ours ends within a third of that."""
POOL_SECONDS_MAX = 1.0
"""How long to wait for one of an engine's connections: whoever waits for longer is told to come back."""
PREPARED_AFTER = 2
"""A statement is prepared when a connection has carried it out this many times."""
PREPARED_MAX = 500
"""Statements that a connection keeps prepared. The worker goes through two hundred in turns: a driver that remembers a
hundred of the last ones prepares none of them, and PostgreSQL plans each of them anew."""
RETRIES_MAX = 5
"""A transaction that lost a deadlock or a serialization race is tried this many times."""

T = TypeVar("T")


def libpq_options(*, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS) -> str:
    """Limits every connection of ours carries, in libpq's ``options`` form. Milliseconds."""
    return (
        f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={LOCK_TIMEOUT_MS} "
        f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS} -c timezone=UTC"
    )


def connection_settings(*, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS, options: str = "") -> dict[str, Any]:
    """How each connection of ours is made: our limits, ``options`` in libpq's form beside them, and an end to waiting
    for a server or a network that has gone without a word."""
    return {
        "options": f"{libpq_options(statement_timeout_ms=statement_timeout_ms)} {options}",
        "connect_timeout": CONNECT_SECONDS_MAX,
        "tcp_user_timeout": SILENCE_SECONDS_MAX * 1_000,
        "keepalives_idle": CONNECT_SECONDS_MAX,
        "keepalives_interval": CONNECT_SECONDS_MAX,
        "keepalives_count": 2,
    }


def create_engine(url: str, *, size: int = 8, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS) -> Engine:
    """An engine over psycopg for a libpq URL (``postgresql://…``). Connects only when used."""
    scheme = urlsplit(url).scheme
    assert scheme == "postgresql", "a libpq URL is expected"
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS_MAX,
        pool_pre_ping=False,
        pool_reset_on_return=None,
        pool_use_lifo=True,  # a connection that was just used has its statements prepared and its plans at hand
        hide_parameters=True,
        connect_args={
            **connection_settings(statement_timeout_ms=statement_timeout_ms),
            "prepare_threshold": PREPARED_AFTER,
        },
        json_serializer=lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    )
    event.listen(engine.sync_engine, "connect", _keep_prepared)
    event.listen(engine.sync_engine, "reset", reset)
    return engine


def _keep_prepared(connection: Any, _record: Any) -> None:
    connection.driver_connection.prepared_max = PREPARED_MAX


_held_by: ContextVar[asyncio.Task[Any] | None] = ContextVar("held_by", default=None)
"""The task that has a transaction open. Tasks begun inside one inherit the word but are another task."""


def is_in_transaction() -> bool:
    """Whether this task has a transaction open: then it may not talk to the world."""
    held_by = _held_by.get()
    return held_by is not None and held_by is asyncio.current_task()


@asynccontextmanager
async def transaction(engine: Engine) -> AsyncIterator[Session]:
    """Open a session; commit when the block ends, roll back when it raises.

    A block that swallows a database error would lose all its writes without a word, because PostgreSQL
    answers COMMIT with a rollback; that is our bug and says so.
    Raises: RuntimeError if the block ended in a failed transaction.
    """
    async with Session(engine) as connection:
        outside = _held_by.get()
        _held_by.set(asyncio.current_task())
        try:
            yield connection
            if (await driver_connection(connection)).info.transaction_status == TransactionStatus.INERROR:
                raise RuntimeError("a database error was swallowed inside its transaction")
        except BaseException:
            await connection.rollback()
            raise
        finally:
            _held_by.set(outside)
        await connection.commit()


@lru_cache(maxsize=1_024)
def text(sql: str) -> sqlalchemy.TextClause:
    """A statement with ``:names``, parsed once: making it anew costs a quarter of a short statement's time."""
    return sqlalchemy.text(sql)


async def driver_connection(session: Session) -> psycopg.AsyncConnection[Any]:
    """The bare psycopg connection under a session, for the hot paths."""
    return await session.driver()


async def in_transaction(engine: Engine, work: Callable[[Session], Awaitable[T]]) -> T:
    """Run ``work`` in a transaction, the whole of it again after a deadlock or serialization failure."""
    for attempt in range(1, RETRIES_MAX + 1):
        try:
            async with transaction(engine) as session:
                return await work(session)
        except (DBAPIError, psycopg.Error) as error:  # the hot paths ask the driver itself
            if attempt == RETRIES_MAX or not is_retryable(error):
                raise
    raise AssertionError("unreachable")


def is_retryable(error: DBAPIError | psycopg.Error) -> bool:
    """Whether the same transaction may simply be run again."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, (DeadlockDetected, SerializationFailure))


def violated_constraint(error: DBAPIError) -> str | None:
    """The name of the constraint that refused a write, if one did."""
    diagnostic = getattr(error.orig, "diag", None)
    return diagnostic.constraint_name if diagnostic is not None else None


class PlainListDumper(ListDumper):
    """Lists of texts, numbers, days, times and bytes, written as PostgreSQL's arrays in one go; psycopg does it item
    by item.

    Whatever is in another list, or has a zero byte, is psycopg's as ever. A night of plans is a third faster by it.
    """

    def dump(self, obj: list[Any]) -> Any:
        """The array's text."""
        plain = array_of(obj)
        return super().dump(obj) if plain is None else plain.encode()


def array_of(values: list[Any]) -> str | None:
    """The text of an array of values of one kind, or of nothings; nothing if it holds anything else."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if kinds <= {str}:
        return _array_of_texts(values) if values else None
    plain = _PLAIN.get(kinds.pop()) if len(kinds) == 1 else None
    return plain and "{" + ",".join(["NULL" if each is None else plain(each) for each in values]) + "}"


_PLAIN: dict[type, Callable[[Any], str]] = {
    int: str,
    date: date.isoformat,
    datetime: datetime.isoformat,
    bytes: lambda value: rf'"\\x{value.hex()}"',
}
"""How values are written that need no quotes, and bytes, which have theirs."""


def _array_of_texts(values: list[Any]) -> str | None:
    whole = "".join([value for value in values if value is not None])
    if "\x00" in whole:
        return None
    if '"' in whole or "\\" in whole:
        values = [None if each is None else each.replace("\\", "\\\\").replace('"', '\\"') for each in values]
    return "{" + ",".join(["NULL" if each is None else f'"{each}"' for each in values]) + "}"


class _SqlArrayDumper(Dumper):
    """What is in PostgreSQL's own bytes already."""

    format = Format.BINARY

    def dump(self, obj: SqlArray) -> SqlArray:
        """The bytes as they are."""
        return obj


psycopg.adapters.register_dumper(list, PlainListDumper)
psycopg.adapters.register_dumper(SqlArray, _SqlArrayDumper)

metadata = sqlalchemy.MetaData()
"""Every table of every package, for Alembic."""
