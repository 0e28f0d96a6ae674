"""The shortest road from Python to PostgreSQL: one prepared statement, called over and over.

A cursor of psycopg takes longer over a call of a dozen values than PostgreSQL takes to book an entry;
libpq underneath it takes two fifths of that. DECISIONS.md, 18.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

_prepared: WeakKeyDictionary[AsyncConnection[Any], dict[str, bytes]] = WeakKeyDictionary()
"""The name under which a connection has prepared a statement."""


async def call(
    connection: AsyncConnection[Any], statement: str, parameters: Sequence[str | None]
) -> list[tuple[Any, ...]]:
    """Run a statement with parameters ``$1`` and on, in PostgreSQL's text form, as a transaction of its own.

    The connection is in autocommit and serves nothing else. A caller that is cancelled leaves its answer
    unread: the connection is of no more use then, and says so.
    Raises: psycopg.Error; nothing is changed when PostgreSQL refuses the statement.
    """
    assert connection.autocommit
    async with connection.lock:
        pgconn = connection.pgconn
        if pgconn.transaction_status != TransactionStatus.IDLE:
            raise errors.OperationalError("the connection is lost, or an answer was left unread")
        names = _prepared.setdefault(connection, {})
        if statement not in names:
            name = b"direct_%d" % len(names)
            pgconn.send_prepare(name, statement.encode())
            _raise_refusal(await _answer(pgconn))
            names[statement] = name
        values = [None if value is None else value.encode() for value in parameters]
        pgconn.send_query_prepared(names[statement], values, result_format=Format.BINARY)
        result = await _answer(pgconn)
    _raise_refusal(result)
    reader = Transformer(connection)
    reader.set_pgresult(result)
    return reader.load_rows(0, result.ntuples, tuple)


def _raise_refusal(result: PGresult) -> None:
    if result.status == ExecStatus.FATAL_ERROR:
        raise errors.error_from_result(result)


async def _answer(pgconn: PGconn) -> PGresult:
    """Send what was given to libpq and read the answer to its end."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[PGresult] = loop.create_future()
    results: list[PGresult] = []

    def go_on() -> None:
        try:
            pgconn.consume_input()
            if is_unsent and pgconn.flush() == 0:
                loop.remove_writer(socket)
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    answered.set_result(results[-1])
                    return
                results.append(result)
        except errors.Error as error:
            answered.set_exception(error)

    socket = pgconn.socket
    loop.add_reader(socket, go_on)
    is_unsent = pgconn.flush() != 0
    if is_unsent:
        loop.add_writer(socket, go_on)
    try:
        return await answered
    finally:
        loop.remove_reader(socket)
        if is_unsent:
            loop.remove_writer(socket)
