"""Known card numbers and codes go through the real processes; afterwards they are nowhere but sealed.

Searched: both databases column by column, every file of the server (heap, write-ahead log, its own log) with the vault
killed in the middle, a plain copy of every table, what the vault printed, and every answer anybody got.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from api import data_dir, installation
from api.app import create_app
from api.callers import create_key
from api.installation import Databases
from api.postgres import Server
from api.settings import Settings
from ledger.database import create_engine, transaction
from pci.evidence.controls import CONTROLS
from pci.pan_allowed import NOTHING_ALLOWED
from pci.pan_scanner import PanFinding, scan_path
from pci.pan_scanner_of_databases import scan_database
from tests.api.vault_process import VaultProcess, vault_process
from tests.conftest import VaultDatabase

TYPED, REFUSED, BATCHED, ASTRAY = "2200117996077364", "2200119066335755", "2200113704697015", "2200119753612540"
GROUPED = "-".join(BATCHED[place : place + 4] for place in range(0, 16, 4))
PANS = (TYPED, REFUSED, BATCHED, ASTRAY)
CVC, SHORT_CVC = "7319", "731"
CODES = [f"{before}{cvc}{after}" for cvc in (CVC, SHORT_CVC) for before, after in
         (('"cvc":"', '"'), ('"cvc": "', '"'), ("'cvc': '", "'"), ("cvc=", "&"), ("cvc=", " "))]  # fmt: skip
SEEN = [text.encode() for text in (*PANS, GROUPED, *CODES)]
MARKS = [*SEEN, *(mark.hex().encode() for mark in SEEN), *(pan.encode("utf-16-le") for pan in PANS)]
"""Also as PostgreSQL copies bytes."""
MERCHANT, SHOP = "mer_01kaqz5vq8fpn9m9q4e6xw2v5c", "https://shop.example"

pytestmark = pytest.mark.faults


@pytest.fixture
def own_server() -> Iterator[tuple[Server, Databases]]:
    """A durable server of this test alone, with both databases."""
    root = Path(tempfile.mkdtemp(prefix="kopeyka-leaks-"))
    root.chmod(0o711)
    server = Server(data_dir.prepare(root / "data"))
    lock = data_dir.hold(server.place)
    try:
        yield server, installation.start(server)
    finally:
        server.stop()
        lock.release()
        shutil.rmtree(root, ignore_errors=True)


async def test_a_run_with_known_cards_leaves_no_number_anywhere(
    own_server: tuple[Server, Databases], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server, databases = own_server
    answers: list[bytes] = []
    with vault_process(databases.vault, tmp_path) as vault:
        vault.until_alive()
        use_vault(vault, answers)
        vault.kill()
        answers.append(vault.log().encode())
    await use_api(databases, answers)
    answers += [copy_of_everything(server.url("postgres", name)) for name in ("kopeyka", "kopeyka_vault")]
    found = in_databases(server)
    server.stop()

    assert found == []
    masks = {f"{pan[:6]}******{pan[-4:]}" for pan in PANS}
    assert [one for one in in_files(server.place.path) if one.mask in masks] == []
    assert [path for path in files_of(server.place.path) if holds_mark(path.read_bytes())] == []
    assert [text[:200] for text in answers if holds_mark(text)] == []
    assert not holds_mark("".join(capfd.readouterr()).encode())
    assert any(b"220011******7364" in text for text in answers), [text[:300] for text in answers[:12]]


def test_the_search_would_find_what_is_planted(own_server: tuple[Server, Databases]) -> None:
    server, _ = own_server
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text, raw bytea)")
        connection.execute("INSERT INTO notes VALUES (%s, %s)", [TYPED, f'{{"cvc":"{CVC}"}}'.encode()])
        connection.execute("CHECKPOINT")

    assert [one.mask for one in in_databases(server)] == ["220011******7364"]
    kinds = {path.parent.name for path in files_of(server.place.path) if holds_mark(path.read_bytes())}
    assert "pg_wal" in kinds
    assert len(kinds) > 1, "in the table's own file too"


def test_no_column_is_made_for_what_must_not_be_kept(vault_database: VaultDatabase) -> None:
    (control,) = [one for one in CONTROLS if one.requirement == "3.3.1.1–3"]
    with psycopg.connect(vault_database.superuser_url) as connection:
        assert connection.execute(control.query.encode()).fetchall() == []
        connection.execute("CREATE TABLE notes (track2 text)")
        assert connection.execute(control.query.encode()).fetchall() == [("notes", "track2")]


def use_vault(vault: VaultProcess, answers: list[bytes]) -> None:
    """Enter cards well and badly, everywhere somebody might by mistake."""
    with (
        vault.client() as service,
        httpx.Client(base_url=vault.origin, headers={"origin": vault.origin}, timeout=60) as browser,
    ):
        for number, (pan, cvc) in enumerate([(TYPED, SHORT_CVC), (REFUSED[:-1] + "0", CVC), (REFUSED, "cvc" + CVC)]):
            asked = {"merchant_id": MERCHANT, "origin": SHOP, "buyer_id": f"buyer-{number}"}
            form = service.post("/card-sessions", json=asked, headers={"idempotency-key": f"key-{number}"})
            place = f"/card-forms/{form.json()['id']}/card"
            body = {"pan": pan, "expires_on": "2029-12", "cvc": cvc}
            answers += [form.content, browser.post(place, json=body).content]
        wrong: list[dict[str, Any]] = [
            {"url": place, "content": f'{{"pan": {BATCHED}, "cvc": "{CVC}"'.encode()},
            {"url": place, "json": {"pan": {"number": BATCHED}, "expires_on": BATCHED, "cvc": CVC}},
            {"url": place, "json": {BATCHED: CVC}},
            {"url": f"/card-forms/{BATCHED}/card", "json": {"cvc": CVC}},
            {"url": f"/{BATCHED}?pan={BATCHED}&cvc={CVC}", "json": []},
            {"url": "/card-sessions", "json": {"merchant_id": MERCHANT, "origin": SHOP}},
        ]
        for one in wrong:
            for key in ("k" * 20, BATCHED, f"order {GROUPED}"):
                headers = {"content-type": "application/json", "x-pan": BATCHED, "idempotency-key": key}
                headers |= {"request-id": key.replace(" ", "-"), "cookie": f"__Host-vault-sign-in={BATCHED}"}
                answers += [client.post(**one, headers=headers).content for client in (browser, service)]
        lists = ({"buyer_id": "buyer-0"}, {"buyer_id": BATCHED})
        answers += [service.get(f"/merchants/{MERCHANT}/cards", params=one).content for one in lists]


async def use_api(databases: Databases, answers: list[bytes]) -> None:
    """Send a card number to the api wherever it takes anything."""
    engine = create_engine(databases.app)
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="leaks", scopes=["admin"], mode="test", now=datetime.now(UTC))
    await engine.dispose()
    app = create_app(Settings(database_url=SecretStr(databases.app)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://it") as http:
        headers = {"authorization": f"Bearer {secret.expose()}", "reason": ASTRAY, "request-id": ASTRAY}
        account = {"code": "asset:till"}
        for key in (ASTRAY, f"order-{ASTRAY}-1"):
            named = headers | {"idempotency-key": key}
            answers += [(await http.post("/v1/ledger/accounts", json=account, headers=named)).content]
            answers += [(await http.get(f"/v1/idempotency-keys/{key}", headers=headers)).content]
        headers |= {"idempotency-key": "k" * 20}
        for path in ("/v1/orders", "/v1/ledger/entries", "/v1/merchants", f"/v1/orders/{ASTRAY}", f"/{ASTRAY}"):
            for body in ({"description": f"card {ASTRAY}", "cvc": CVC}, {ASTRAY: CVC}, [ASTRAY], ASTRAY):
                answers.append((await http.post(path, json=body, headers=headers)).content)
            answers.append((await http.get(path, params={"q": ASTRAY, "limit": ASTRAY}, headers=headers)).content)


def copy_of_everything(url: str) -> bytes:
    """Every table as a plain copy: what a dump would hold."""
    parts = []
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        tables = cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                parts += [bytes(part) for part in copy]
    return b"".join(parts)


def in_databases(server: Server) -> list[PanFinding]:
    found = []
    for name in ("kopeyka", "kopeyka_vault"):
        with psycopg.connect(server.url("postgres", name)) as connection:
            found += [one for one in scan_database(connection, NOTHING_ALLOWED) if isinstance(one, PanFinding)]
    return found


def in_files(folder: Path) -> list[PanFinding]:
    return [one for one in scan_path(folder, NOTHING_ALLOWED) if isinstance(one, PanFinding)]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def holds_mark(raw: bytes) -> bool:
    return any(mark in raw for mark in MARKS)
