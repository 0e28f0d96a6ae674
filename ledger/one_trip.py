"""A connection of psycopg that carries a statement out in one round trip, its BEGIN and its PREPARE with it.

psycopg asks for each of these by itself and waits for its answer, and makes a cursor, a query and a set of converters
for every statement. Here converters stay with the connection; which statements are prepared is psycopg's own book, so
statements that go either way share it. DECISIONS.md, 24.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection, errors, generators
from psycopg._preparing import Prepare
from psycopg.abc import Buffer
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

CANCEL_SECONDS_MAX = 5
"""How long somebody who is cut short waits for PostgreSQL to hear of it."""
Carried = tuple[PGresult, list[tuple[Any, ...]]]
"""A statement's result, and its rows."""
_ENDS = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_COPIES = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
"""Never over by itself: libpq gives it again for as long as it is asked."""


class _Query(NamedTuple):
    """A statement with its values, as they go out."""

    query: bytes
    types: tuple[int, ...]
    values: Sequence[Buffer | None]
    formats: Sequence[Format]


class SessionLine(AsyncConnection[Any]):
    """A connection whose statements take one round trip each."""

    async def carry_out(self, sql: str, values: Sequence[Any] | None) -> Carried:
        """Run one statement with parameters ``$1`` and on, and give its result and its rows.

        A transaction is begun if none is open. Raises: psycopg.Error.
        """
        async with self.lock:
            query = self._query(sql, values or ())
            prepare, name = self._prepared.get(query)  # type: ignore[arg-type]  # it looks at two fields
            answers = await self._answers(self._ask(query, prepare, name))
            answer = answers[-1]
            for each in answers:
                if each.status not in _ENDS:
                    raise errors.error_from_result(each, encoding=self.info.encoding)
            key = self._prepared.maybe_add_to_cache(query, prepare, name)  # type: ignore[arg-type]
            if key is not None:
                self._prepared.validate(key, prepare, name, [answer])
                await self.wait(self._prepared.maintain_gen(self))
        self._converters.set_pgresult(answer)
        return answer, self._converters.load_rows(0, answer.ntuples, tuple)

    @property
    def _converters(self) -> Any:
        found = self.__dict__.get("converters")
        if found is None:
            found = self.__dict__["converters"] = Transformer(self)
        return found

    def _query(self, sql: str, values: Sequence[Any]) -> _Query:
        converters = self._converters
        dumped = converters.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return _Query(sql.encode(), converters.types or (), dumped, converters.formats or ())

    def _ask(self, query: _Query, prepare: Prepare, name: bytes) -> bool:
        """Put a statement, and what must come before it, on its way. Gives whether that is more than one command."""
        pgconn = self.pgconn
        begins = pgconn.transaction_status == TransactionStatus.IDLE and not self.autocommit
        is_pipeline = begins or prepare is Prepare.SHOULD
        if is_pipeline:
            pgconn.enter_pipeline_mode()
        if begins:
            pgconn.send_query_params(self._get_tx_start_command(), None)
        if prepare is Prepare.SHOULD:
            pgconn.send_prepare(name, query.query, param_types=query.types)
        if prepare is Prepare.NO:
            pgconn.send_query_params(query.query, query.values, param_types=query.types, param_formats=query.formats)
        else:
            pgconn.send_query_prepared(name, query.values, param_formats=query.formats)
        if is_pipeline:
            pgconn.pipeline_sync()
        return is_pipeline

    async def _answers(self, is_pipeline: bool) -> list[PGresult]:
        """What comes back; who is cut short meanwhile leaves no statement behind, and the connection is given up."""
        whole = False
        try:
            if self.pgconn.flush():
                await self.wait(generators.send(self.pgconn))
            answers = await self._arrived(is_pipeline)
            whole = True
        finally:
            if not whole:
                await self._give_up()
        if is_pipeline:
            self.pgconn.exit_pipeline_mode()
        return answers

    async def _arrived(self, is_pipeline: bool) -> list[PGresult]:
        """The results of what was asked.

        libpq closes the socket as soon as it finds it broken, and the next connection may get its number at once: so
        who listens to it stops in the same step, never later.
        """
        pgconn, answers = self.pgconn, list[PGresult]()
        loop, socket = asyncio.get_running_loop(), self.pgconn.socket
        done: asyncio.Future[None] = loop.create_future()
        listens = True

        def stop() -> None:
            nonlocal listens
            if listens:
                listens = False
                loop.remove_reader(socket)

        def read() -> None:
            try:
                pgconn.consume_input()
                while not (done.done() or pgconn.is_busy()):
                    answer = pgconn.get_result()
                    if answer is not None and answer.status in _COPIES:
                        raise errors.ProgrammingError("COPY is no plain statement: it goes by a cursor")
                    if answer is not None and answer.status != ExecStatus.PIPELINE_SYNC:
                        answers.append(answer)
                    elif answer is not None or not is_pipeline:
                        stop()
                        done.set_result(None)
            except errors.Error as error:
                stop()
                if not done.done():
                    done.set_exception(error)

        loop.add_reader(socket, read)
        try:
            await done
        finally:
            stop()
        return answers

    async def _give_up(self) -> None:
        try:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                with contextlib.suppress(Exception):
                    await self.cancel_safe(timeout=CANCEL_SECONDS_MAX)
        finally:
            self.pgconn.finish()
