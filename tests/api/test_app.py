"""The whole door: ids, health, metrics, logs, lists, documents."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import ROUTERS, create_app
from api.door import DirectRoute, DoorRoute
from api.settings import Mode, Settings
from tests.api.conftest import Client, sale

OPENAPI = Path(__file__).parents[2] / "api" / "openapi.json"
NOWHERE = "postgresql://kopeyka_app@127.0.0.1:1/kopeyka"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_request_ids_and_traces_are_kept(client: Client) -> None:
    ours = await client.get("/livez")
    theirs = await client.get("/livez", headers={"request-id": "till-7-0001", "traceparent": TRACE})

    assert ours.headers["request-id"].startswith("req_")
    assert (theirs.headers["request-id"], theirs.headers["traceparent"]) == ("till-7-0001", TRACE)
    assert theirs.headers["x-content-type-options"] == "nosniff"


async def test_health_says_what_is_wrong(client: Client) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    assert (await client.get("/startupz")).status_code == 200
    client.app.state.door.is_draining = True

    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "api.not_ready")


async def test_without_a_database_it_starts_lives_and_answers_503() -> None:
    app = create_app(Settings(database_url=SecretStr(NOWHERE), log_level="critical"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
    ):
        alive = await http.get("/livez")
        ready = await http.get("/readyz")
        answer = await http.get("/v1/clock", headers={"authorization": "Bearer kp_test_x"})

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert (answer.status_code, answer.json()["code"]) == (503, "api.database_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_requests_are_counted_by_route(client: Client) -> None:
    await client.get("/v1/ledger/accounts/asset:no:such")

    answer = await client.get("/metrics")

    wanted = 'kopeyka_http_requests_total{method="GET",route="/v1/ledger/accounts/{code}",status="404"}'
    assert wanted in answer.text


async def test_each_request_is_one_line_of_json_without_secrets(
    client: Client, accounts: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = client.app.state.door.settings.model_copy(update={"log_level": "info"})
    app = create_app(settings)
    headers = {"authorization": f"Bearer {client.api_key}", "request-id": "line-0001", "idempotency-key": "k" * 16}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        await http.post("/v1/ledger/entries", json=sale(accounts), headers=headers)

    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "line-0001" in line]

    assert (line["route"], line["status"], line["idempotency"]) == ("/v1/ledger/entries", 201, "new")
    assert client.api_key not in json.dumps(line)


async def test_a_bug_is_500_with_an_id_and_without_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.routes.clock.moscow_day", lambda _now: 1 // 0)

    answer = await client.get("/v1/clock")

    assert (answer.status_code, answer.json()["code"]) == (500, "api.internal")
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert "division" not in answer.text


async def test_a_sandbox_clock_moves_and_productions_does_not(client: Client) -> None:
    moved = await client.post("/v1/clock/advance", {"seconds": 3600})
    assert (moved.status_code, moved.json()["offset_seconds"]) == (200, 3600)
    assert (await client.get("/v1/clock")).json()["offset_seconds"] == 3600
    door = client.app.state.door
    door.settings = door.settings.model_copy(update={"mode": Mode.PRODUCTION})

    answer = await client.post("/v1/clock/advance", {"seconds": 1})

    assert (answer.status_code, answer.json()["code"]) == (403, "api.clock_fixed")


async def test_pages_stay_right_while_entries_are_added(client: Client, accounts: tuple[str, str]) -> None:
    for number in range(5):
        await client.post("/v1/ledger/entries", sale(accounts, f"first:{number}"))
    first = (await client.get("/v1/ledger/entries?limit=3")).json()
    await client.post("/v1/ledger/entries", sale(accounts, "late"))

    second = (await client.get(f"/v1/ledger/entries?limit=3&after={first['next']}")).json()

    seen = [entry["reference"] for entry in first["items"] + second["items"]]
    assert seen == [*(f"first:{number}" for number in range(5)), "late"]
    assert (first["has_more"], second["has_more"]) == (True, False)
    wrong = await client.get(f"/v1/ledger/accounts?after={first['next']}")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "api.unknown_cursor")


async def test_the_books_can_be_read_from_every_side(client: Client, accounts: tuple[str, str]) -> None:
    cash, _ = accounts
    made = (await client.post("/v1/ledger/entries", sale(accounts))).json()
    tried = await client.post("/v1/ledger/entries/dry-run", sale(accounts, "tried"))
    assert tried.json()["postings"][0]["debit_balance"] == 2 * 149_990
    undone = await client.post(
        f"/v1/ledger/entries/{made['id']}/reversal", {"reference": "undo:1", "happened_at": "2026-11-22T10:00:00Z"}
    )
    assert undone.status_code == 201, undone.text
    entry = await client.get(f"/v1/ledger/entries/{made['id']}")
    now = await client.get(f"/v1/ledger/accounts/{cash}/balance")
    then = await client.get(f"/v1/ledger/accounts/{cash}/balance?happened_at=2026-11-22T09:30:00Z")
    known = await client.get(f"/v1/ledger/accounts/{cash}/balance?recorded_at={made['recorded_at']}")
    lines = await client.get(f"/v1/ledger/accounts/{cash}/statement")
    trial = await client.get("/v1/ledger/trial-balance")
    proofs = await client.get("/v1/ledger/proofs")

    assert entry.json() == made
    assert [answer.json()["balance"] for answer in (now, then, known)] == [0, 149_990, 149_990]
    assert [line["balance"] for line in lines.json()["lines"]] == [149_990, 0]
    assert trial.json()["is_balanced"]
    assert proofs.json()["holds"], proofs.text


async def test_a_hold_is_placed_posted_in_part_and_released(client: Client, accounts: tuple[str, str]) -> None:
    head = {"happened_at": "2026-11-22T09:00:00Z"}
    hold = {**head, "reference": "h:1", "kind": "auth", "debit": accounts[0], "credit": accounts[1], "amount": 100}
    placed = (await client.post("/v1/ledger/holds", hold)).json()
    part = {**head, "reference": "h:1:a", "amount": 40, "keep_rest": True}
    posted = await client.post(f"/v1/ledger/holds/{placed['id']}/post", part)
    released = await client.post(f"/v1/ledger/holds/{placed['id']}/release", {**head, "reference": "h:1:b"})

    assert (posted.json()["amount_posted"], posted.json()["amount_held"]) == (40, 60)
    assert posted.json()["entry_id"].startswith("ent_")
    assert (released.json()["state"], released.json()["amount_released"]) == ("posted", 60) or released.json()[
        "state"
    ] == "released"
    listed = (await client.get(f"/v1/ledger/holds?account={accounts[0]}")).json()["items"]
    assert [one["id"] for one in listed] == [placed["id"]]


async def test_a_batch_answers_for_each_entry_or_for_all(client: Client, accounts: tuple[str, str]) -> None:
    bad = {**sale(accounts, "bad"), "postings": [{"debit": "asset:no:such", "credit": accounts[1], "amount": 1}]}
    loose = await client.post(
        "/v1/ledger/entry-batches", {"atomic": False, "entries": [sale(accounts, "a"), bad, sale(accounts, "b")]}
    )
    whole = await client.post(
        "/v1/ledger/entry-batches", {"atomic": True, "entries": [sale(accounts, "c"), {**bad, "reference": "d"}]}
    )
    many = {"atomic": True, "entries": [sale(accounts, f"many:{number}") for number in range(1000)]}
    large = await client.post("/v1/ledger/entry-batches", many)
    over = await client.post("/v1/ledger/entry-batches", {**many, "entries": [*many["entries"], sale(accounts)]})

    assert [item["status"] for item in loose.json()["items"]] == ["booked", "refused", "booked"]
    assert loose.json()["items"][1]["code"] == "ledger.unknown_account"
    assert (whole.status_code, whole.json()["code"]) == (404, "ledger.unknown_account")
    assert (large.status_code, large.json()["booked"]) == (200, 1000), large.text[:200]
    assert (over.status_code, over.json()["code"]) == (422, "api.request_invalid")


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    app = create_app(Settings(database_url=SecretStr(NOWHERE)))
    paths = app.openapi()["paths"]
    return [(path, method, operation) for path, item in paths.items() for method, operation in item.items()]


def test_every_operation_is_described_with_examples_and_errors() -> None:
    for path, method, operation in operations():
        where = f"{method} {path}"
        assert operation.get("description"), where
        assert "default" in operation["responses"], where
        for carrier in (operation.get("requestBody", {}), *operation["responses"].values()):
            content = carrier.get("content", {})
            for kind in ("application/json", "application/problem+json"):
                assert "example" in content.get(kind, {"example": 1}), where
        if path.startswith("/v1") and method in ("post", "patch"):
            assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]], where


def test_every_route_is_in_the_documents_and_asks_for_a_key() -> None:
    described = {(path, method.upper()) for path, method, _ in operations()}
    for route in [route for router in ROUTERS for route in router.routes]:
        path = getattr(route, "path", "")
        for method in getattr(route, "methods", ()):
            assert (path, method) in described or path.startswith("/docs"), path
        assert isinstance(route, DoorRoute) or not path.startswith("/v1"), path


def test_the_checked_in_description_is_that_of_the_code() -> None:
    app = create_app(Settings(database_url=SecretStr(NOWHERE)))

    assert json.loads(OPENAPI.read_text()) == json.loads(json.dumps(app.openapi())), (
        "run `kopeyka openapi > api/openapi.json` and read the difference"
    )


async def test_the_page_needs_nobody_elses_server(client: Client) -> None:
    page = await client.get("/docs")
    script = await client.get("/docs/rapidoc-min.js")
    described = await client.get("/openapi.json")

    assert "http" not in page.text.replace("http-equiv", "")
    assert "'self'" in page.headers["content-security-policy"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert described.json()["openapi"].startswith("3.1")


async def test_asserts_must_be_alive() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-O", "-c", "from api.app import create_app; create_app()", stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()

    assert process.returncode == 1
    assert b"does not run under python -O" in error


def test_hot_routes_take_a_body_and_a_call() -> None:
    hot = [route for router in ROUTERS for route in router.routes if isinstance(route, DirectRoute)]

    assert "/v1/ledger/entries" in {route.path for route in hot}
