"""One key, one effect, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from starlette.responses import Response

from api import idempotency, old_answers
from api.answers import Answer, Replay
from api.callers import Caller
from api.door import Call
from api.errors import IdempotencyInProgress, IdempotencyKeyExpired
from api.idempotency import Claim
from ledger.database import Engine, Session, transaction
from ledger.errors import Rejected, Unavailable
from tests.api.conftest import Client, new_key, sale

ENTRIES = "/v1/ledger/entries"
ACCOUNTS = "/v1/ledger/accounts"


async def count(engine: Engine, sql: str) -> int:
    async with transaction(engine) as session:
        return int(await session.scalar(text(sql)) or 0)


@pytest.mark.parametrize("path", [ENTRIES, "/v1/ledger/entry-batches"], ids=["hot path", "ordinary path"])
async def test_256_requests_with_one_key_have_one_effect_and_one_answer(
    client: Client, accounts: tuple[str, str], engine: Engine, path: str
) -> None:
    key = new_key()
    body: Any = sale(accounts) if path == ENTRIES else {"atomic": True, "entries": [sale(accounts)]}

    answers = await asyncio.gather(*(client.post(path, body, key=key) for _ in range(256)))

    finished = [answer for answer in answers if answer.status_code in (200, 201)]
    assert {answer.content for answer in finished} == {finished[0].content}
    assert all(answer.status_code in (200, 201, 409) for answer in answers), {a.text for a in answers}
    assert len(finished) > 200
    assert sum("idempotent-replayed" not in answer.headers for answer in finished) == 1
    assert await count(engine, "SELECT count(*) FROM postings") == 1


async def test_a_repeat_by_another_spelling_of_the_same_json_is_the_same(
    client: Client, accounts: tuple[str, str]
) -> None:
    key = new_key()
    first = await client.post(ENTRIES, sale(accounts), key=key)
    body = dict(reversed(sale(accounts).items()))

    again = await client.post(ENTRIES, body, key=f'"{key}"')

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["original-request-id"] == first.headers["request-id"]


async def test_a_key_used_for_another_body_is_refused_with_what_differs(
    client: Client, accounts: tuple[str, str], engine: Engine
) -> None:
    key = new_key()
    first = await client.post(ENTRIES, sale(accounts), key=key)

    answer = await client.post(ENTRIES, {**sale(accounts), "kind": "refund"}, key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused")
    assert answer.json()["facts"]["resource_id"] == first.json()["id"]
    assert answer.json()["facts"]["differing_fields"] == ["kind"]
    assert await count(engine, "SELECT count(*) FROM postings") == 1


async def test_a_key_used_on_another_route_is_refused(client: Client, accounts: tuple[str, str]) -> None:
    key = new_key()
    assert (await client.post(ENTRIES, sale(accounts), key=key)).status_code == 201

    answer = await client.post(ACCOUNTS, {"code": "asset:cash:other"}, key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused")


@pytest.mark.parametrize("path", [ENTRIES, "/v1/ledger/holds"], ids=["hot path", "ordinary path"])
async def test_a_final_refusal_is_the_answer_to_every_repeat(
    client: Client, accounts: tuple[str, str], path: str
) -> None:
    key = new_key()
    posting = {"debit": "asset:cash:later", "credit": accounts[1], "amount": 5}
    head = {"reference": "r", "kind": "sale", "happened_at": "2026-11-22T09:00:00Z"}
    body = {**head, "postings": [posting]} if path == ENTRIES else {**head, **posting}
    first = await client.post(path, body, key=key)
    assert (first.status_code, first.json()["code"]) == (404, "ledger.unknown_account")
    await client.post(ACCOUNTS, {"code": "asset:cash:later"})

    again = await client.post(path, body, key=key)

    assert (again.status_code, again.content) == (404, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_was_refused_before_the_claim_leaves_the_key_free(client: Client, accounts: tuple[str, str]) -> None:
    key = new_key()
    assert (await client.post(ENTRIES, {**sale(accounts), "postings": []}, key=key)).status_code == 422

    answer = await client.post(ENTRIES, sale(accounts), key=key)

    assert answer.status_code == 201


async def test_a_caller_can_ask_whether_it_happened(client: Client, accounts: tuple[str, str]) -> None:
    key = new_key()
    made = await client.post(ENTRIES, sale(accounts), key=key, headers={"request-id": "my-request-1", "reason": "test"})

    known = await client.get(f"/v1/idempotency-keys/{key}")
    by_request = await client.get("/v1/requests/my-request-1")

    assert known.json()["resource_id"] == made.json()["id"]
    assert (known.json()["status"], known.json()["response_status"], known.json()["reason"]) == (
        "finished",
        201,
        "test",
    )
    assert [item["key"] for item in by_request.json()["items"]] == [key]
    unknown = await client.get(f"/v1/idempotency-keys/{new_key()}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "idempotency.key_unknown")


class Made(BaseModel):
    id: str


@pytest.fixture
def call_of(client: Client) -> Callable[..., Call]:
    """A call as a route gets it, each in a process of its own."""
    caller = Caller("key_1", "tests", None, "test", frozenset({"admin"}), None, "tenant/test")
    door = client.app.state.door

    def make(key: str, now: datetime | None = None) -> Call:
        return Call(
            door=replace(door, running={}),
            caller=caller,
            request_id="req-1",
            method="POST",
            route="/v1/things",
            path="/v1/things",
            query=b"",
            now=now or datetime.now(UTC),
            allowance=door.buckets.take("key_1", "writes"),
            key=key,
            body={},
        )

    return make


async def keep(_session: Session, claim: Claim) -> str:
    return claim.resource_id


async def made(_session: Session, resource_id: str, _result: object) -> Made:
    return Made(id=resource_id)


async def test_a_lost_answer_is_finished_by_the_next_attempt_with_the_same_id(call_of: Callable[..., Call]) -> None:
    key = new_key()
    seen: list[str] = []

    async def fail(resource_id: str) -> None:
        seen.append(resource_id)
        raise Unavailable

    async def succeed(resource_id: str) -> None:
        seen.append(resource_id)

    with pytest.raises(Unavailable):
        await idempotency.in_phases(call_of(key), intent=keep, act=fail, outcome=made, prefix="att")
    second = await idempotency.in_phases(call_of(key), intent=keep, act=succeed, outcome=made, prefix="att")
    third = await idempotency.in_phases(call_of(key), intent=keep, act=fail, outcome=made, prefix="att")

    assert seen[0] == seen[1]
    assert len(seen) == 2
    assert second.body == third.body
    assert third.headers["idempotent-replayed"] == "true"


async def test_an_attempt_that_was_overtaken_cannot_write(call_of: Callable[..., Call], engine: Engine) -> None:
    key = new_key()
    effects: list[int] = []

    async def slow(_resource_id: str) -> int:
        async with transaction(engine) as session:
            await session.execute(text("UPDATE idempotency_keys SET lease_until = clock_timestamp()"))
        winner = await idempotency.in_phases(call_of(key), intent=keep, act=quick, outcome=counted, prefix="att")
        assert winner.status_code == 201
        return 1

    async def quick(_resource_id: str) -> int:
        return 2

    async def counted(session: Session, resource_id: str, result: int) -> Made:
        effects.append(result)
        return await made(session, resource_id, None)

    with pytest.raises(IdempotencyInProgress):
        await idempotency.in_phases(call_of(key), intent=keep, act=slow, outcome=counted, prefix="att")

    assert effects == [2, 1], "the late attempt's outcome ran, and its transaction was undone"
    assert await count(engine, "SELECT attempt_no FROM idempotency_keys") == 2


async def test_while_an_attempt_runs_its_repeat_is_told_to_come_back(
    call_of: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS_MAX", 0.1)
    key = new_key()

    async def meanwhile(_resource_id: str) -> None:
        with pytest.raises(IdempotencyInProgress):
            await idempotency.in_phases(call_of(key), intent=keep, act=meanwhile, outcome=made, prefix="att")

    answer = await idempotency.in_phases(call_of(key), intent=keep, act=meanwhile, outcome=made, prefix="att")

    assert answer.status_code == 201


async def test_a_request_that_hangs_keeps_its_key_no_longer_than_its_lease(
    call_of: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS_MAX", 0.1)
    monkeypatch.setattr(idempotency, "LEASE_SECONDS", 1)
    has_begun, may_go_on, first = asyncio.Event(), asyncio.Event(), call_of(new_key())

    async def hang(_resource_id: str) -> None:
        has_begun.set()
        await may_go_on.wait()

    async def answer_at_once(_resource_id: str) -> None: ...

    def again() -> Call:
        return replace(call_of(first.key or ""), door=first.door)

    async def repeat() -> Response:
        return await idempotency.in_phases(again(), intent=keep, act=answer_at_once, outcome=made, prefix="att")

    hanging = asyncio.create_task(idempotency.in_phases(first, intent=keep, act=hang, outcome=made, prefix="att"))
    await has_begun.wait()
    with pytest.raises(IdempotencyInProgress):
        await repeat()
    await asyncio.sleep(1.2)
    answer = await repeat()
    may_go_on.set()
    with pytest.raises(IdempotencyInProgress):
        await hanging

    assert answer.status_code == 201
    assert first.door.running == {}


async def test_a_refused_intent_or_outcome_is_final(call_of: Callable[..., Call]) -> None:
    async def refuse(*_arguments: Any) -> Any:
        raise Rejected

    async def nothing(_intended: str) -> None:
        return None

    for intent, outcome in ((refuse, made), (keep, refuse)):
        key = new_key()
        phases: dict[str, Any] = {"intent": intent, "act": nothing, "outcome": outcome}
        first: Response = await idempotency.in_phases(call_of(key), **phases)
        again: Response = await idempotency.in_phases(call_of(key), **phases)

        assert first.status_code == again.status_code == 422
        assert first.body == again.body


async def test_old_answers_are_emptied_then_their_rows_removed(call_of: Callable[..., Call], engine: Engine) -> None:
    key, start = new_key(), datetime(2026, 1, 1, tzinfo=UTC)

    async def work(_session: Session, claim: Claim) -> Made:
        return Made(id=claim.resource_id)

    await idempotency.once(call_of(key, start), work)
    for days, left in ((29, 0), (31, 1), (399, 0)):
        async with transaction(engine) as session:
            assert await old_answers.clear_old(session, start + timedelta(days=days)) == left
    with pytest.raises(IdempotencyKeyExpired):
        await idempotency.once(call_of(key, start), work)
    async with transaction(engine) as session:
        assert await old_answers.clear_old(session, start + timedelta(days=401)) == 1
    assert await count(engine, "SELECT count(*) FROM idempotency_keys") == 0


async def test_a_replay_is_a_value_of_its_own(call_of: Callable[..., Call]) -> None:
    answer = Answer(201, b"{}", location="/v1/things/1")

    response = Replay(answer, "req-first").response()

    assert (response.status_code, response.headers["location"]) == (201, "/v1/things/1")
    assert response.headers["original-request-id"] == "req-first"
