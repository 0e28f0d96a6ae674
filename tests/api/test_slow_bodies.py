"""A body that comes long after its headers: what is counted counts from when all of it was there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from api import bodies
from api.watching import resume_lost_links
from ledger.clock import machine_now
from sbp_gateway.nspk import LinkStatus, RegisteredLink, Registration
from sbp_gateway.qr_codes import ANSWER_WAIT
from tests.api.conftest import Client, new_key
from tests.api.test_cash_links import terminal
from tests.conftest import Database

LATE = timedelta(minutes=1)


def late_body(client: Client, body: Any) -> AsyncIterator[bytes]:
    """A body whose second half comes a minute after its first, by every clock."""

    async def halves() -> AsyncIterator[bytes]:
        text = json.dumps(body).encode()
        yield text[:5]
        client.app.state.door.clock.offset += LATE
        yield text[5:]

    return halves()


async def send(client: Client, path: str, content: AsyncIterator[bytes]) -> Any:
    headers = {"idempotency-key": new_key(), "content-type": "application/json"}
    return await client.send("POST", path, headers=headers, content=content)


async def test_what_is_written_is_of_the_moment_at_which_all_of_the_body_was_there(client: Client) -> None:
    body = {"terminal_id": (await terminal(client))["id"], "number": "A-1", "amount_kopecks": 100}
    before = machine_now()

    order = await send(client, "/v1/orders", late_body(client, body))

    assert order.status_code == 201
    assert datetime.fromisoformat(order.json()["created_at"]) >= before + LATE


async def test_a_code_whose_body_was_late_is_left_to_its_own_request(client: Client, database: Database) -> None:
    order = await client.post(
        "/v1/orders", {"terminal_id": (await terminal(client))["id"], "number": "A-1", "amount_kopecks": 100}
    )
    door = client.app.state.door
    nspk = NspkInTheMiddle(client, timedelta(0))
    door.wiring = replace(door.wiring, rail=replace(door.wiring.rail, nspk=nspk))

    attempt = await send(client, f"/v1/orders/{order.json()['id']}/attempts", late_body(client, {"rail": "sbp"}))

    assert (attempt.status_code, attempt.json()["status"], nspk.resumed) == (201, "waiting", 0)
    assert statuses(database) == ["registered"]


async def test_a_link_given_up_while_its_answer_was_on_the_way_is_not_shown(client: Client, database: Database) -> None:
    """The worker has another link for the attempt by then: that is the one to pay by, now and in every repeat."""
    order = await client.post(
        "/v1/orders", {"terminal_id": (await terminal(client))["id"], "number": "A-1", "amount_kopecks": 100}
    )
    door, path, key = client.app.state.door, f"/v1/orders/{order.json()['id']}", new_key()
    nspk = NspkInTheMiddle(client, ANSWER_WAIT + timedelta(seconds=1))
    door.wiring = replace(door.wiring, rail=replace(door.wiring.rail, nspk=nspk))

    attempt = (await client.post(f"{path}/attempts", {"rail": "sbp"}, key=key)).json()

    assert nspk.resumed == 1
    assert (attempt["status"], attempt["qr"]["qrc_id"]) == ("waiting", qrc_id(2))
    assert (await client.post(f"{path}/attempts", {"rail": "sbp"}, key=key)).json() == attempt
    assert (await client.get(path)).json()["attempts"][0]["qr"] == attempt["qr"]
    assert statuses(database) == ["abandoned", "registered"]


@dataclass
class NspkInTheMiddle:
    """NSPK, before whose first answer time passes and the worker looks for lost links."""

    client: Client
    wait: timedelta
    asked: int = 0
    resumed: int = 0

    async def register(self, _registration: Registration) -> RegisteredLink:
        self.asked += 1
        number, door = self.asked, self.client.app.state.door
        if number == 1:
            door.clock.offset += self.wait
            self.resumed = await resume_lost_links(door.engine, door.wiring, door.clock)
        return RegisteredLink(qrc_id(number), f"https://qr.nspk.ru/{qrc_id(number)}")

    async def statuses(self, _qrc_ids: Sequence[str]) -> list[LinkStatus]:
        return []


def qrc_id(number: int) -> str:
    return f"AD{number:030}"


def statuses(database: Database) -> list[str]:
    with psycopg.connect(database.superuser_url) as connection:
        return [row[0] for row in connection.execute("SELECT status FROM qr_codes ORDER BY status")]


async def test_a_body_that_does_not_come_is_not_waited_for(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"terminal_id": (await terminal(client))["id"], "number": "A-1", "amount_kopecks": 100}
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.05)

    async def halves() -> AsyncIterator[bytes]:
        text = json.dumps(body).encode()
        yield text[:5]
        await asyncio.sleep(0.5)
        yield text[5:]

    with psycopg.connect(database.superuser_url) as connection:
        before = connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()
        answer = await send(client, "/v1/orders", halves())
        connection.commit()
        after = connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()
        orders = connection.execute("SELECT count(*) FROM orders").fetchone()

    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (408, "api.body_timed_out", True)
    assert (before, orders) == (after, (0,))
