"""The sealer: both logs under one key, each checkpoint in every sink and the vault's also in the books' log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from api.audit_settings import AuditSettings
from api.audit_sinks import WebhookSink, guard_of
from api.data_dir import StartRefused
from api.sealer import SealedLog, export, look, review, seal_due, sealed_logs, show_alive
from api.serve_vault import refuse_unwatched
from api.settings import Settings
from ledger.accounts import AccountTerms, open_account
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Engine, create_engine, transaction
from ledger.entry import Entry, Posting
from ledger.journal import post
from pci.audit_log import kopeyka_verify
from pci.audit_log.checkpoint import BOOKS_ORIGIN, VAULT_ORIGIN, sign
from pci.audit_log.dumping import dump
from pci.audit_log.errors import CheckpointMalformed, LogBroken, SigningKeyRefused
from pci.audit_log.event import AuditEvent
from pci.audit_log.merkle import EMPTY
from pci.audit_log.rollback import accept
from pci.audit_log.signing_key import open_key
from pci.audit_log.sinks import Exported
from pci.audit_log.staging import stage
from tests import processes
from tests.conftest import Database, VaultDatabase
from tests.pci.audit_log.log import KEY, event
from tests.processes import Process


@dataclass(frozen=True)
class Sealer:
    """Both logs as one sealer has them, and where it keeps things."""

    books: SealedLog
    vault: SealedLog
    audit: AuditSettings
    folder: Path


def settings_for(database: Database, vault_database: VaultDatabase) -> Settings:
    return Settings(
        sequencer_database_url=SecretStr(database.sequencer_url),
        vault_sequencer_database_url=SecretStr(vault_database.sequencer_url),
    )


@pytest_asyncio.fixture
async def sealer(database: Database, vault_database: VaultDatabase, tmp_path: Path) -> AsyncIterator[Sealer]:
    audit = AuditSettings(folder=tmp_path / "audit")
    books, vault = sealed_logs(settings_for(database, vault_database), audit)
    yield Sealer(books, vault, audit, tmp_path / "audit")
    await books.engine.dispose()
    await vault.engine.dispose()


async def stage_in_the_vault(engine: Engine, now: datetime, first: int, count: int) -> None:
    async with transaction(engine) as session:
        await stage(session, [event(now, number) for number in range(first, first + count)])


async def book(engine: Engine, now: datetime, reference: str) -> None:
    async with transaction(engine) as session:
        for code in ("asset:bank:settlement", "liability:merchant:m1"):
            await open_account(session, AccountTerms(code), now=now)
        postings = (Posting("asset:bank:settlement", "liability:merchant:m1", 150_00),)
        await post(session, Entry(reference, "sale", now, postings), now=now)


async def test_a_vaults_checkpoint_reaches_two_sinks_and_the_books_log(
    sealer: Sealer, vault_engine: Engine, now: datetime
) -> None:
    await look(sealer.vault)
    await look(sealer.books)
    await stage_in_the_vault(vault_engine, now, 0, 3)

    assert await seal_due(sealer.vault) == 3
    assert [await export(sealer.vault, sink) for sink in sealer.vault.sinks] == [1, 1, 1]
    assert await seal_due(sealer.books) == 1
    async with transaction(sealer.books.engine) as session:
        anchored = b"".join([lines async for lines, _ in dump(session, size=10)])
    facts = json.loads(anchored)["facts"]
    guard = guard_of(sealer.audit, VAULT_ORIGIN)
    assert guard is not None
    assert (facts["size"], await guard.check(partial(transaction, vault_engine))) == (3, None)


async def test_the_entries_of_the_books_are_leaves(sealer: Sealer, engine: Engine, now: datetime) -> None:
    await look(sealer.books)
    for number in range(3):
        await book(engine, now, f"sale-{number}")

    assert await seal_due(sealer.books) == 3
    async with transaction(sealer.books.engine) as session:
        lines = b"".join([lines async for lines, _ in dump(session, size=10)]).splitlines(keepends=True)
    entries = [json.loads(line) for line in lines]
    assert [entry["reference"] for entry in entries] == ["sale-0", "sale-1", "sale-2"]
    assert entries[0]["postings"][0]["amount"] == 15_000
    assert entries[0]["postings"][0]["credit"] == "liability:merchant:m1"
    assert [json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for entry in entries] == [
        line[:-1].decode() for line in lines
    ]


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = open_key(tmp_path)
    path = tmp_path / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert open_key(tmp_path) == key

    path.chmod(0o440)
    with pytest.raises(SigningKeyRefused):
        open_key(tmp_path)
    path.unlink()
    path.write_bytes(b"short")
    path.chmod(0o400)
    with pytest.raises(SigningKeyRefused):
        open_key(tmp_path)


async def test_another_key_does_not_go_on_with_the_log(
    sealer: Sealer,
    database: Database,
    vault_database: VaultDatabase,
    vault_engine: Engine,
    now: datetime,
    tmp_path: Path,
) -> None:
    await look(sealer.vault)
    await stage_in_the_vault(vault_engine, now, 0, 3)
    await seal_due(sealer.vault)

    other = AuditSettings(folder=tmp_path / "other")
    books, stranger = sealed_logs(settings_for(database, vault_database), other)
    with pytest.raises(CheckpointMalformed):
        await look(stranger)
    await stage_in_the_vault(vault_engine, now, 3, 1)
    assert await seal_due(stranger) == 0
    await books.engine.dispose()
    await stranger.engine.dispose()


async def test_a_rolled_back_log_is_not_sealed(
    sealer: Sealer, vault_database: VaultDatabase, vault_engine: Engine, now: datetime
) -> None:
    await look(sealer.vault)
    await stage_in_the_vault(vault_engine, now, 0, 3)
    await seal_due(sealer.vault)
    for sink in sealer.vault.sinks:
        await export(sealer.vault, sink)
    with psycopg.connect(vault_database.superuser_url) as connection:
        for table in ("audit_exports", "audit_checkpoints", "audit_leaves"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            connection.execute(f"DELETE FROM {table}".encode())

    await look(sealer.vault)
    assert sealer.vault.guard.rollback is not None
    assert await seal_due(sealer.vault) == 0
    assert [await export(sealer.vault, sink) for sink in sealer.vault.sinks] == [0, 0, 0]


async def test_a_log_that_was_cut_under_a_running_sealer_is_not_sealed_until_two_accept(
    sealer: Sealer, vault_database: VaultDatabase, vault_engine: Engine, now: datetime
) -> None:
    """Sealing the other history would put a younger checkpoint into every sink, and nobody would notice."""
    vault = sealer.vault
    await look(vault)
    for first in (0, 3):
        await stage_in_the_vault(vault_engine, now, first, 3)
        await seal_due(vault)
        for sink in vault.sinks:
            await export(vault, sink)
    with psycopg.connect(vault_database.superuser_url) as connection:
        for table in ("audit_exports", "audit_checkpoints", "audit_leaves", "audit_events"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        connection.execute("DELETE FROM audit_exports WHERE size > 3")
        connection.execute("DELETE FROM audit_checkpoints WHERE size > 3")
        connection.execute("DELETE FROM audit_leaves WHERE idx >= 3")
        connection.execute("DELETE FROM audit_events WHERE convert_from(event, 'UTF8') ~ 'tok_[345]'")
    await stage_in_the_vault(vault_engine, now, 7, 9)

    with pytest.raises(LogBroken):
        await seal_due(vault)
    await look(vault)
    assert vault.guard.rollback is not None
    for person in ("per_1", "per_2"):
        async with transaction(vault.engine) as session:
            await accept(session, vault.guard.rollback, person=person, reason="disk lost", origin="cli", now=now)
    await look(vault)

    assert vault.guard.rollback is None
    assert await seal_due(vault) == 12  # nine, that it was rolled back, and two acceptances
    for sink in vault.sinks:
        await export(vault, sink)
    await look(vault)
    assert vault.guard.rollback is None


async def test_an_outage_of_a_sink_is_an_alarm_and_two_events(
    sealer: Sealer, vault_engine: Engine, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    await look(sealer.vault)
    await stage_in_the_vault(vault_engine, now, 0, 1)
    await seal_due(sealer.vault)
    sink = sealer.vault.sinks[0]
    folder = sealer.folder / "sink-file"
    folder.write_text("a file where the folder should be")
    for _ in range(2):
        with pytest.raises(OSError, match="sink-file"):
            await export(sealer.vault, sink)
    folder.unlink()
    assert await export(sealer.vault, sink) == 1

    await seal_due(sealer.vault)
    async with transaction(sealer.vault.engine) as session:
        lines = b"".join([lines async for lines, _ in dump(session, size=10)]).splitlines()
    actions = [json.loads(line)["action"] for line in lines]
    assert actions == ["card.revealed", "audit_log.export_failed", "audit_log.export_recovered"]


def test_one_sink_is_too_few_and_others_must_be_understood(tmp_path: Path) -> None:
    def refuse(*sinks: str) -> None:
        open_key(tmp_path)
        with pytest.raises(StartRefused):
            guard_of(AuditSettings(folder=tmp_path, sinks=sinks), VAULT_ORIGIN)

    refuse(f"file:{tmp_path}/a")
    refuse(f"file:{tmp_path}/a", f"file:{tmp_path}/a")
    refuse(f"file:{tmp_path}/a", "ftp://host/b")
    refuse(f"file:{tmp_path}/a", "folder:relative")


def test_before_the_sealers_first_start_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert guard_of(AuditSettings(folder=tmp_path), VAULT_ORIGIN) is None


@pytest.mark.faults
async def test_a_sealer_killed_at_any_moment_loses_and_doubles_nothing(
    database: Database, vault_database: VaultDatabase, vault_engine: Engine, now: datetime, tmp_path: Path
) -> None:
    """kill -9, four times, while events come in; then it ends its work and an auditor checks all of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KOPEYKA_")} | {
        "KOPEYKA_SEQUENCER_DATABASE_URL": database.sequencer_url,
        "KOPEYKA_VAULT_SEQUENCER_DATABASE_URL": vault_database.sequencer_url,
        "KOPEYKA_AUDIT_FOLDER": str(tmp_path / "audit"),
    }

    def start() -> Process:
        return processes.start("api.sealer", environment=environment)

    staged = 0
    for round_ in range(4):
        process, before, left = start(), leaves_in(vault_database.superuser_url), 400
        while leaves_in(vault_database.superuser_url) == before and (left := left - 1):
            await stage_in_the_vault(vault_engine, now, staged, 20)
            staged += 20
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.13 * round_)  # somewhere between sealing and the last of the exports
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start()
    try:
        await wait_until_sealed(vault_database.superuser_url)
    finally:
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM)  # it may not have been up yet

    with psycopg.connect(vault_database.superuser_url) as connection:
        doubled = connection.execute(
            "SELECT count(*), count(DISTINCT event_id), max(idx) + 1 FROM audit_leaves"
        ).fetchone()
        numbers = connection.execute(
            """SELECT count(DISTINCT convert_from(e.event, 'UTF8')::jsonb -> 'facts' -> 'number')
                 FROM audit_leaves AS l JOIN audit_events AS e ON e.id = l.event_id"""
        ).fetchone()
    assert doubled is not None
    assert len(set(doubled)) == 1
    assert numbers == (staged,)
    await verify_with_the_sink(vault_engine, vault_database, tmp_path)


def leaves_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM audit_leaves").fetchone()
    assert row is not None
    return int(row[0])


async def wait_until_sealed(url: str) -> None:
    for _ in range(1800):
        with psycopg.connect(url) as connection:
            row = connection.execute(
                """SELECT (SELECT count(*) FROM audit_events) - (SELECT count(*) FROM audit_leaves),
                          (SELECT count(*) FROM (SELECT sink FROM audit_exports GROUP BY sink HAVING max(size) =
                              (SELECT max(size) FROM audit_checkpoints)) AS e)"""
            ).fetchone()
        if row == (0, 3):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not everything was sealed and exported: {row}")


async def verify_with_the_sink(engine: Engine, vault_database: VaultDatabase, folder: Path) -> None:
    sequencer = create_engine(vault_database.sequencer_url)
    async with transaction(sequencer) as session:
        (folder / "dump.jsonl").write_bytes(b"".join([lines async for lines, _ in dump(session, size=100_000)]))
    await sequencer.dispose()
    sink = str(folder / "audit" / "sink-file" / "kopeyka-vault.jsonl")
    keys = str(folder / "audit" / "kopeyka.vkeys")
    assert kopeyka_verify.main(["verify-dump", str(folder / "dump.jsonl"), sink, keys, "--witness", sink]) == 0


async def test_a_webhook_takes_checkpoints_or_the_export_fails() -> None:
    taken: list[tuple[str | None, dict[str, object]]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.headers.get("Authorization"), await request.json()))
        return web.Response(status=204 if len(taken) == 1 else 500)

    app = web.Application()
    app.router.add_post("/kopeyka-books", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sink = WebhookSink(f"http://127.0.0.1:{port}/kopeyka-books", "secret")
    tree = EMPTY.grown([b"x" * 32])
    exported = Exported(sign(BOOKS_ORIGIN, tree, KEY), 0, b"x" * 32)
    await sink.write(exported)
    with pytest.raises(OSError, match="500"):
        await sink.write(exported)
    await runner.cleanup()
    with pytest.raises(OSError, match="kopeyka-books"):
        await sink.write(exported)

    assert taken[0] == ("Bearer secret", json.loads(exported.line()))
    assert await sink.latest() is None


def in_vault(sealer: Sealer, vault_database: VaultDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(vault_database.superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_a_log_is_alive_while_it_is_sealed_and_its_outage_is_written_down(
    sealer: Sealer, vault_database: VaultDatabase
) -> None:
    clock = sealer.vault.clock
    for sealed in (sealer.vault, sealer.books):
        await show_alive(sealed, sealer.vault)
        await look(sealed)
        await seal_due(sealed)
        await show_alive(sealed, sealer.vault)
    clock.offset += timedelta(minutes=10)  # both logs have one clock
    await show_alive(sealer.vault, sealer.vault)
    await seal_due(sealer.vault)
    await show_alive(sealer.vault, sealer.vault)

    beats = in_vault(sealer, vault_database, "SELECT control, period_seconds FROM heartbeats ORDER BY 1")
    outages = in_vault(sealer, vault_database, "SELECT control, ended_at - began_at FROM outages")
    assert beats == [("books_log", 60), ("vault_log", 60)]
    assert [control for control, _ in outages] == ["vault_log"]
    assert timedelta(minutes=10) <= outages[0][1] < timedelta(minutes=11)  # type: ignore[operator]


async def test_a_log_that_is_not_sealed_does_not_say_that_it_is_alive(
    sealer: Sealer, vault_database: VaultDatabase
) -> None:
    await look(sealer.vault)
    await seal_due(sealer.vault)
    sealer.vault.clock.offset += timedelta(seconds=61)
    sealer.vault.is_sound = False
    await seal_due(sealer.vault)

    await show_alive(sealer.vault, sealer.vault)

    assert in_vault(sealer, vault_database, "SELECT control FROM heartbeats") == []


async def test_days_that_are_over_are_reviewed_one_after_another_and_a_case_is_an_alarm(
    sealer: Sealer, vault_engine: Engine, vault_database: VaultDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = AuditEvent("person.locked", "system:access", "192.0.2.7 req_1", "person:per_anna", datetime.now(UTC))
    async with transaction(vault_engine) as session:
        await stage(session, [locked])
    assert await review(sealer.vault) == 0
    now = sealer.vault.clock.now()
    noon = datetime.combine(moscow_day(now) + timedelta(days=3), time(12), MOSCOW)
    sealer.vault.clock.offset += noon - now

    left = [await review(sealer.vault) for _ in range(4)]

    assert left == [2, 1, 0, 0]
    assert in_vault(sealer, vault_database, "SELECT rule, about FROM cases") == [("person_locked", "person:per_anna")]
    assert in_vault(sealer, vault_database, "SELECT count(*), sum(cases_opened) FROM log_reviews") == [(3, 1)]
    assert "case_opened" in capsys.readouterr().out


def leave_what_was_sealed_first(superuser_url: str) -> None:
    """An older copy, taken between the sealing of its last checkpoint and the note of its export."""
    with psycopg.connect(superuser_url) as connection:
        for table in ("audit_exports", "audit_checkpoints", "audit_leaves", "audit_events"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        connection.execute("DELETE FROM audit_exports")
        connection.execute("DELETE FROM audit_checkpoints WHERE size > 3")
        connection.execute("DELETE FROM audit_leaves WHERE idx >= 3")


async def sealed_twice(sealed: SealedLog, engine: Engine, now: datetime) -> None:
    await look(sealed)
    for first in (0, 3):
        await stage_in_the_vault(engine, now, first, 3)
        await seal_due(sealed)
        for sink in sealed.sinks:
            await export(sealed, sink)


async def test_an_older_copy_gives_no_sink_its_checkpoint_before_it_was_looked_at(
    sealer: Sealer, database: Database, vault_database: VaultDatabase, vault_engine: Engine, now: datetime
) -> None:
    """The last line of each sink would be the old checkpoint, and the next look would find nothing."""
    await sealed_twice(sealer.vault, vault_engine, now)
    leave_what_was_sealed_first(vault_database.superuser_url)
    books, started_anew = sealed_logs(settings_for(database, vault_database), sealer.audit)

    exported = [await export(started_anew, sink) for sink in started_anew.sinks]
    await look(started_anew)

    assert exported == [0, 0, 0]
    assert started_anew.guard.rollback is not None
    await books.engine.dispose()
    await started_anew.engine.dispose()


async def test_an_older_copy_under_a_running_sealer_is_exported_nowhere(
    sealer: Sealer, vault_database: VaultDatabase, vault_engine: Engine, now: datetime
) -> None:
    vault = sealer.vault
    await sealed_twice(vault, vault_engine, now)
    leave_what_was_sealed_first(vault_database.superuser_url)

    with pytest.raises(LogBroken):
        await export(vault, vault.sinks[0])
    assert not vault.is_sound
    assert [await export(vault, sink) for sink in vault.sinks] == [0, 0, 0]
    await look(vault)
    assert vault.guard.rollback is not None
    assert vault.guard.rollback.size == 6


def test_production_is_refused_when_nothing_would_notice_an_older_copy(tmp_path: Path) -> None:
    sinks = (f"file:{tmp_path}/a", f"folder:{tmp_path}/b")
    away = ("https://a.example", "https://b.example")
    with pytest.raises(StartRefused, match="KOPEYKA_AUDIT_FOLDER"):
        refuse_unwatched(AuditSettings(sinks=sinks))
    with pytest.raises(StartRefused, match="KOPEYKA_AUDIT_FOLDER"):
        refuse_unwatched(AuditSettings(folder=tmp_path, sinks=sinks))
    open_key(tmp_path)
    with pytest.raises(StartRefused, match="can read"):
        refuse_unwatched(AuditSettings(folder=tmp_path, sinks=away))
    refuse_unwatched(AuditSettings(folder=tmp_path, sinks=sinks))
