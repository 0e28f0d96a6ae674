"""A pack of evidence says how each requirement stands, and cannot be changed afterwards."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nacl.signing import SigningKey
from typer.testing import CliRunner

from api.cli.main import app
from api.evidence_probes import scanned
from ledger.database import Engine, create_engine, transaction
from pci.audit_log.staging import stage
from pci.evidence.control import Claim, Control, Look, Where
from pci.evidence.controls import CONTROLS
from pci.evidence.errors import PackRefused
from pci.evidence.pack import HONEST, EvidencePack, PackTerms, check_pack, event_of, make_pack
from pci.evidence.results import ControlResult, ControlStatus, ProbeResult, check_all
from pci.evidence.signing import open_evidence_key
from pci.pan_allowed import NOTHING_ALLOWED
from tests.architecture.sources import ROOT
from tests.card_world import MIR, World
from tests.conftest import Database

KEY = SigningKey(b"k" * 32)
PROBES = {
    "scan_vault": ProbeResult(()),
    "scan_books": ProbeResult(()),
    "segtest": ProbeResult([{"way": "the role x"}], is_listing=True),
    "sbom": ProbeResult([{"name": "cffi"}], is_listing=True),
}


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_control_names_a_test_that_is_there() -> None:
    named = [control.test.split("::") for control in CONTROLS if control.test]

    assert len(named) > 40
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []


def test_every_control_of_the_software_has_a_proof_and_no_other_claims_one() -> None:
    unproved = [c.requirement for c in CONTROLS if c.claim is Claim.SOFTWARE and not (c.test or c.query or c.probe)]
    claimed = [c.requirement for c in CONTROLS if c.claim is not Claim.SOFTWARE and (c.query or c.probe or c.test)]

    assert (unproved, claimed) == ([], [])
    assert [one for one, count in Counter(c.requirement for c in CONTROLS).items() if count > 1] == []
    assert all(control.query or control.probe or control.test for control in CONTROLS if control.look is Look.LISTED)


async def checked(
    world: World, database: Database, *controls: Control, until: datetime | None = None
) -> list[ControlResult]:
    vault, books = create_engine(world.database.migrator_url), create_engine(database.migrator_url)
    until = until or world.now + timedelta(days=1)
    try:
        async with transaction(vault) as in_vault, transaction(books) as in_books:
            sessions = {Where.VAULT: in_vault, Where.BOOKS: in_books}
            since = until - timedelta(days=92)
            return await check_all(controls or CONTROLS, sessions, PROBES, since=since, until=until)
    finally:
        await vault.dispose()
        await books.dispose()


async def test_a_vault_as_it_is_made_stands_well_and_every_query_runs(world: World, database: Database) -> None:
    await world.tokenize(MIR)
    world.sql("INSERT INTO heartbeats SELECT unnest(ARRAY['books_log', 'vault', 'vault_log']), now(), 60")

    results = await checked(world, database, until=datetime.now(UTC) + timedelta(hours=1))

    bad = {r.control.requirement: (r.status, r.why, r.rows) for r in results
           if r.status in (ControlStatus.FAILING, ControlStatus.NOT_CHECKED)}  # fmt: skip
    assert bad == {}
    listed = {result.control.requirement: result.rows for result in results}
    assert {"action": "card.tokenized", "outcome": "done", "events": 1} in await now_listed(world, database, "10.2.1")
    assert len(listed["3.2.1.a"]) == 3
    assert {row["purpose"] for row in listed["3.6.1.1"]} >= {"card", "fingerprint"}


async def now_listed(world: World, database: Database, requirement: str) -> list[Any]:
    """Events are staged at the machine's time."""
    (control,) = [one for one in CONTROLS if one.requirement == requirement]
    until = datetime.now(UTC) + timedelta(hours=1)
    (result,) = await checked(world, database, control, until=until)
    return list(result.rows)


BROKEN = {
    "3.2.1": "UPDATE retention_policies SET set_at = '2026-01-01'",
    "3.3.1": "INSERT INTO sad_volatile VALUES ('tok_' || repeat('a', 25), repeat('x', 40)::bytea,"
    " '2026-01-01', '2026-01-01 00:30Z')",
    "3.3.1.1–3": "CREATE TABLE notes (card_cvc text)",
    "3.7.4": "ALTER TABLE keys DISABLE TRIGGER ALL; UPDATE keys SET activated_at = '2020-01-01'",
    "7.2.6": "GRANT SELECT ON cards TO kopeyka_app",
    "10.2.2": "ALTER DOMAIN audit_line DROP CONSTRAINT audit_events_are_whole",
    "10.3.2": "GRANT UPDATE ON audit_leaves TO kopeyka_vault",
    "10.7.2": "INSERT INTO heartbeats VALUES ('vault', '2026-01-01', 60), ('books_log', now(), 60),"
    " ('vault_log', now(), 60)",
}


@pytest.mark.parametrize("requirement", BROKEN)
async def test_what_does_not_hold_is_told(requirement: str, world: World, database: Database) -> None:
    (control,) = [one for one in CONTROLS if one.requirement == requirement]
    world.sql(BROKEN[requirement])

    (result,) = await checked(world, database, control)

    assert (result.status, result.rows_total > 0) == (ControlStatus.FAILING, True)


async def told(world: World, database: Database, requirement: str) -> list[Any]:
    """The rows of a control that fails."""
    (control,) = [one for one in CONTROLS if one.requirement == requirement]
    (result,) = await checked(world, database, control)
    assert result.status is (ControlStatus.FAILING if result.rows_total else ControlStatus.MET)
    return list(result.rows)


GUARDS_GONE = {
    "ALTER TABLE audit_leaves DISABLE TRIGGER audit_leaves_append_only": "audit_leaves",
    "ALTER TABLE audit_exports ENABLE TRIGGER audit_exports_append_only": "audit_exports",
    "DROP TRIGGER audit_events_rest_append_only ON audit_events_rest": "audit_events_rest",
    "DROP TABLE audit_acceptances": "audit_acceptances",
    "DROP TRIGGER audit_checkpoints_append_only ON audit_checkpoints; CREATE TRIGGER x BEFORE DELETE"
    " ON audit_checkpoints EXECUTE FUNCTION audit_log_is_append_only();"
    " ALTER TABLE audit_checkpoints ENABLE ALWAYS TRIGGER x": "audit_checkpoints",
}


@pytest.mark.parametrize("deed", GUARDS_GONE)
async def test_a_table_of_the_log_that_nothing_guards_is_told(deed: str, world: World, database: Database) -> None:
    assert await told(world, database, "10.3.2") == []
    world.sql(deed)

    rows = await told(world, database, "10.3.2")

    assert rows == [{"table_name": GUARDS_GONE[deed], "flaw": "no trigger refuses to change it"}]


async def test_a_log_whose_triggers_call_something_harmless_is_told(world: World, database: Database) -> None:
    world.sql("CREATE OR REPLACE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql"
              " AS $$ BEGIN RETURN NULL; END $$")  # fmt: skip

    assert {"audit_events", "audit_leaves"} < {row["table_name"] for row in await told(world, database, "10.3.2")}


SEALED = """INSERT INTO audit_leaves (idx, leaf, event_xid, event_id)
    SELECT row_number() OVER (ORDER BY id) - 1, leaf, xid, id FROM audit_events"""
LOG_CHANGED = {
    "UPDATE audit_events SET event = convert_to(replace(convert_from(event, 'UTF8'), 'service:api', 'service:ap0'),"
    " 'UTF8')": "other than its leaf",
    "UPDATE audit_events SET leaf = sha256('x')": "other than its leaf",
    "UPDATE audit_leaves SET leaf = sha256('x')": "other than its leaf",
    "DELETE FROM audit_events WHERE id = (SELECT max(id) FROM audit_events)": "a leaf without its event",
    "DELETE FROM audit_events WHERE id = (SELECT min(id) FROM audit_events)": "a leaf without its event",
}


@pytest.mark.parametrize("deed", LOG_CHANGED)
async def test_a_changed_log_is_told(deed: str, world: World, database: Database) -> None:
    await world.tokenize(MIR)
    world.sql(SEALED)
    assert await told(world, database, "10.3.4") == []

    world.sql("SET session_replication_role = replica; DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT tgrelid FROM"
              " pg_trigger WHERE position('_append_only' IN tgname) > 0 LOOP"
              " EXECUTE 'ALTER TABLE ' || t || ' DISABLE TRIGGER ALL'; END LOOP; END $$;"
              " ALTER TABLE audit_events ALTER leaf DROP EXPRESSION;" + deed)  # fmt: skip

    assert {row["flaw"] for row in await told(world, database, "10.3.4")} == {LOG_CHANGED[deed]}


async def test_what_retention_took_a_year_ago_is_no_change(world: World, database: Database) -> None:
    await world.tokenize(MIR)
    world.sql(
        "INSERT INTO audit_leaves (idx, leaf, event_xid, event_id) VALUES (0, sha256('x'), '1', 0);"
        " INSERT INTO audit_checkpoints VALUES (1, sha256('x'), sha256('x'), '1', 'n', now() - interval '13 months')"
    )

    assert await told(world, database, "10.3.4") == []


async def test_a_control_that_never_showed_itself_is_told(world: World, database: Database) -> None:
    world.sql("INSERT INTO heartbeats VALUES ('vault', now(), 60), ('books_log', now(), 60)")

    assert await told(world, database, "10.7.2") == [{"control": "vault_log", "beat_at": None}]


async def test_the_last_purge_counts_and_not_a_better_one_before(world: World, database: Database) -> None:
    run = ("INSERT INTO purges (policy_id, cutoff_at, ran_at, rows_purged, rows_left, method)"
           " SELECT id, %s, %s, 0, %s, 'deleted' FROM retention_policies")  # fmt: skip
    world.sql("UPDATE retention_policies SET set_at = '2026-01-01'")
    yesterday = world.now - timedelta(days=1)
    world.sql(run, [yesterday, yesterday, 0])
    assert await told(world, database, "3.2.1") == []

    world.sql(run, [world.now, world.now, 7])

    assert {row["rows_left"] for row in await told(world, database, "3.2.1")} == {7}


async def test_a_log_without_an_event_is_no_log(world: World, database: Database) -> None:
    (control,) = [one for one in CONTROLS if one.requirement == "10.2.1"]

    (result,) = await checked(world, database, control, until=world.now - timedelta(days=3_650))

    assert (result.status, result.rows, result.why) == (ControlStatus.FAILING, (), "there is nothing to show")


def test_a_card_number_in_a_database_fails_its_probe(database: Database) -> None:
    clean = scanned(database.superuser_url, NOTHING_ALLOWED)
    assert (clean.rows, clean.not_run) == ([], "")

    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [MIR])
    found = scanned(database.superuser_url, NOTHING_ALLOWED)

    assert [row["mask"] for row in found.rows] == ["220011******9001"]
    assert MIR not in json.dumps(found.rows)


async def test_a_query_that_cannot_run_stops_nothing(world: World, database: Database) -> None:
    bad = Control("0", "asks", "does", query="SELECT * FROM nowhere")
    good = Control("1", "asks", "does", query="SELECT 1 AS one WHERE false")

    results = await checked(world, database, bad, good)

    assert [result.status for result in results] == [ControlStatus.NOT_CHECKED, ControlStatus.MET]
    assert "nowhere" in results[0].why


def a_pack(now: datetime, *results: ControlResult) -> tuple[EvidencePack, PackTerms]:
    terms = PackTerms(now - timedelta(days=92), now, now, "0.1.0+abc")
    evil = Control("9.9", "<script>alert(1)</script>", "does", query="SELECT '<b>'", look=Look.LISTED)
    made = results or (
        ControlResult(CONTROLS[0], ControlStatus.MET),
        ControlResult(evil, ControlStatus.MET, [{"<i>": "<img src=x>"}], 1),
    )
    return make_pack(made, '{"bomFormat": "CycloneDX"}', terms, KEY), terms


def test_a_pack_is_whole_signed_and_says_what_it_does_not_say(now: datetime) -> None:
    pack, _ = a_pack(now)
    manifest = check_pack(pack.raw, bytes(KEY.verify_key).hex())

    assert (manifest["sha256"], manifest["note"]) == (hashlib.sha256(pack.raw).hexdigest(), HONEST)
    assert set(manifest["files"]) == {
        "index.html", "sbom.json", "requirements/3.2.1.json", "requirements/3.2.1.html", "requirements/9.9.json",
        "requirements/9.9.html",
    }  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(pack.raw)) as archive:
        told = json.loads(archive.read("requirements/3.2.1.json"))
        pages = archive.read("index.html").decode() + archive.read("requirements/9.9.html").decode()
    assert told.keys() >= {"requirement", "status", "query", "result", "test", "version"}
    assert HONEST in pages
    assert not any(evil in pages for evil in ("<script", "<img", "<i>", "<b>'"))


def test_the_same_evidence_is_the_same_pack(now: datetime) -> None:
    assert a_pack(now)[0].sha256 == a_pack(now)[0].sha256


def repacked(raw: bytes, changes: dict[str, bytes | None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (files | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()


TAMPERED: dict[str, dict[str, bytes | None]] = {
    "a page changed": {"index.html": b"all is well"},
    "a result changed": {"requirements/3.2.1.json": b"{}"},
    "a file taken out": {"sbom.json": None},
    "a file put in": {"requirements/0.json": b"{}"},
    "the manifest changed": {"manifest.json": b"{}"},
    "the signature gone": {"manifest.sig": None},
    "a signature of nobody": {"manifest.sig": b'{"public_key": "00", "signature": ""}'},
}


@pytest.mark.parametrize("deed", TAMPERED)
def test_a_changed_pack_is_refused(deed: str, now: datetime) -> None:
    with pytest.raises(PackRefused):
        check_pack(repacked(a_pack(now)[0].raw, TAMPERED[deed]))


def test_a_pack_signed_by_somebody_else_is_refused_to_who_knows_the_key(now: datetime) -> None:
    pack, _ = a_pack(now)

    with pytest.raises(PackRefused, match="another key"):
        check_pack(pack.raw, bytes(SigningKey(b"x" * 32).verify_key).hex())
    with pytest.raises(PackRefused):
        check_pack(b"PK not a zip")


async def test_the_hash_of_a_pack_is_in_the_log(world: World, vault_engine: Engine, now: datetime) -> None:
    pack, terms = a_pack(now)
    async with transaction(vault_engine) as session:
        await stage(session, [event_of(pack, terms, actor="operator:0", origin="x")])

    (event,) = world.events("evidence.made")
    assert event["subject"] == f"evidence:{pack.sha256}"
    assert event["facts"]["public_key"] == pack.public_key


def test_the_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = open_evidence_key(tmp_path)

    assert bytes(open_evidence_key(tmp_path)) == bytes(first)
    assert (tmp_path / "evidence.key").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "evidence.pub").read_text().strip() == bytes(first.verify_key).hex()
    (tmp_path / "evidence.key").chmod(0o440)
    with pytest.raises(PackRefused):
        open_evidence_key(tmp_path)


def test_the_command_checks_a_pack(tmp_path: Path, now: datetime) -> None:
    file, key = tmp_path / "pack.zip", tmp_path / "evidence.pub"
    file.write_bytes(a_pack(now)[0].raw)
    key.write_text(bytes(KEY.verify_key).hex() + "\n")

    whole = CliRunner().invoke(app, ["evidence", "--check", str(file), "--key", str(key)])
    file.write_bytes(repacked(file.read_bytes(), {"index.html": b"x"}))
    changed = CliRunner().invoke(app, ["evidence", "--check", str(file)])

    assert (whole.exit_code, "whole, 6 files" in whole.output) == (0, True)
    assert isinstance(changed.exception, PackRefused)
