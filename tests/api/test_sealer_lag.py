"""What the sealer notices of itself: events that wait, a month that nobody made, sinks that know nothing."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.audit_settings import AuditSettings
from api.sealer import SealedLog, export, look, seal_due, sealed_logs, show_alive
from api.settings import Settings
from ledger.database import Engine, transaction
from pci.audit_log.staging import stage
from tests.conftest import Database, VaultDatabase
from tests.pci.audit_log.log import event


@pytest_asyncio.fixture
async def sealed(vault_database: VaultDatabase, tmp_path: Path) -> AsyncIterator[SealedLog]:
    settings = Settings(vault_sequencer_database_url=SecretStr(vault_database.sequencer_url))
    (made,) = sealed_logs(settings, AuditSettings(folder=tmp_path / "audit"))
    yield made
    await made.engine.dispose()


async def stage_in_the_vault(engine: Engine, now: datetime, first: int, count: int) -> None:
    async with transaction(engine) as session:
        await stage(session, [event(now, number) for number in range(first, first + count)])


def rows(vault_database: VaultDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(vault_database.superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_what_waits_for_its_leaf_is_an_alarm_and_no_sign_of_life(
    sealed: SealedLog,
    database: Database,
    vault_database: VaultDatabase,
    vault_engine: Engine,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A transaction left open, even in the other database, holds all sealing up."""
    await look(sealed)
    with psycopg.connect(database.app_url) as held:
        held.execute("SELECT pg_current_xact_id()")
        await stage_in_the_vault(vault_engine, now, 0, 3)
        assert await seal_due(sealed) == 0
        sealed.clock.offset += timedelta(minutes=3)
        await seal_due(sealed)
        await show_alive(sealed, sealed)
        await look(sealed)

    assert "sealing_lags" in capsys.readouterr().out
    assert rows(vault_database, "SELECT control FROM heartbeats") == []
    assert await seal_due(sealed) == 3
    await show_alive(sealed, sealed)
    assert rows(vault_database, "SELECT control FROM heartbeats") == [("vault_log",)]


async def test_a_database_brought_to_another_cluster_does_not_stop_sealing_unnoticed(
    sealed: SealedLog,
    vault_database: VaultDatabase,
    vault_engine: Engine,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its transactions are numbered anew, below what was sealed: nothing would ever be due."""
    await look(sealed)
    await stage_in_the_vault(vault_engine, now, 0, 3)
    await seal_due(sealed)
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL")
        connection.execute("UPDATE audit_checkpoints SET sealed_through = '9999999999'")
    sealed.sealed_at = None

    await seal_due(sealed)
    await look(sealed)

    assert sealed.sealed_at is None
    assert "sealing_lags" in capsys.readouterr().out


async def test_a_month_that_nobody_made_is_an_alarm_and_sealing_goes_on(
    sealed: SealedLog,
    vault_database: VaultDatabase,
    vault_engine: Engine,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        months = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
        ).fetchall()
        for (month,) in months:
            if not month.endswith("_rest"):
                connection.execute(f"DROP TABLE {month}".encode())
    await stage_in_the_vault(vault_engine, now, 0, 3)

    await look(sealed)

    assert "month_missing" in capsys.readouterr().out
    assert await seal_due(sealed) == 3


async def test_a_log_that_no_sink_knows_anything_of_is_an_alarm(
    sealed: SealedLog, tmp_path: Path, vault_engine: Engine, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    await look(sealed)
    assert "no_sink_answers" not in capsys.readouterr().out
    await stage_in_the_vault(vault_engine, now, 0, 1)
    await seal_due(sealed)
    for sink in sealed.sinks:
        await export(sealed, sink)
    await look(sealed)
    assert "no_sink_answers" not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "audit" / "sink-file")
    shutil.rmtree(tmp_path / "audit" / "sink-folder")

    await look(sealed)

    assert "no_sink_answers" in capsys.readouterr().out
