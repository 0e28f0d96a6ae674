"""The shortest road from Python to PostgreSQL: prepared statements, called over and over on one line.

A cursor of psycopg takes longer over a call of a dozen values than PostgreSQL takes to book an entry;
libpq underneath it takes two fifths of that, and lets the next call leave before the last answer has
come. DECISIONS.md, 18.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from psycopg import AsyncConnection, errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from ledger.database import SILENCE_SECONDS_MAX, connection_settings

Answers = list[PGresult]
BY_KEYS = (
    "-c plan_cache_mode=force_generic_plan"
    " -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
"""Statements that find their rows by keys have one plan: looking for a better one takes longer than the statement,
and what is found while a table is small is kept when it has grown."""
TYPE_NUMBER = "SELECT $1::text::regtype::oid::bigint"
STALE = frozenset({"0A000", "26000"})
"""A prepared statement is of no use any more: its table is another, or the server has forgotten it."""
LINES = 4
"""A second one lets a statement run while the first waits for its fsync."""


class Line:
    """A connection that only calls prepared statements, each a transaction of its own, in the order asked."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        assert connection.autocommit
        self._pgconn = connection.pgconn
        self._reader = Transformer(connection)
        self._names: dict[str, bytes] = {}
        self._type_numbers: dict[str, int] = {}
        self._made = 0
        self._waiting: deque[asyncio.Future[Answers]] = deque()
        self._arrived: Answers = []
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._read)
        self._hung_up = select.poll()
        self._hung_up.register(self._socket, 0)  # errors and hanging up are told of unasked
        self._is_stuck = False
        """The socket did not take all that we have to send."""
        self._heard_at = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        """Looks whether anything comes, while somebody waits."""
        self.closed = False

    @classmethod
    async def open(cls, url: str, options: str = "") -> Line:
        """Connect, with settings of its own in libpq's form. Raises: psycopg.OperationalError."""
        return cls(await AsyncConnection.connect(url, autocommit=True, **connection_settings(options=options)))

    async def close(self) -> None:
        """Hang up; who still waits is told so."""
        self._end(errors.OperationalError("the line was closed"))

    @property
    def waiting(self) -> int:
        """Calls whose answers have not come yet."""
        return len(self._waiting)

    async def type_number(self, name: str) -> int:
        """The number that PostgreSQL gave a type of ours, asked for once a line: bytes of an array begin with it."""
        if name not in self._type_numbers:
            ((number,),) = await self.call(TYPE_NUMBER, (name,))
            self._type_numbers[name] = number
        return self._type_numbers[name]

    def call(self, statement: str, parameters: Sequence[str | bytes | None]) -> Awaitable[list[tuple[Any, ...]]]:
        """Run a statement with parameters ``$1`` and on, texts or PostgreSQL's own bytes, and give its rows.

        It is sent at once: who has something to do meanwhile waits for the rows afterwards.
        A caller that goes away leaves its statement running and harms nobody else.
        Raises: psycopg.Error; nothing is changed when PostgreSQL refuses, and nobody knows when the line broke or
        was silent for ``SILENCE_SECONDS_MAX``.
        """
        if self.closed:
            raise errors.OperationalError("the line is closed")
        values = [value.encode() if isinstance(value, str) else value for value in parameters]
        forms = [Format.BINARY if isinstance(value, bytes) else Format.TEXT for value in parameters]
        is_new = statement not in self._names
        try:
            self._ask(statement, values, forms, is_new=is_new)
        except errors.Error as error:
            self._end(error)  # half a call may have gone out: what comes back would be somebody else's answer
            raise
        answered: asyncio.Future[Answers] = self._loop.create_future()
        if not self._waiting:
            self._heard_at = self._loop.time()  # silence counts from a question
        self._waiting.append(answered)
        self._send()
        if self._watch is None and not self.closed:
            self._watch = self._loop.call_later(SILENCE_SECONDS_MAX, self._look)
        return self._rows(statement, answered, is_new=is_new)

    def _ask(self, statement: str, values: list[bytes | None], forms: list[Format], *, is_new: bool) -> None:
        if is_new:
            self._made += 1
            self._names[statement] = b"direct_%d" % self._made
            self._pgconn.send_prepare(self._names[statement], statement.encode())
        self._pgconn.send_query_prepared(self._names[statement], values, forms, Format.BINARY)
        self._pgconn.pipeline_sync()

    async def _rows(self, statement: str, answered: asyncio.Future[Answers], *, is_new: bool) -> list[tuple[Any, ...]]:
        answers = await answered
        for answer in answers:
            if answer.status == ExecStatus.FATAL_ERROR:
                error = errors.error_from_result(answer)
                if (is_new and answer is answers[0]) or error.sqlstate in STALE:
                    self._names.pop(statement, None)
                raise error
        self._reader.set_pgresult(answers[-1])
        return self._reader.load_rows(0, answers[-1].ntuples, tuple)

    def _send(self) -> None:
        """Send what libpq holds; go on when the socket takes more, if it does not take all."""
        try:
            is_sent = self._pgconn.flush() == 0
        except errors.Error as error:
            self._end(error)
            return
        if not is_sent:
            self._loop.add_writer(self._socket, self._send)
        elif self._is_stuck:
            self._loop.remove_writer(self._socket)
        self._is_stuck = not is_sent

    def _read(self) -> None:
        """Take what has arrived; of a server that has hung up all of it, down to the end.

        uvloop tells of an error of a socket once and of nothing after it, also when its last words stand before the
        error: who reads only the words waits for ever. Source: uvloop, handles/poll.pyx, ``__on_uvpoll_event``.
        """
        self._heard_at = self._loop.time()
        try:
            self._take()
            while self._hung_up.poll(0):
                self._take()
        except errors.Error as error:
            self._end(error)

    def _take(self) -> None:
        """Give each caller whose answer is whole its answer. Raises: psycopg.Error at the end of the line."""
        self._pgconn.consume_input()
        if self._is_stuck:
            self._send()
        while self._waiting and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                continue  # the end of one statement's answer
            if result.status != ExecStatus.PIPELINE_SYNC:
                self._arrived.append(result)
                continue
            answered, answers = self._waiting.popleft(), self._arrived
            self._arrived = []
            if not answered.done():
                answered.set_result(answers)

    def _look(self) -> None:
        """Give up a line that has been silent for too long, as nothing may wait for ever; look again if it was not."""
        self._watch = None
        if not self._waiting:
            return
        left = self._heard_at + SILENCE_SECONDS_MAX - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._end(errors.OperationalError("PostgreSQL has said nothing for too long"))

    def _end(self, error: errors.Error) -> None:
        if self.closed:
            return
        self.closed = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        for answered in self._waiting:
            if not answered.done():
                answered.set_exception(error)
        self._waiting.clear()


class Lines:
    """A few lines to one database, opened when they are first needed and again when they break."""

    def __init__(self, url: str, count: int = LINES) -> None:
        self._url = url
        self._lines: list[Line | None] = [None] * count
        self._opening = asyncio.Lock()

    async def call(self, statement: str, parameters: Sequence[str | None]) -> list[tuple[Any, ...]]:
        """Run a statement on the line with the shortest queue. Raises: psycopg.Error, as ``Line.call``."""
        line = min((line for line in self._lines if line and not line.closed), key=_queue, default=None)
        if line is None or (line.waiting and not self._opening.locked() and not all(map(_is_open, self._lines))):
            line = await self._opened()
        return await line.call(statement, parameters)

    async def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            if line is not None:
                await line.close()

    async def _opened(self) -> Line:
        async with self._opening:
            for place, line in enumerate(self._lines):
                if not _is_open(line):
                    opened = self._lines[place] = await Line.open(self._url, BY_KEYS)
                    return opened
        return min((line for line in self._lines if line is not None), key=_queue)


def _is_open(line: Line | None) -> bool:
    return line is not None and not line.closed


def _queue(line: Line) -> int:
    return line.waiting
