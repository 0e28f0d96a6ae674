"""Group commit: what many callers ask at once becomes one transaction and one fsync.

Callers put jobs into a bounded queue. A writer takes whatever is waiting (no timer: alone it costs
nothing), carries the whole batch out in one transaction, and hands each caller its own answer. So a
busy door is faster than a quiet one, and a hot account is no slower than a cold one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import AsyncConnection

from ledger import entry as forms
from ledger import journal
from ledger.clock import monotonic
from ledger.database import RETRIES_MAX, connection_settings
from ledger.direct import Line
from ledger.entry import Entry, Verdict
from ledger.errors import KopeykaError, LedgerBusy

JOBS_MAX = 1_000
"""Jobs in one transaction."""
QUEUE_MAX = 4_096
"""Jobs that may wait; more are told to come back."""
CLOSE_SECONDS_MAX = 8
"""What is queued when we stop is still committed, within this time."""
WRITERS_MAX = 4
"""Two writers overlap one batch's Python with the other's PostgreSQL; more only make batches small."""

Job = TypeVar("Job")
Answer = TypeVar("Answer")
Connection = Any
"""What a batch is carried out on, psycopg's or a ``Line``: it says whether it is ``closed`` and can ``close()``."""
CommitBatch = Callable[[Connection, Sequence[Job]], Awaitable[Sequence[Answer | KopeykaError]]]
"""Carries jobs out in a transaction; an error in place of an answer is raised to its caller."""


async def connect_plainly(url: str) -> Connection:
    """A connection of psycopg with our limits."""
    return await AsyncConnection.connect(url, autocommit=True, **connection_settings())


@dataclass(slots=True)
class Meter:
    """What the queue did, for metrics."""

    batches: int = 0
    jobs: int = 0
    waited_seconds: float = 0.0
    largest_batch: int = 0


@dataclass(slots=True)
class _Waiting(Generic[Job, Answer]):
    job: Job
    answer: asyncio.Future[Answer]
    since: float


@dataclass(slots=True)
class GroupCommit(Generic[Job, Answer]):
    """A queue with one or two writers; what they write on is opened when first needed, and may be shared."""

    url: str
    commit_batch: CommitBatch[Job, Answer]
    weigh: Callable[[Job], int] = field(default=lambda _job: 1)
    """How much of a batch a job takes: its number of entries."""
    connect: Callable[[str], Awaitable[Connection]] = connect_plainly
    queue_max: int = QUEUE_MAX
    writers: int = 2
    meter: Meter = field(default_factory=Meter)
    _queue: deque[_Waiting[Job, Answer]] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _opened: set[Connection] = field(default_factory=set)
    """Closed when all writers have ended: they may share one."""
    _under_way: int = 0
    """Jobs that writers have taken, until those who asked had their turn to ask again."""
    _is_closing: bool = False

    async def __aenter__(self) -> GroupCommit[Job, Answer]:
        assert 1 <= self.writers <= WRITERS_MAX
        self._tasks = [asyncio.create_task(self._write()) for _ in range(self.writers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_closing = True
        self._arrived.set()
        await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS_MAX)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._opened:
            await _close(connection)

    async def submit(self, job: Job) -> Answer:
        """Wait until the job is committed and give its answer.

        A caller that goes away does not take its job back: it may already be on its way.
        Raises: LedgerBusy if too many jobs wait; what the batch function answers for this job.
        """
        if len(self._queue) >= self.queue_max or self._is_closing:
            raise LedgerBusy(waiting=len(self._queue))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(job, answer, monotonic()))
        self._arrived.set()
        return await answer

    async def _write(self) -> None:
        connection: Connection | None = None
        while batch := await self._take():
            try:
                if connection is None or connection.closed:
                    connection = await self.connect(self.url)
                    self._opened.add(connection)
                answers = await self._carry_out(connection, [waiting.job for waiting in batch])
            except Exception as error:  # told to each caller; a dead writer would leave the next ones waiting for ever
                self._fail(batch, error)
                connection = await self._kept(connection)
            except BaseException:
                self._fail(batch, LedgerBusy("the writer was stopped"))
                raise
            else:
                self._answer(batch, answers)
            await asyncio.sleep(0)  # who was answered may ask again, and is taken with the others
            self._under_way -= len(batch)

    async def _take(self) -> list[_Waiting[Job, Answer]]:
        """The next batch; an empty one when we are closing and nothing waits.

        A writer's share of all that waits and is under way: batches are as large as one another, and a statement's own
        cost is paid as seldom as can be.
        """
        while not self._queue:
            if self._is_closing:
                return []
            self._arrived.clear()
            await self._arrived.wait()
        share = -(-(len(self._queue) + self._under_way) // self.writers)
        batch: list[_Waiting[Job, Answer]] = []
        weight = 0
        while self._queue and len(batch) < min(share, JOBS_MAX):
            weight += self.weigh(self._queue[0].job)
            if batch and weight > forms.ENTRIES_MAX:
                break
            batch.append(self._queue.popleft())
        self._under_way += len(batch)
        now = monotonic()
        self.meter.batches += 1
        self.meter.jobs += len(batch)
        self.meter.largest_batch = max(self.meter.largest_batch, len(batch))
        self.meter.waited_seconds += sum(now - waiting.since for waiting in batch)
        return batch

    async def _kept(self, connection: Connection | None) -> Connection | None:
        """What of a connection is left after an error: a line goes on, others may be in the middle of anything."""
        if connection is None or (isinstance(connection, Line) and not connection.closed):
            return connection
        self._opened.discard(connection)
        await _close(connection)
        return None

    async def _carry_out(self, connection: Connection, jobs: Sequence[Job]) -> Sequence[Answer | KopeykaError]:
        for attempt in range(1, RETRIES_MAX + 1):
            try:
                return await self.commit_batch(connection, jobs)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == RETRIES_MAX:
                    raise
        raise AssertionError("unreachable")

    def _answer(self, batch: list[_Waiting[Job, Answer]], answers: Sequence[Answer | KopeykaError]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, KopeykaError):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _fail(self, batch: list[_Waiting[Job, Answer]], error: BaseException) -> None:
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)


async def _close(connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.close()


def entries_together(
    url: str,
    *,
    now: Callable[[], datetime],
    book: str = journal.MAIN_BOOK,
    writers: int = 2,
    queue_max: int = QUEUE_MAX,
) -> GroupCommit[Sequence[Entry], list[Verdict]]:
    """A group commit of entries: each job is one entry or a chain, answered with its verdicts.

    An entry that breaks a rule of form fails its own caller alone. The writers share one line: two batches
    at once would wait for each other's accounts, and the next one is there when PostgreSQL has done the last.
    """
    shared: Line | None = None
    one_at_a_time = asyncio.Lock()

    async def connect(url: str) -> Line:
        nonlocal shared
        async with one_at_a_time:
            if shared is None or shared.closed:
                shared = await Line.open(url)
            return shared

    async def commit_batch(line: Line, jobs: Sequence[Sequence[Entry]]) -> list[list[Verdict] | KopeykaError]:
        flat = [entry for job in jobs for entry in job]
        verdicts = iter(await journal.book_at_once(line, flat, now=now(), book=book))
        return [[next(verdicts) for _ in job] for job in jobs]

    return GroupCommit(url, commit_batch, weigh=len, connect=connect, queue_max=queue_max, writers=writers)


async def submit_entries(queue: GroupCommit[Sequence[Entry], list[Verdict]], entries: Sequence[Entry]) -> list[Verdict]:
    """Book entries together with whatever else is waiting.

    Raises: EntryRejected if one breaks a rule of form (before it can spoil the batch), LedgerBusy.
    """
    forms.check_batch(entries)
    return await queue.submit(entries)
