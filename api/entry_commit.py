"""The hot path of the door: claims, entries and answers of many requests in one transaction.

Three statements and one fsync for the whole batch: what is known of the keys (and their locks), the
books, the answers. A job that is refused has its refusal for an answer; a job whose key is held by
another transaction comes back empty-handed and is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import namedtuple_row
from starlette.responses import Response

from api.answers import JSON, Answer, Replay
from api.bodies import FINGERPRINT_VERSION
from api.door import Call
from api.errors import IdempotencyInProgress
from api.idempotency import WAIT_SECONDS_MAX, WAIT_STEP_SECONDS, check_same, known_answer
from api.problems import PROBLEM_JSON, problem_bytes, status_of
from ledger import journal
from ledger.clock import monotonic
from ledger.entry import Booked, Entry, Refused, Verdict
from ledger.errors import KopeykaError
from ledger.group_commit import GroupCommit
from ledger.ids import show

LOCKS_MAX = 250
"""Keys locked in one transaction: PostgreSQL's table of locks is shared by all."""
JOB_WEIGHT = 4
"""A batch weighs at most 1,000, so it holds at most ``LOCKS_MAX`` jobs."""

EntryBytes = Callable[[Entry, Booked, str], bytes]


@dataclass(frozen=True, slots=True)
class EntryJob:
    """One request to book one entry."""

    call: Call
    entry: Entry


Outcome = Answer | Replay | None
"""The answer; nothing when another transaction holds the key."""


def open_queue(url: str, show_entry: EntryBytes, *, queue_max: int, writers: int) -> GroupCommit[EntryJob, Outcome]:
    """The queue of a process. Each writer opens its connection when it is first needed."""

    async def commit_batch(connection: AsyncConnection[Any], jobs: Sequence[EntryJob]) -> list[Outcome | KopeykaError]:
        return await commit_entries(connection, jobs, show_entry)

    return GroupCommit(url, commit_batch, weigh=lambda _job: JOB_WEIGHT, queue_max=queue_max, writers=writers)


async def book_once(call: Call, entry: Entry) -> Response:
    """Book one entry once under the call's key, together with whatever else is waiting.

    Raises: IdempotencyRejected, IdempotencyInProgress, LedgerBusy.
    """
    deadline = monotonic() + WAIT_SECONDS_MAX
    job, wait = EntryJob(call, entry), WAIT_STEP_SECONDS
    while True:
        outcome: Outcome = await call.door.entries.submit(job)
        if outcome is not None:
            return outcome.response()
        if monotonic() + wait > deadline:
            call.outcome = "in_progress"
            raise IdempotencyInProgress()
        await asyncio.sleep(wait)
        wait = min(wait * 2, 0.2)


async def commit_entries(
    connection: AsyncConnection[Any], jobs: Sequence[EntryJob], show_entry: EntryBytes
) -> list[Outcome | KopeykaError]:
    """Carry a batch out in one transaction.

    Locks: the keys, tried and never waited for; then the accounts, in their one order.
    """
    firsts: dict[tuple[str, str], EntryJob] = {}
    for job in jobs:
        firsts.setdefault(_key(job), job)
    found: dict[tuple[str, str], Any] = {}
    async with connection.transaction(), AsyncCursor(connection, row_factory=namedtuple_row) as cursor:
        keys = list(firsts)
        scopes = _array(_quoted(scope) for scope, _ in keys)
        await cursor.execute(_KNOWN, (scopes, _array(_quoted(key) for _, key in keys)), prepare=True, binary=True)
        rows: list[Any] = await cursor.fetchall()
        for row in rows:
            found[keys[row.place - 1]] = row
        fresh = [job for key, job in firsts.items() if key not in found]
        if fresh:
            entries = [job.entry for job in fresh]
            verdicts = await journal.book_batch(connection, entries, now=fresh[0].call.now)
            made = {_key(job): _made(job, verdict, show_entry) for job, verdict in zip(fresh, verdicts, strict=True)}
            await cursor.execute(_FINISH, _columns(fresh, made), prepare=True, binary=True)
        else:
            made = {}
    return [_outcome(job, firsts[_key(job)], found, made) for job in jobs]


def _key(job: EntryJob) -> tuple[str, str]:
    assert job.call.key is not None
    return job.call.caller.idempotency_scope, job.call.key


def _made(job: EntryJob, verdict: Verdict, show_entry: EntryBytes) -> Answer:
    """The answer to a fresh job: the entry, or the books' refusal of it."""
    job.call.outcome = "new"
    if isinstance(verdict, Refused):
        error = verdict.error()
        entry_id = None if verdict.entry_id is None else show("ent", verdict.entry_id)
        return Answer(status_of(error), problem_bytes(error, job.call.request_id), PROBLEM_JSON, None, entry_id)
    entry_id = show("ent", verdict.entry_id)
    status = 200 if verdict.is_replay else 201
    return Answer(status, show_entry(job.entry, verdict, entry_id), JSON, f"/v1/ledger/entries/{entry_id}", entry_id)


def _outcome(
    job: EntryJob,
    first: EntryJob,
    found: dict[tuple[str, str], Any],
    made: dict[tuple[str, str], Answer],
) -> Outcome | KopeykaError:
    """What one job is told: its own answer, that of the same key, or a refusal."""
    key = _key(job)
    row = found.get(key)
    try:
        if row is None:
            return made[key] if job is first else _second(job, first, made[key])
        if row.is_busy:
            return None
        if row.status == "started":
            check_same(job.call, row)
            return IdempotencyInProgress(resource_id=row.resource_id)
        return known_answer(job.call, row)
    except KopeykaError as error:
        return error


def _second(job: EntryJob, first: EntryJob, answer: Answer) -> Replay:
    """A repeat that came in the same batch as the request it repeats."""
    call = first.call
    row = SimpleNamespace(
        fingerprint=call.fingerprint.digest, field_digests=call.fingerprint.fields, resource_id=answer.resource_id,
        created_at=call.now, request_id=call.request_id, method=call.method, route=call.route,
    )  # fmt: skip
    check_same(job.call, row)
    job.call.outcome = "replayed"
    return Replay(answer, call.request_id)


def _columns(jobs: Sequence[EntryJob], made: dict[tuple[str, str], Answer]) -> tuple[Any, ...]:
    """What is kept of each request, as arrays in PostgreSQL's own text: half the time of typed lists."""
    calls = [job.call for job in jobs]
    answers = [made[_key(job)] for job in jobs]
    return (
        FINGERPRINT_VERSION,
        calls[0].method,
        calls[0].route,
        _array(f'"{call.now.isoformat()}"' for call in calls),
        _array(str(answer.status) for answer in answers),
        _array(_hexadecimal(call.fingerprint.digest) for call in calls),
        _array(_hexadecimal(call.fingerprint.fields) for call in calls),
        _array(_quoted(call.caller.idempotency_scope) for call in calls),
        _array(_quoted(call.key) for call in calls),
        _array(_quoted(call.caller.key_id) for call in calls),
        _array(_quoted(call.request_id) for call in calls),
        _array(_quoted(answer.resource_id) for answer in answers),
        _array(_quoted(call.reason) for call in calls),
        _array(_quoted(answer.content_type) for answer in answers),
        _array(_quoted(answer.location) for answer in answers),
        _array(_hexadecimal(answer.body) for answer in answers),
    )


def _array(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _hexadecimal(value: bytes) -> str:
    return '"\\\\x' + value.hex() + '"'


_KNOWN = "SELECT place, is_busy, lease_is_over, (known).* FROM known_keys(%s::text[], %s::text[])"
_FINISH = """
INSERT INTO idempotency_keys (
    created_at, finished_at, attempt_no, status, fingerprint_version, method, route, response_status, fingerprint,
    field_digests, scope, key, api_key_id, request_id, resource_id, reason, content_type, location, response_body)
SELECT u.now, u.now, 1, 'finished', %s::smallint, %s::text, %s::text, u.status, u.fingerprint,
       u.fields, u.scope, u.key, u.api_key_id, u.request_id, u.resource_id, u.reason, u.content_type, u.location, u.body
  FROM unnest(%s::timestamptz[], %s::smallint[], %s::bytea[], %s::bytea[], %s::text[], %s::text[], %s::text[],
              %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[])
    AS u(now, status, fingerprint, fields, scope, key, api_key_id, request_id, resource_id, reason, content_type,
         location, body)"""
