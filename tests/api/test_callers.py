"""API keys: what they may do, for whom, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api import callers
from api.callers import Caller, create_key, list_keys, revoke_key, rotate_key
from api.errors import CallerRejected, ResourceUnknown
from api.rate_limit import Buckets
from ledger.database import Engine, transaction
from tests.api.conftest import Client, sale


async def key_with(engine: Engine, *scopes: str, **options: Any) -> tuple[str, str]:
    async with transaction(engine) as session:
        made, secret = await create_key(
            session, name="some", scopes=scopes, mode="test", now=datetime.now(UTC), **options
        )
    return made.id, secret.expose()


async def test_a_key_does_what_its_scopes_say_and_no_more(client: Client, accounts: tuple[str, str]) -> None:
    _, client.api_key = await key_with(client.app.state.door.engine, "ledger:read")

    assert (await client.get("/v1/ledger/accounts")).status_code == 200
    answer = await client.post("/v1/ledger/entries", sale(accounts))
    assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing")


async def test_a_key_is_shown_once_and_kept_as_a_hash(engine: Engine) -> None:
    key_id, secret = await key_with(engine, "ledger:read")

    async with transaction(engine) as session:
        rows = (await session.execute(text("SELECT * FROM api_keys"))).mappings().all()
        (listed,) = await list_keys(session)
    assert secret not in str([dict(row) for row in rows])
    assert (listed.id, listed.prefix) == (key_id, secret[:12])


async def test_a_revoked_key_is_unknown(client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "CACHE_SECONDS", -1.0)
    key_id, client.api_key = await key_with(engine, "ledger:read")
    assert (await client.get("/v1/clock")).status_code == 200

    async with transaction(engine) as session:
        await revoke_key(session, key_id, now=datetime.now(UTC))

    answer = await client.get("/v1/clock")
    assert (answer.status_code, answer.json()["code"]) == (401, "api.key_unknown")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_old_key_works_beside_its_successor_until_the_overlap_ends(client: Client, engine: Engine) -> None:
    key_id, client.api_key = await key_with(engine, "ledger:read")

    async with transaction(engine) as session:
        made, _ = await rotate_key(session, key_id, now=datetime.now(UTC), overlap=timedelta(hours=1))

    assert made.scopes == ("ledger:read",)
    assert (await client.get("/v1/clock")).status_code == 200
    client.app.state.door.clock.offset = timedelta(hours=2)
    answer = await client.get("/v1/clock")
    assert (answer.status_code, answer.json()["code"]) == (401, "api.key_expired")
    async with transaction(engine) as session:
        with pytest.raises(ResourceUnknown):
            await rotate_key(session, key_id, now=datetime.now(UTC) + timedelta(hours=2))


async def test_a_live_key_does_not_open_a_sandbox(client: Client, engine: Engine) -> None:
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="live", scopes=["admin"], mode="live", now=datetime.now(UTC))
    client.api_key = secret.expose()

    assert (await client.get("/v1/clock")).status_code == 401


REFUSED = [
    pytest.param({"scopes": []}, id="no scope"),
    pytest.param({"scopes": ["everything"]}, id="unknown scope"),
    pytest.param({"scopes": ["ledger:read"], "merchant_id": "mer_1"}, id="the books for one merchant"),
    pytest.param({"scopes": ["admin"], "name": ""}, id="no name"),
]


@pytest.mark.parametrize("wanted", REFUSED)
async def test_a_key_that_would_be_wrong_is_not_made(engine: Engine, wanted: dict[str, Any]) -> None:
    async with transaction(engine) as session:
        with pytest.raises(CallerRejected):
            await create_key(session, **{"name": "some", "mode": "test", "now": datetime.now(UTC), **wanted})


async def test_unknown_keys_cannot_be_revoked_or_rotated(engine: Engine) -> None:
    async with transaction(engine) as session:
        for change in (revoke_key, rotate_key):
            with pytest.raises(ResourceUnknown):
                await change(session, "key_none", now=datetime.now(UTC))


def test_a_merchant_sees_its_own_only() -> None:
    caller = Caller("key_1", "shop", "mer_1", "test", frozenset({"orders:read"}), None, "mer_1/test")

    assert caller.sees("mer_1")
    assert not caller.sees("mer_2")


@pytest.mark.usefixtures("buckets_stay_empty")
async def test_too_many_requests_are_told_when_to_come_back(client: Client) -> None:
    client.app.state.door.buckets = Buckets(per_second=1)

    answers = [await client.get("/v1/clock") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"reads";q=2;w=2'
    assert answers[2].headers["ratelimit"].startswith('"reads";r=0;t=')
    assert answers[2].headers["retry-after"] == "1"
    assert answers[2].json()["code"] == "api.rate_limited"
