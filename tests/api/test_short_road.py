"""The short road of a dynamic code writes what the long way writes, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.callers import Caller
from api.door import Call
from api.idempotency import in_phases
from api.rate_limit import Allowance
from api.routes.orders import AttemptView
from api.short_road import ShortRoad
from checkout import till
from checkout.rail import Start, StartStatus
from ledger.database import Session
from tests.api.conftest import Client, new_key
from tests.api.test_rail_constraints import ORDER, ROWS, insert, shown
from tests.conftest import Database

LINK = "AD10000000000000000000000000TEST"
STARTED = Start(StartStatus.STARTED, LINK, "https://qr.nspk.ru/" + LINK)
COUNTED = """SELECT count(*) FROM (
    SELECT id FROM attempts UNION ALL SELECT id FROM qr_codes UNION ALL SELECT key FROM idempotency_keys) AS rows"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A way to look and to meddle: three orders of a merchant that may take payments."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for table in ("merchants", "stores", "terminals", "orders", "sbp_merchants"):
            insert(connection, table, ROWS[table])
        for number in (2, 3):
            more = {"id": shown("ord", number), "number": f"A-{number}", "description": "Кофе и хлеб"}
            insert(connection, "orders", ROWS["orders"] | more)
        yield connection


@pytest_asyncio.fixture
async def call(client: Client, owner: Any, now: datetime) -> AsyncIterator[Call]:
    door = client.app.state.door
    caller = Caller("key_1", "tests", None, "test", frozenset({"admin"}), None, "tenant/test")
    yield Call(
        door=door, caller=caller, request_id="req_1", method="POST", route="/v1/orders/{order_id}/attempts",
        path=f"/v1/orders/{ORDER}/attempts", query=b"", now=now, key=new_key(), body={"rail": "sbp"},
        allowance=Allowance(True, "writes", 1, 1, 1),
    )  # fmt: skip


def road_of(call: Call, order_id: str = ORDER) -> ShortRoad:
    return ShortRoad(call.door.wiring.rail, order_id, AttemptView.of)


async def carried_out(call: Call, order_id: str, *, shortly: bool) -> Any:
    """The attempt as the route makes it, with an answer of NSPK that has come."""
    rail = call.door.wiring.rail

    async def intent(session: Session, claim: Any) -> Any:
        _, offer = await till.begin_attempt(
            session, rail, claim.resource_id, order_id=order_id, merchant_id=None, now=call.now
        )
        return claim.resource_id, offer

    async def act(_intended: Any) -> Start:
        return replace(STARTED, link_id=LINK[:-1] + order_id[-1])

    async def outcome(session: Session, intended: Any, start: Start) -> AttemptView:
        attempt = await till.record_start(session, rail, intended[1], start, now=call.now)
        return AttemptView.of(attempt, (await rail.shown(session, [attempt.id]))[attempt.id])

    road = road_of(call, order_id) if shortly else None
    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="att", road=road)


async def test_both_ways_write_the_same_rows(call: Call, owner: psycopg.Connection[Any]) -> None:
    answers = [
        await carried_out(replace(call, key=new_key(), _fingerprint=None), shown("ord", number), shortly=number == 2)
        for number in (2, 3)
    ]

    looks = {
        "attempts": "rail, amount_kopecks, status, payment_id, version, created_at > now() - interval '1 minute'",
        "qr_codes": "merchant_id, amount_kopecks, status, left(qrc_id, 31), payload, purpose, refusal, polls,"
        " registration_id, expires_at - requested_at, next_poll_at - requested_at < interval '1 minute'",
        "idempotency_keys": "status, response_status, attempt_no, fingerprint_version, fingerprint, field_digests,"
        " scope, api_key_id, request_id, method, route, reason, content_type, location, lease_until,"
        " octet_length(response_body), finished_at >= created_at",
    }
    for table, columns in looks.items():
        first, second = owner.execute(f"SELECT {columns} FROM {table} ORDER BY 1".encode()).fetchall()
        assert first == second
    bodies = [AttemptView.model_validate_json(answer.body) for answer in answers]
    assert [body.status for body in bodies] == ["waiting", "waiting"]
    assert bodies[0].model_dump().keys() == bodies[1].model_dump().keys()
    assert bodies[0].version == bodies[1].version
    for body in bodies:
        kept = owner.execute(
            "SELECT a.created_at, q.id, q.qrc_id FROM attempts AS a JOIN qr_codes AS q ON q.attempt_id = a.id"
            " WHERE a.id = %s", [body.id],
        ).fetchone()  # fmt: skip
        assert body.qr is not None
        assert kept == (body.created_at, body.qr.id, body.qr.qrc_id)


MEDDLING = {
    "the order is over": "UPDATE orders SET status = 'canceled'",
    "another attempt lives": (
        f"INSERT INTO attempts (id, order_id, rail, amount_kopecks, created_at)"
        f" VALUES ('{shown('att')}', '{ORDER}', 'sbp', 100, now())"
    ),
    "the merchant takes no payments": "UPDATE sbp_merchants SET is_live = false",
}


@pytest.mark.parametrize("meddling", MEDDLING.values(), ids=MEDDLING.keys())
async def test_what_is_not_usual_is_left_to_the_long_way(
    call: Call, owner: psycopg.Connection[Any], meddling: str
) -> None:
    owner.execute(meddling.encode())
    (before,) = owner.execute(COUNTED.encode()).fetchone() or (None,)

    assert await road_of(call).begin(call) is None
    assert owner.execute(COUNTED.encode()).fetchone() == (before,)


async def test_an_order_that_is_held_or_anothers_or_none_is_left_to_the_long_way(
    call: Call, owner: psycopg.Connection[Any]
) -> None:
    stranger = replace(call, caller=replace(call.caller, merchant_id=shown("mer", 9)))

    with owner.transaction():
        owner.execute("SELECT 1 FROM orders WHERE id = %s FOR UPDATE", [ORDER])
        assert await road_of(call).begin(call) is None
    assert await road_of(call).begin(stranger) is None
    assert await road_of(call, shown("ord", 9)).begin(call) is None
    assert owner.execute(COUNTED.encode()).fetchone() == (0,)


async def test_a_key_that_is_known_or_held_is_left_to_the_long_way(call: Call, owner: psycopg.Connection[Any]) -> None:
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('tenant/test ' || %s, 19282))"
    with owner.transaction():
        owner.execute(lock.encode(), [call.key])
        assert await road_of(call).begin(call) is None

    assert await road_of(call).begin(call) is not None
    assert await road_of(call, shown("ord", 2)).begin(call) is None
    assert owner.execute(COUNTED.encode()).fetchone() == (3,)


OVERTAKEN = {
    "the code was given up": "UPDATE qr_codes SET status = 'abandoned', next_poll_at = NULL",
    "the attempt is over": "UPDATE attempts SET status = 'expired', version = 2",
    "a retry has taken over": "UPDATE idempotency_keys SET attempt_no = 2",
}


@pytest.mark.parametrize("meddling", OVERTAKEN.values(), ids=OVERTAKEN.keys())
async def test_an_answer_that_was_overtaken_writes_nothing_shortly(
    call: Call, owner: psycopg.Connection[Any], meddling: str
) -> None:
    begun = await road_of(call).begin(call)
    assert begun is not None
    owner.execute(meddling.encode())
    look = b"SELECT q.xmin, a.xmin, k.xmin FROM qr_codes AS q, attempts AS a, idempotency_keys AS k"
    before = owner.execute(look).fetchall()

    assert await road_of(call).finish(call, call.now, begun[1], STARTED) is None
    assert owner.execute(look).fetchall() == before


async def test_an_answer_whose_rows_are_held_goes_the_long_way(call: Call, owner: psycopg.Connection[Any]) -> None:
    begun = await road_of(call).begin(call)
    assert begun is not None

    for table in ("qr_codes", "attempts", "idempotency_keys"):
        with owner.transaction():
            owner.execute(f"SELECT 1 FROM {table} FOR UPDATE".encode())
            assert await road_of(call).finish(call, call.now, begun[1], STARTED) is None

    assert await road_of(call).finish(call, call.now, begun[1], STARTED) is not None


@pytest.mark.parametrize("status", [StartStatus.REFUSED, StartStatus.UNKNOWN])
async def test_no_and_no_answer_go_the_long_way(call: Call, owner: Any, status: StartStatus) -> None:
    begun = await road_of(call).begin(call)
    assert begun is not None

    assert await road_of(call).finish(call, call.now, begun[1], Start(status)) is None


async def test_a_line_that_breaks_is_opened_again(call: Call, owner: psycopg.Connection[Any]) -> None:
    assert await call.door.lines.call("SELECT 1", []) == [(1,)]
    owner.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE query = 'SELECT 1'")

    answer = await carried_out(call, shown("ord", 2), shortly=True)
    again = await road_of(call).begin(replace(call, key=new_key(), _fingerprint=None))

    assert answer.status_code == 201
    assert again is not None
