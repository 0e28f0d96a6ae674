"""``kopeyka audit``: what it writes is what kopeyka-verify takes."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from api.audit_settings import AuditSettings
from api.cli import audit
from api.sealer import export, look, seal_due, sealed_logs
from api.settings import Settings
from ledger.database import create_engine, transaction
from pci.audit_log import kopeyka_verify
from pci.audit_log.staging import stage
from tests.api.cli.conftest import Kopeyka
from tests.conftest import Database, VaultDatabase
from tests.pci.audit_log.log import event


@pytest.fixture
def sealed(
    kopeyka: Kopeyka,
    database: Database,
    vault_database: VaultDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> Path:
    """Both logs with something in them, sealed and exported; the command line knows where."""
    folder = tmp_path / "audit"
    monkeypatch.setenv("KOPEYKA_AUDIT_FOLDER", str(folder))
    monkeypatch.setenv("KOPEYKA_SEQUENCER_DATABASE_URL", database.sequencer_url)
    monkeypatch.setenv("KOPEYKA_VAULT_SEQUENCER_DATABASE_URL", vault_database.sequencer_url)
    asyncio.run(fill(database, vault_database, folder, now))
    return folder


async def fill(database: Database, vault_database: VaultDatabase, folder: Path, now: datetime) -> None:
    settings = Settings(
        sequencer_database_url=SecretStr(database.sequencer_url),
        vault_sequencer_database_url=SecretStr(vault_database.sequencer_url),
    )
    writers = [create_engine(database.app_url), create_engine(vault_database.vault_url)]
    logs = sealed_logs(settings, AuditSettings(folder=folder))
    for number, (writer, log) in enumerate(zip(writers * 2, logs * 2, strict=True)):
        async with transaction(writer) as session:
            await stage(session, [event(now, number * 10 + line) for line in range(4)])
        await look(log)
        await seal_due(log)
        for sink in log.sinks:
            await export(log, sink)
    for engine in (*writers, *(log.engine for log in logs)):
        await engine.dispose()


@pytest.mark.parametrize("log", ["books", "vault"])
def test_a_dump_is_verified_by_the_auditors_program(log: str, kopeyka: Kopeyka, sealed: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"

    told = kopeyka("audit", "dump", str(dump), "--log", log)

    assert told.code == 0, told.err
    words = ["verify-dump", str(dump), str(dump.with_suffix(".checkpoint")), str(sealed / "kopeyka.vkeys")]
    witness = str(sealed / "sink-file" / f"kopeyka-{log}.jsonl")
    assert kopeyka_verify.main([*words, "--witness", witness]) == 0


def test_reading_the_log_is_an_event_of_it(
    kopeyka: Kopeyka, sealed: Path, tmp_path: Path, vault_database: VaultDatabase
) -> None:
    kopeyka("audit", "dump", str(tmp_path / "dump.jsonl"))

    with psycopg.connect(vault_database.superuser_url) as connection:
        last = connection.execute(
            "SELECT convert_from(event, 'UTF8')::jsonb ->> 'action' FROM audit_events ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert last == ("audit_log.dumped",)


def test_proofs_are_verified_by_the_auditors_program(
    kopeyka: Kopeyka, sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, note, proof = str(sealed / "kopeyka.vkeys"), tmp_path / "note.txt", tmp_path / "proof.json"
    note.write_text(kopeyka("audit", "checkpoint").out)

    proof.write_text(kopeyka("audit", "prove", "2").out)
    assert kopeyka_verify.main(["inclusion", str(proof), str(note), keys]) == 0
    assert "leaf 2 is in the log of 8 leaves" in capsys.readouterr().out

    first = (sealed / "sink-file" / "kopeyka-vault.jsonl").read_text().splitlines()[0]
    (tmp_path / "old.txt").write_text(json.loads(first)["note"])
    proof.write_text(kopeyka("audit", "prove-growth", "4").out)
    assert kopeyka_verify.main(["consistency", str(proof), str(tmp_path / "old.txt"), str(note), keys]) == 0
    assert kopeyka("audit", "prove", "99").code == 1


def test_the_state_of_a_sound_log_is_told(kopeyka: Kopeyka, sealed: Path) -> None:
    told = kopeyka("audit", "status", "--json")

    assert told.code == 0
    state = json.loads(told.out)
    assert (state["log"], state["leaves"], state["rolled_back"]) == ("kopeyka/vault", 8, None)
    assert list(state["not_exported"].values()) == [0, 0]
    assert "8 leaves give the root" in kopeyka("audit", "verify").out


def test_a_rolled_back_log_is_told_and_accepted_by_two(
    kopeyka: Kopeyka, sealed: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users of the machine: a name that somebody types is nobody's second pair of eyes."""
    accept = ["audit", "accept-rollback", "--log", "books", "--reason", "disk lost", "--person"]
    assert kopeyka(*accept, "Anna").code == 1  # nothing to accept
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("audit_exports", "audit_checkpoints", "audit_leaves"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        connection.execute("DELETE FROM audit_exports WHERE size > 4")
        connection.execute("DELETE FROM audit_checkpoints WHERE size > 4")
        connection.execute("DELETE FROM audit_leaves WHERE idx >= 4")

    told = kopeyka("audit", "status", "--json", "--log", "books")
    assert (told.code, json.loads(told.out)["rolled_back"] is not None) == (1, True)
    assert kopeyka("audit", "verify", "--log", "books").code == 1
    assert kopeyka(*accept, "Anna").out == "1 of 2 custodians have accepted\n"
    assert kopeyka(*accept, "Boris").code == 1
    monkeypatch.setattr(audit, "operator", lambda: "operator:4711")
    assert kopeyka(*accept, "Boris").out == "2 of 2 custodians have accepted\n"
    assert kopeyka("audit", "status", "--log", "books").code == 0


def test_the_vaults_log_is_accepted_at_the_vault_alone(kopeyka: Kopeyka, sealed: Path) -> None:
    told = kopeyka("audit", "accept-rollback", "--log", "vault", "--reason", "disk lost", "--person", "Anna")

    assert told.code == 1
    assert "sign in at the vault" in told.err


def test_who_takes_a_proof_or_a_dump_is_in_the_log_before_it_is_there(
    kopeyka: Kopeyka, sealed: Path, tmp_path: Path, vault_database: VaultDatabase
) -> None:
    with pytest.raises(FileNotFoundError):
        kopeyka("audit", "dump", str(tmp_path / "no such folder" / "dump.jsonl"))
    kopeyka("audit", "prove", "2")
    kopeyka("audit", "prove-growth", "4")

    with psycopg.connect(vault_database.superuser_url) as connection:
        told = connection.execute(
            """SELECT e ->> 'action', e ->> 'actor', split_part(e ->> 'origin', ':', 1)
                 FROM (SELECT id, convert_from(event, 'UTF8')::jsonb AS e FROM audit_events) AS a
                ORDER BY id DESC LIMIT 3"""
        ).fetchall()
    who = f"operator:{os.getuid()}", "cli"
    assert told[::-1] == [("audit_log.dumped", *who), ("audit_log.proved", *who), ("audit_log.proved", *who)]


@pytest.mark.parametrize("deed", ["edited", "deleted"])
def test_an_event_that_is_not_what_was_sealed_is_named(
    deed: str, kopeyka: Kopeyka, sealed: Path, vault_database: VaultDatabase
) -> None:
    forged = b"convert_to(replace(convert_from(event, 'UTF8'), 'tok_11', 'tok_99'), 'UTF8')"
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        for (month,) in connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
        ).fetchall():
            connection.execute(f"ALTER TABLE {month} DISABLE TRIGGER ALL".encode())
        if deed == "edited":
            connection.execute(b"UPDATE audit_events SET event = " + forged)
        else:
            connection.execute("DELETE FROM audit_events WHERE convert_from(event, 'UTF8') LIKE '%tok_30%'")

    told = kopeyka("audit", "verify")

    said = "leaf 1: its line is not what was hashed" if deed == "edited" else "leaf 4: its event is gone"
    assert (told.code, said in told.out) == (1, True), told.out
