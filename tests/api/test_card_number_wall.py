"""No card number comes in by a body or goes out by an answer, and either is in the log without the number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from api.app import create_app
from api.card_number_wall import CardNumberWall
from api.errors import CardNumberStopped
from api.settings import Settings
from pci.pan_allowed import AllowedPans
from tests.api.conftest import Client, sale
from tests.conftest import Database

MIR = "2200111753579001"
JSON_HEADERS = {"content-type": "application/json", "idempotency-key": "test-key-of-escapes"}


def events(database: Database) -> list[dict[str, Any]]:
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events").fetchall()
    found = [json.loads(row[0]) for row in rows]
    return [event for event in found if event["action"].startswith("card_number.")]


PLACES: dict[str, Any] = {
    "in a reference": {"reference": f"order:{MIR}"},
    "in groups, in metadata": {"metadata": {"note": "card 2200 1117 5357 9001 of Ivan"}},
    "as a name": {"metadata": {MIR: "x"}},
    "as a kind": {"kind": MIR},
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_card_number_in_a_body_is_refused_before_anything_is_kept(
    place: str, client: Client, accounts: tuple[str, str], database: Database
) -> None:
    answer = await client.post("/v1/ledger/entries", {**sale(accounts), **PLACES[place]})

    assert (answer.status_code, answer.json()["code"]) == (422, "api.card_number_refused")
    assert MIR not in answer.text
    (event,) = events(database)
    assert (event["action"], event["outcome"]) == ("card_number.refused", "refused")
    assert event["subject"] == "route:/v1/ledger/entries"
    assert event["actor"].startswith("caller:key_")
    assert MIR not in json.dumps(event)
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM postings").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)


@pytest.mark.parametrize("key", [MIR, f"order-{MIR}-1", "2200 1117 5357 9001"])
async def test_a_card_number_as_an_idempotency_key_is_refused_and_kept_nowhere(
    key: str, client: Client, accounts: tuple[str, str], database: Database
) -> None:
    answer = await client.post("/v1/ledger/entries", sale(accounts), key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "api.card_number_refused")
    assert MIR not in answer.text
    assert [event["action"] for event in events(database)] == ["card_number.refused"]
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)
    assert (await client.get(f"/v1/idempotency-keys/{key}")).status_code == 404


@pytest.mark.parametrize("metadata", [{"cvc": "737"}, {"note": "cvc=737"}, {"pin": "1234"}])
async def test_a_cards_code_in_a_body_is_refused_before_anything_is_kept(
    metadata: dict[str, Any], client: Client, accounts: tuple[str, str], database: Database
) -> None:
    answer = await client.post("/v1/ledger/entries", {**sale(accounts), "metadata": metadata})

    assert (answer.status_code, answer.json()["code"]) == (422, "api.card_secret_refused")
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)
        rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events").fetchall()
    assert [json.loads(row[0])["action"] for row in rows].count("card_secret.refused") == 1


async def test_a_card_number_in_the_path_of_a_write_is_refused(client: Client, database: Database) -> None:
    answer = await client.post(f"/v1/orders/{MIR}/cancel", {})

    assert (answer.status_code, answer.json()["code"]) == (422, "api.card_number_refused")
    assert [event["action"] for event in events(database)] == ["card_number.refused"]


async def test_a_number_in_escapes_is_a_number(client: Client, accounts: tuple[str, str]) -> None:
    escaped = "".join(f"\\u00{ord(digit):02x}" for digit in MIR)
    body = json.dumps(sale(accounts)).replace("order:1", f"order:{escaped}")

    answer = await client.send("POST", "/v1/ledger/entries", content=body.encode(), headers=JSON_HEADERS)

    assert (answer.status_code, answer.json()["code"]) == (422, "api.card_number_refused")


async def test_what_is_no_card_number_passes(client: Client, accounts: tuple[str, str], database: Database) -> None:
    long_ago = {"account": "40702810900000000001", "ean": "4600000000008", "uuid": "019aab3e-1234-7123-8123-12345678"}
    answer = await client.post("/v1/ledger/entries", {**sale(accounts), "metadata": long_ago})

    assert answer.status_code == 201, answer.text
    assert events(database) == []


async def test_an_amount_that_looks_like_a_card_is_an_amount(client: Client, accounts: tuple[str, str]) -> None:
    answer = await client.post("/v1/ledger/entries", sale(accounts, amount=int(MIR)))

    assert answer.status_code == 201, answer.text


async def test_numbers_on_the_allow_list_pass(
    client: Client, accounts: tuple[str, str], database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "allowed"
    file.write_text("2200 1117 * our own order numbers\n")
    app = create_app(Settings(database_url=SecretStr(database.app_url), allowed_pans_file=file, log_level="error"))

    assert app.state.door.allowed_pans.holds(MIR)
    client.app.state.door.allowed_pans = app.state.door.allowed_pans
    answer = await client.post("/v1/ledger/entries", sale(accounts, reference=f"order:{MIR}"))
    assert answer.status_code == 201, answer.text


def answering(body: bytes, kind: bytes = b"application/json") -> CardNumberWall:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    return CardNumberWall(app, AllowedPans())


async def call(wall: CardNumberWall, client: Client) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    await wall({"type": "http", "method": "GET", "app": client.app}, receive, send)
    return sent


@pytest.mark.parametrize("text", [MIR, "2200-1117-5357-9001", f"ref {MIR}/1"], ids=["plain", "in groups", "in a text"])
async def test_an_answer_with_a_card_number_is_stopped_before_its_first_byte(
    text: str, client: Client, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    sent: list[Message] = []
    with pytest.raises(CardNumberStopped):
        sent = await call(answering(json.dumps({"a": [{"b": text}]}).encode()), client)

    assert sent == []
    (event,) = events(database)
    assert (event["action"], event["outcome"]) == ("card_number.stopped", "failed")
    assert MIR not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"amount_kopecks": int(MIR), "token": "tok_x"}).encode(), b"application/json"),
        (json.dumps({"mask": "220011******9001"}).encode(), b"application/json; charset=utf-8"),
        (MIR.encode(), b"text/html"),
        (b"", b"application/json"),
        (json.dumps({"a": MIR, "b": "x" * 70_000}).encode(), b"application/json"),
    ],
    ids=["an amount", "a mask", "a page", "nothing", "too long to look at"],
)
async def test_other_answers_pass_as_they_are(body: bytes, kind: bytes, client: Client) -> None:
    sent = await call(answering(body, kind), client)

    assert b"".join(message.get("body", b"") for message in sent) == body


async def test_a_problem_document_is_looked_at_too(client: Client) -> None:
    with pytest.raises(CardNumberStopped):
        await call(answering(json.dumps({"detail": MIR}).encode(), b"application/problem+json"), client)


async def test_a_stopped_answer_is_a_500_with_a_code_for_the_caller(
    client: Client, accounts: tuple[str, str], database: Database
) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET metadata = jsonb_build_object('note', %s::text)", [f"card {MIR}"])

    answer = await client.get(f"/v1/ledger/accounts/{accounts[0]}")

    assert (answer.status_code, answer.json()["code"]) == (500, "api.card_number_stopped")
    assert MIR not in answer.text
    assert len(events(database)) == 1
