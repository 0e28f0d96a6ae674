"""Idempotency: one key, one effect, one answer, whatever breaks in between.

A route that only books uses ``once``: claim, effect and answer are one transaction. A route that
calls another system uses ``in_phases``: claim and intent are committed, then comes the call, then
outcome and answer are committed, and an attempt that was overtaken cannot write (fencing).

    async def work(session: Session, claim: Claim) -> OrderView: ...
    return await once(call, work)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from api.answers import JSON, Answer, Replay
from api.bodies import FINGERPRINT_VERSION, differing_fields
from api.door import Call, Running
from api.errors import IdempotencyInProgress, IdempotencyKeyExpired, IdempotencyKeyReused
from api.problems import PROBLEM_JSON, problem_bytes, status_of
from ledger.clock import monotonic
from ledger.database import Session, in_transaction, text, transaction, violated_constraint
from ledger.errors import Rejected
from ledger.ids import new_id

WAIT_SECONDS_MAX = 2.0
"""How long a repeat waits for the first request before it is told to come back."""
WAIT_STEP_SECONDS = 0.02
LEASE_SECONDS = 30
"""How long an attempt with a call in the middle is left alone."""

Intended = TypeVar("Intended")
Result = TypeVar("Result")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """A key taken for this request, or the answer it already has."""

    response: Replay | None
    resource_id: str
    """The id chosen when the key was first seen: every attempt makes the same object."""
    attempt_no: int


class Road(Protocol[Intended, Seen_contra]):
    """A shorter way to the same rows for the usual case. It writes all of them, or nothing and gives nothing."""

    async def begin(self, call: Call) -> tuple[Claim, Intended] | None:
        """Claim and intent, committed."""

    async def finish(self, call: Call, begun_at: datetime, intended: Intended, result: Seen_contra) -> Answer | None:
        """Outcome and answer, committed."""


class _Busy(Exception):  # not an error: the same key is being carried out elsewhere
    """Another transaction holds the key."""


class _Refused(Exception):  # carries a final refusal out of its transaction
    def __init__(self, error: Rejected) -> None:
        self.error = error


async def once(
    call: Call,
    work: Callable[[Session, Claim], Awaitable[BaseModel | Answer]],
    *,
    status: int = 201,
    prefix: str = "obj",
    location: str | None = None,
) -> Response:
    """Carry out ``work`` in one transaction with its claim and answer, or repeat the first answer.

    ``claim.resource_id`` is a new id with ``prefix``. ``location`` may hold ``{id}``. A refusal
    (``Rejected``) raised by ``work`` undoes what it did and is the final answer.

    Raises: IdempotencyRejected, IdempotencyInProgress, what ``work`` raises that is no refusal.
    """

    async def attempt(session: Session) -> Answer | Replay:
        claim = await claim_key(session, call, prefix)
        if claim.response is not None:
            return claim.response
        view = await _refusable(work(session, claim))
        answer = _answer(view, status, location, claim)
        await settle(session, call, claim, answer)
        return answer

    async def carry_out() -> Answer | Replay:
        try:
            return await _when_free(call, attempt)
        except _Refused as refused:
            return await _store_refusal(call, refused.error, prefix)

    return (await _one_at_a_time(call, carry_out)).response()


async def in_phases(
    call: Call,
    *,
    intent: Callable[[Session, Claim], Awaitable[Intended]],
    act: Callable[[Intended], Awaitable[Result]],
    outcome: Callable[[Session, Intended, Result], Awaitable[BaseModel | Answer]],
    status: int = 201,
    prefix: str = "obj",
    location: str | None = None,
    road: Road[Intended, Result] | None = None,
) -> Response:
    """Claim and ``intent`` (commit), then ``act`` outside any transaction, then ``outcome`` and answer (commit).

    ``intent`` runs again on a retry after a crash, with the same ``claim.resource_id``: it must find
    what it wrote. A lost answer is for ``act`` to report as a value (unknown), never to guess. ``call.now`` is
    read anew for the intent, so that a lease lasts as long as it says, and for the outcome. ``road`` is tried first
    on both sides of the call, where there is a shorter one.

    Raises: IdempotencyRejected, IdempotencyInProgress, Unavailable of ``act`` (the key stays started).
    """

    async def begin(session: Session) -> tuple[Claim, Intended] | Replay:
        call.now = call.door.clock.now()
        claim = await claim_key(session, call, prefix, with_lease=True)
        if claim.response is not None:
            return claim.response
        return claim, await _refusable(intent(session, claim))

    async def finish(session: Session, claim: Claim, intended: Intended, result: Result) -> Answer:
        call.now = call.door.clock.now()
        view = await _refusable(outcome(session, intended, result))
        answer = _answer(view, status, location, claim)
        await settle(session, call, claim, answer)
        return answer

    async def shortly() -> tuple[Claim, Intended] | None:
        call.now = call.door.clock.now()
        return None if road is None else await _refusable(road.begin(call))

    async def carry_out() -> Answer | Replay:
        try:
            begun: tuple[Claim, Intended] | Replay | None = await shortly()
            if begun is None:
                begun = await _when_free(call, begin)
        except _Refused as refused:
            return await _store_refusal(call, refused.error, prefix)
        if isinstance(begun, Replay):
            return begun
        claim, intended = begun
        begun_at = call.now
        try:
            result = await act(intended)
            if road is not None:
                call.now = call.door.clock.now()
                if (answer := await road.finish(call, begun_at, intended, result)) is not None:
                    return answer
            return await in_transaction(call.engine, lambda session: finish(session, claim, intended, result))
        except _Refused as refused:
            answer = _refusal(call, refused.error)
            await in_transaction(call.engine, lambda session: settle(session, call, claim, answer))
            return answer
        except BaseException:
            await in_transaction(call.engine, lambda session: _end_lease(session, call, claim))
            raise

    return (await _one_at_a_time(call, carry_out)).response()


async def answered_before(call: Call) -> Response | None:
    """The answer that the call's key has already, for a route that asks another system before it can begin.

    Raises: IdempotencyKeyReused, IdempotencyKeyExpired.
    """
    arguments = {"scopes": [call.caller.idempotency_scope], "keys": [call.key]}
    async with transaction(call.engine) as session:
        row = (await session.execute(text(_KNOWN), arguments)).first()
    return known_answer(call, row).response() if row is not None and row.status == "finished" else None


async def claim_key(session: Session, call: Call, prefix: str, *, with_lease: bool = False) -> Claim:
    """Take the call's key for this transaction, or find the answer it already has.

    Locks: an advisory lock on the key, tried and never waited for.
    Raises: IdempotencyKeyReused, IdempotencyKeyExpired, IdempotencyInProgress.
    """
    assert call.key is not None, "only a request with an idempotency key is carried out once"
    fresh = Claim(None, new_id(prefix, call.now), 1)
    arguments: dict[str, Any] = {"scopes": [call.caller.idempotency_scope], "keys": [call.key]}
    if with_lease:
        arguments |= {**_row_of(call, fresh), "lease_seconds": LEASE_SECONDS}
    row = (await session.execute(text(_START_IF_NEW if with_lease else _KNOWN), arguments)).first()
    if row is not None and row.is_busy:
        raise _Busy
    if row is not None and (row.status == "finished" or not row.lease_is_over):
        return Claim(_known_answer(call, row), row.resource_id or "", row.attempt_no)
    if row is None:
        call.outcome = "new"
        return fresh
    call.outcome = "recovered"
    check_same(call, row)
    claim = Claim(None, fresh.resource_id if row.resource_id is None else row.resource_id, row.attempt_no + 1)
    if with_lease:
        await session.execute(text(_START), {**_row_of(call, claim), "lease_seconds": LEASE_SECONDS})
    return claim


async def settle(session: Session, call: Call, claim: Claim, answer: Answer) -> None:
    """Write the answer under the call's key, in the transaction of the effect.

    Raises: IdempotencyInProgress if a later attempt has taken over; the caller's effect must be undone.
    """
    done = await session.execute(
        text(_FINISH),
        {
            **_row_of(call, claim),
            "resource_id": answer.resource_id or claim.resource_id,
            "status": answer.status,
            "body": answer.body,
            "content_type": answer.content_type,
            "location": answer.location,
        },
    )
    if done.rowcount != 1:
        raise IdempotencyInProgress(attempt_no=claim.attempt_no)


def known_answer(call: Call, known: Any) -> Replay:
    """What a finished row says to this call.

    Raises: IdempotencyKeyReused if the row is of another request, IdempotencyKeyExpired if its answer is gone.
    """
    check_same(call, known)
    if known.response_body is None:
        call.outcome = "expired"
        raise IdempotencyKeyExpired(resource_id=known.resource_id, first_at=known.created_at)
    call.outcome = "replayed"
    answer = Answer(
        known.response_status, bytes(known.response_body), known.content_type, known.location, known.resource_id
    )
    return Replay(answer, known.request_id)


def check_same(call: Call, known: Any) -> None:
    """Refuse a key that was used for another request.

    Raises: IdempotencyKeyReused with the first request's object, time and the fields that differ.
    """
    if bytes(known.fingerprint) == call.fingerprint.digest:
        return
    call.outcome = "mismatch"
    raise IdempotencyKeyReused(
        resource_id=known.resource_id,
        first_at=known.created_at,
        first_request_id=known.request_id,
        first_route=f"{known.method} {known.route}",
        differing_fields=differing_fields(call.body, bytes(known.field_digests)),
    )


async def _one_at_a_time(call: Call, carry_out: Callable[[], Awaitable[Answer | Replay]]) -> Answer | Replay:
    """Let the repeats that reach this process meanwhile wait for its one answer, without a connection each.

    Whoever takes longer than its lease is waited for no more: what repeats then may do, PostgreSQL says, so that a
    request that hangs in one process does not keep its key for ever.
    Raises: IdempotencyKeyReused, IdempotencyInProgress; what ``carry_out`` raises, to its own caller alone.
    """
    key = (call.caller.idempotency_scope, call.key or "")
    deadline = monotonic() + WAIT_SECONDS_MAX
    while (first := call.door.running.get(key)) is not None and monotonic() < first.since + LEASE_SECONDS:
        check_same(call, _row_like(first.call))
        try:
            await asyncio.wait_for(first.is_over.wait(), deadline - monotonic())
        except TimeoutError:
            call.outcome = "in_progress"
            raise IdempotencyInProgress() from None
        if first.answer is not None:
            call.outcome = "replayed"
            return Replay(first.answer, first.call.request_id)
    running = call.door.running[key] = Running(call)
    try:
        outcome = await carry_out()
        running.answer = outcome if isinstance(outcome, Answer) else None
        return outcome
    finally:
        if call.door.running.get(key) is running:
            del call.door.running[key]
        running.is_over.set()


def _row_like(call: Call) -> Any:
    """A request that still runs, as ``check_same`` looks at rows."""
    return SimpleNamespace(
        fingerprint=call.fingerprint.digest, field_digests=call.fingerprint.fields, resource_id=None,
        created_at=call.now, request_id=call.request_id, method=call.method, route=call.route,
    )  # fmt: skip


async def _refusable(work: Awaitable[Result]) -> Result:
    try:
        return await work
    except Rejected as error:
        raise _Refused(error) from error


async def _store_refusal(call: Call, error: Rejected, prefix: str) -> Answer | Replay:
    """Undone work leaves one thing: its refusal, which is the answer to every repeat."""
    answer = _refusal(call, error)

    async def attempt(session: Session) -> Answer | Replay:
        claim = await claim_key(session, call, prefix, with_lease=True)
        if claim.response is not None:
            return claim.response
        await settle(session, call, claim, answer)
        return answer

    return await _when_free(call, attempt)


async def _when_free(call: Call, attempt: Callable[[Session], Awaitable[Result]]) -> Result:
    """Try again while another request holds the key, without keeping a connection meanwhile."""
    deadline = monotonic() + WAIT_SECONDS_MAX
    wait = WAIT_STEP_SECONDS
    while True:
        try:
            return await in_transaction(call.engine, attempt)
        except (_Busy, IdempotencyInProgress):
            pass
        except DBAPIError as error:
            if violated_constraint(error) != "idempotency_keys_pkey":
                raise
        if monotonic() + wait > deadline:
            call.outcome = "in_progress"
            raise IdempotencyInProgress()
        await asyncio.sleep(wait)
        wait = min(wait * 2, 0.2)


def _refusal(call: Call, error: Rejected) -> Answer:
    if call.refusal is not None:
        return call.refusal(error, call.request_id)
    return Answer(status_of(error), problem_bytes(error, call.request_id), PROBLEM_JSON)


def _known_answer(call: Call, row: Any) -> Replay:
    if row.status == "finished":
        return known_answer(call, row)
    check_same(call, row)
    raise IdempotencyInProgress(resource_id=row.resource_id)


def _answer(view: BaseModel | Answer, status: int, location: str | None, claim: Claim) -> Answer:
    if isinstance(view, Answer):
        return view
    resource_id = str(getattr(view, "id", claim.resource_id))
    where = location.format(id=resource_id) if location else None
    return Answer(status, view.model_dump_json().encode(), JSON, where, resource_id)


def _row_of(call: Call, claim: Claim) -> dict[str, Any]:
    return {
        "scope": call.caller.idempotency_scope,
        "key": call.key,
        "now": call.now,
        "attempt_no": claim.attempt_no,
        "version": FINGERPRINT_VERSION,
        "fingerprint": call.fingerprint.digest,
        "field_digests": call.fingerprint.fields,
        "api_key_id": call.caller.key_id,
        "request_id": call.request_id,
        "method": call.method,
        "route": call.route,
        "resource_id": claim.resource_id,
        "reason": call.reason,
    }


async def _end_lease(session: Session, call: Call, claim: Claim) -> None:
    """Let a retry go on at once: this attempt has given up."""
    await session.execute(
        text("""UPDATE idempotency_keys SET lease_until = clock_timestamp()
                 WHERE scope = :scope AND key = :key AND attempt_no = :attempt_no AND status = 'started'"""),
        {"scope": call.caller.idempotency_scope, "key": call.key, "attempt_no": claim.attempt_no},
    )


_KNOWN = "SELECT place, is_busy, lease_is_over, (known).* FROM known_keys(:scopes, :keys)"

_STARTED = """
INSERT INTO idempotency_keys AS k (
    created_at, lease_until, attempt_no, fingerprint_version, fingerprint, field_digests, scope, key, api_key_id,
    request_id, status, method, route, resource_id, reason)
SELECT CAST(:now AS timestamptz), clock_timestamp() + make_interval(secs => :lease_seconds),
       CAST(:attempt_no AS integer), CAST(:version AS smallint), CAST(:fingerprint AS bytea),
       CAST(:field_digests AS bytea), :scope, :key, :api_key_id, :request_id, 'started', :method, :route, :resource_id,
       :reason"""

_START = f"""{_STARTED}
ON CONFLICT (scope, key) DO UPDATE
   SET lease_until = excluded.lease_until, attempt_no = excluded.attempt_no
 WHERE k.status = 'started' AND k.attempt_no = excluded.attempt_no - 1"""  # noqa: S608  # our own words

_START_IF_NEW = f"""
WITH found AS MATERIALIZED ({_KNOWN}),
started AS ({_STARTED} WHERE NOT EXISTS (SELECT FROM found))
SELECT * FROM found"""  # noqa: S608  # our own words
"""The known answer, or a started row of ours in the same breath."""

_FINISH = """
INSERT INTO idempotency_keys AS k (
    created_at, finished_at, attempt_no, response_status, fingerprint_version, fingerprint, field_digests, scope,
    key, api_key_id, request_id, status, method, route, resource_id, reason, content_type, location, response_body)
VALUES (:now, :now, :attempt_no, :status, :version, :fingerprint, :field_digests, :scope,
        :key, :api_key_id, :request_id, 'finished', :method, :route, :resource_id, :reason, :content_type, :location,
        :body)
ON CONFLICT (scope, key) DO UPDATE
   SET finished_at = excluded.finished_at, response_status = excluded.response_status, status = 'finished',
       resource_id = excluded.resource_id, content_type = excluded.content_type, location = excluded.location,
       response_body = excluded.response_body, lease_until = NULL
 WHERE k.status = 'started' AND k.attempt_no = excluded.attempt_no"""
