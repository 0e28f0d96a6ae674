"""``kopeyka audit review``, ``audit cases`` and ``scan --report``: what a person is given to look into."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from api.cli import scan_report
from ledger.database import create_engine, transaction
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.evidence.cases import moscow_day
from pci.pan_scanner import PanFinding
from pci.schemes import Scheme
from tests.api.cli.conftest import Kopeyka
from tests.conftest import VaultDatabase
from tests.pci.evidence.people import add_person

MIR = "2200111753579001"
NOTE = "Forgot the password, came by herself"


@pytest.fixture
def vault(vault_database: VaultDatabase, monkeypatch: pytest.MonkeyPatch) -> VaultDatabase:
    """The vault's database, as the command line reaches it, with a person in it."""
    monkeypatch.setenv("KOPEYKA_VAULT_DATABASE_URL", vault_database.vault_url)
    monkeypatch.setenv("KOPEYKA_VAULT_MIGRATOR_DATABASE_URL", vault_database.migrator_url)
    monkeypatch.setenv("KOPEYKA_VAULT_SEQUENCER_DATABASE_URL", vault_database.sequencer_url)
    add_person(vault_database.superuser_url, "boris")
    return vault_database


async def lock_anna(url: str) -> None:
    engine = create_engine(url)
    locked = AuditEvent("person.locked", "system:access", "192.0.2.7 req_1", "person:per_anna", datetime.now(UTC))
    async with transaction(engine) as session:
        await stage(session, [locked])
    await engine.dispose()


def test_a_day_is_reviewed_and_its_case_closed(kopeyka: Kopeyka, vault: VaultDatabase) -> None:
    asyncio.run(lock_anna(vault.vault_url))
    today = moscow_day(datetime.now(UTC))

    assert kopeyka("audit", "review").out == "Every day that is over has been reviewed\n"
    reviewed = kopeyka("audit", "review", "--date", today.isoformat())
    (case,) = json.loads(kopeyka("audit", "cases", "list", "--json").out)
    refused = kopeyka("audit", "cases", "close", str(case["id"]), "--person", "boris", "--note", "ok")
    closed = kopeyka("audit", "cases", "close", str(case["id"]), "--person", "boris", "--note", NOTE)

    assert reviewed.code == 1
    assert "1 cases opened" in reviewed.out
    assert f"case {case['id']}: person_locked, person:per_anna" in reviewed.out
    assert (refused.code, "Say what was found" in refused.err) == (1, True)
    assert (closed.code, "is closed by person:per_boris" in closed.out) == (0, True)
    assert kopeyka("audit", "review", "--date", today.isoformat()).code == 0
    assert json.loads(kopeyka("audit", "cases", "list", "--json").out) == []
    assert NOTE in kopeyka("audit", "cases", "list", "--all").out


def test_a_day_that_has_not_begun_is_refused(kopeyka: Kopeyka, vault: VaultDatabase) -> None:
    tomorrow = moscow_day(datetime.now(UTC)) + timedelta(days=1)

    said = kopeyka("audit", "review", "--date", tomorrow.isoformat())

    assert (said.code, "once it has begun" in said.err) == (1, True)


def test_a_scans_findings_are_cases_by_place_without_a_number(
    kopeyka: Kopeyka, vault: VaultDatabase, tmp_path: Path
) -> None:
    (tmp_path / "orders.log").write_text(f"paid\n{MIR}\nagain {MIR}\n")
    (tmp_path / f"{MIR}.csv").write_text(f"{MIR}\n")

    told = [kopeyka("scan", str(tmp_path), "--report") for _ in range(2)]

    cases = json.loads(kopeyka("audit", "cases", "list", "--json").out)
    orders = next(case for case in cases if "orders.log" in case["about"])
    assert [(said.code, said.err.splitlines()[-1].split(" cases")[0]) for said in told] == [(1, "2"), (1, "0")]
    assert orders["rule"] == "card_number_found"
    assert (orders["facts"]["events"], orders["facts"]["mask"]) == (2, "220011******9001")
    assert orders["facts"]["first"].endswith("orders.log:line 2")
    with psycopg.connect(vault.superuser_url) as connection:
        written = connection.execute("SELECT c::text FROM cases c").fetchall()
        written += connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events").fetchall()
    assert len(written) >= 4
    assert [line for (line,) in written if MIR in line] == []


def test_a_scan_that_is_not_reported_opens_nothing(kopeyka: Kopeyka, vault: VaultDatabase, tmp_path: Path) -> None:
    (tmp_path / "orders.log").write_text(MIR)

    assert kopeyka("scan", str(tmp_path)).code == 1
    assert json.loads(kopeyka("audit", "cases", "list", "--json").out) == []


@pytest.mark.parametrize(
    ("place", "file"),
    [
        ("/var/log/a.log:line 3", "/var/log/a.log"),
        ("a.zip: b.txt:byte 8192", "a.zip: b.txt"),
        ("orders.comment (0,17)", "orders.comment"),
        ("pg_stats.orders.comment", "pg_stats.orders.comment"),
    ],
)
def test_numbers_of_one_file_or_column_are_one_place(place: str, file: str) -> None:
    tally = scan_report.PlaceTally()

    tally.add(PanFinding(place, "220011******9001", Scheme.MIR))

    assert [found.about for found in tally.suspicions()] == [f"place:{file}"]


def test_beyond_so_many_places_the_rest_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_report, "CASES_MAX", 2)
    tally = scan_report.PlaceTally()

    for number in range(5):
        tally.add(PanFinding(f"file{number}:line 1", "220011******9001", Scheme.MIR))

    assert [(found.about, found.facts["events"]) for found in tally.suspicions()] == [
        ("place:file0", 1), ("place:file1", 1), ("place:others", 3),
    ]  # fmt: skip
    assert tally.total == 5
