"""What PostgreSQL itself refuses: nobody rewrites the log, and nothing that is not whole gets in."""

from __future__ import annotations

import hashlib
import json

import psycopg
import pytest
from psycopg import errors

from tests.conftest import Database, VaultDatabase
from tests.pci.audit_log.log import Log

TABLES = ("audit_events", "audit_leaves", "audit_checkpoints", "audit_exports", "audit_acceptances")
WHOLE = (
    b'{"action":"a","actor":"b","at":"2026-11-23T12:00:00.000Z","facts":{},"merchant_id":"","origin":"d",'
    b'"outcome":"done","subject":"e","v":1}'
)
INSERT = "INSERT INTO audit_events (event) VALUES (%s)"


def written(event: dict[str, object]) -> bytes:
    """An event in the form of the log, whatever is in it."""
    return json.dumps(event, sort_keys=True, separators=(",", ":")).encode()


def run(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), values)


GRANTED = {
    "kopeyka_vault": {
        "audit_events": set(),
        "audit_leaves": {"SELECT"},
        "audit_checkpoints": {"SELECT"},
        "audit_exports": set(),
        "audit_acceptances": {"SELECT", "INSERT"},
    },
    "kopeyka_vault_sequencer": {
        "audit_events": {"SELECT"},
        "audit_leaves": {"SELECT", "INSERT"},
        "audit_checkpoints": {"SELECT", "INSERT"},
        "audit_exports": {"SELECT", "INSERT"},
        "audit_acceptances": {"SELECT", "INSERT"},
    },
}
"""Whole-table rights; both may also insert ``event`` into audit_events, and nothing else of it."""


@pytest.mark.parametrize("role", [*GRANTED, "kopeyka_app", "kopeyka_sequencer"])
def test_a_role_has_these_rights_and_no_other(role: str, vault_database: VaultDatabase, database: Database) -> None:
    of_the_vault = {"kopeyka_app": "kopeyka_vault", "kopeyka_sequencer": "kopeyka_vault_sequencer"}.get(role)
    granted = GRANTED[of_the_vault or role] | ({"audit_acceptances": {"SELECT"}} if role == "kopeyka_app" else {})
    found: dict[str, set[str]] = {table: set() for table in TABLES}
    with psycopg.connect((database if of_the_vault else vault_database).superuser_url) as connection:
        for table, right in connection.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
            " WHERE grantee = %s AND table_name = ANY(%s)",
            [role, list(TABLES)],
        ):
            found[table].add(right)

    assert found == granted


@pytest.mark.parametrize("verb", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", TABLES)
def test_no_role_changes_the_log(table: str, verb: str, vault_database: VaultDatabase) -> None:
    column = {"audit_events": "event", "audit_leaves": "leaf", "audit_acceptances": "reason"}.get(table, "size")
    statement = verb.format(table, column, column)
    for url in (vault_database.vault_url, vault_database.sequencer_url):
        with pytest.raises(errors.InsufficientPrivilege):
            run(url, statement)
    with pytest.raises(errors.RestrictViolation):
        run(vault_database.migrator_url, f"SET ROLE kopeyka_owner; {statement}")
    with pytest.raises(errors.RestrictViolation):
        run(vault_database.superuser_url, statement)
    with pytest.raises(errors.RestrictViolation):  # as restores and replication do
        run(vault_database.superuser_url, f"SET session_replication_role = replica; {statement}")


async def test_no_month_of_it_is_changed_either(log: Log, vault_database: VaultDatabase) -> None:
    await log.stage(0, 1)
    months = [name for (name,) in log.rows("SELECT relname FROM pg_class WHERE relname ~ '^audit_events_(20|rest)'"
                                           " AND relkind = 'r'")]  # fmt: skip
    assert len(months) == 5
    for month in months:
        for statement in (f"UPDATE {month} SET event = event", f"DELETE FROM {month}", f"TRUNCATE {month}"):
            with pytest.raises(errors.RestrictViolation):
                run(vault_database.superuser_url, statement)


async def test_the_vault_stages_and_cannot_read_what_was_staged(log: Log, vault_database: VaultDatabase) -> None:
    await log.stage(0, 1)
    with pytest.raises(errors.InsufficientPrivilege):
        run(vault_database.vault_url, "SELECT * FROM audit_events")
    for forged in ("id", "staged_at", "xid", "leaf"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(vault_database.vault_url, f"INSERT INTO audit_events ({forged}) VALUES (DEFAULT)")


@pytest.mark.parametrize("field", ["actor", "action", "at", "outcome", "origin", "subject", "v"])
def test_an_event_without_one_of_its_fields_is_refused(field: str, vault_database: VaultDatabase) -> None:
    whole = json.loads(WHOLE)
    without = {name: value for name, value in whole.items() if name != field}
    for broken in (without, *(whole | {field: value} for value in ("", None, [], {}))):
        with pytest.raises(errors.CheckViolation, match="audit_events_are_whole"):
            run(vault_database.vault_url, INSERT, written(broken))


@pytest.mark.parametrize("field", ["actor", "origin", "outcome", "subject"])
def test_no_text_passes_for_a_field(field: str, vault_database: VaultDatabase) -> None:
    """What follows the field stands in another's text, as the encoder writes it, or deeper down."""
    whole = json.loads(WHOLE)
    (_, _, rest) = WHOLE.decode().partition(f'"{field}":"{whole[field]}')
    for broken in (whole | {"facts": {"a": rest}}, whole | {"merchant_id": rest}, whole | {"facts": whole}):
        with pytest.raises(errors.CheckViolation, match="audit_events_are_whole"):
            run(vault_database.vault_url, INSERT, written(broken | {field: ""}))


@pytest.mark.parametrize("odd", [b"{,}", b'{"a":"\xff"}', b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{"a":1e999999}'])
def test_a_line_that_could_not_be_read_again_is_refused(odd: bytes, vault_database: VaultDatabase) -> None:
    """One of them would stop every query of the evidence, and nobody could remove it."""
    with pytest.raises(errors.DataError):
        run(vault_database.vault_url, INSERT, WHOLE.replace(b"{}", odd))


async def test_a_leaf_is_the_hash_of_its_event_and_nobody_brings_another(
    log: Log, vault_database: VaultDatabase
) -> None:
    run(vault_database.vault_url, INSERT, WHOLE)

    assert log.rows("SELECT event::bytea, leaf FROM audit_events") == [
        (WHOLE, hashlib.sha256(b"\x00" + WHOLE).digest())
    ]
    with pytest.raises(errors.GeneratedAlways):
        run(vault_database.superuser_url, "INSERT INTO audit_events (event, leaf) VALUES (%s, sha256('x'))", WHOLE)


REFUSED = {
    "audit_events_size": (INSERT, (WHOLE.replace(b"{}", b'{"a":"%b"}' % (b"x" * 9_000)),)),
    "audit_leaves_pkey": ("INSERT INTO audit_leaves VALUES (0, sha256('x'), '9', 99, NULL, NULL)", ()),
    "audit_leaves_event": (
        "INSERT INTO audit_leaves SELECT 9, leaf, event_xid, event_id, NULL, NULL FROM audit_leaves WHERE idx = 0",
        (),
    ),
    "audit_leaves_entry": (
        "INSERT INTO audit_leaves SELECT n, sha256('x'), NULL, NULL, 1, md5('x')::uuid FROM generate_series(8, 9) AS n",
        (),
    ),
    "audit_leaves_not_negative": ("INSERT INTO audit_leaves VALUES (-1, sha256('x'), '9', 99, NULL, NULL)", ()),
    "audit_leaves_leaf_is_sha256": ("INSERT INTO audit_leaves VALUES (9, 'x', '9', 99, NULL, NULL)", ()),
    "audit_leaves_are_of_one_thing": ("INSERT INTO audit_leaves VALUES (9, sha256('x'), NULL, NULL, NULL, NULL)", ()),
    "audit_checkpoints_pkey": ("INSERT INTO audit_checkpoints SELECT * FROM audit_checkpoints", ()),
    "audit_checkpoints_size_positive": (
        "INSERT INTO audit_checkpoints VALUES (0, sha256('x'), sha256('x'), '1', '', now())", ()
    ),
    "audit_checkpoints_root_is_sha256": (
        "INSERT INTO audit_checkpoints VALUES (9, 'x', sha256('x'), '1', '', now())", ()
    ),
    "audit_checkpoints_frontier_of_hashes": (
        "INSERT INTO audit_checkpoints VALUES (9, sha256('x'), 'x', '1', '', now())", ()
    ),
    "audit_exports_size_fkey": ("INSERT INTO audit_exports VALUES (9, 'file:/a', now())", ()),
    "audit_exports_pkey": ("INSERT INTO audit_exports SELECT 2, 'a', now() FROM generate_series(1, 2)", ()),
    "audit_acceptances_pkey": (
        "INSERT INTO audit_acceptances SELECT 2, sha256('x'), 'p', 'r', now() FROM generate_series(1, 2)", ()
    ),
    "audit_acceptances_root_is_sha256": ("INSERT INTO audit_acceptances VALUES (2, 'x', 'p', 'r', now())", ()),
    "audit_acceptances_words": ("INSERT INTO audit_acceptances VALUES (2, sha256('x'), '', 'r', now())", ()),
}  # fmt: skip


@pytest.mark.parametrize("constraint", REFUSED)
async def test_each_constraint_bites(constraint: str, log: Log, vault_database: VaultDatabase) -> None:
    await log.grow(0, 2)
    statement, values = REFUSED[constraint]
    with pytest.raises(psycopg.IntegrityError) as refused:
        run(vault_database.superuser_url, statement, *values)
    assert refused.value.diag.constraint_name == constraint


def test_every_constraint_is_tried(vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        names = {name for (name,) in connection.execute(
            """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
                UNION SELECT conname FROM pg_constraint JOIN pg_attribute ON atttypid = contypid
                 WHERE attrelid = ANY (%(tables)s::regclass[])""",
            {"tables": list(TABLES)},
        ).fetchall()}  # fmt: skip
    assert names - set(REFUSED) == {"audit_events_pkey", "audit_events_are_whole"}


def old_month(vault_database: VaultDatabase, name: str = "2024_01", start: str = "2024-01-01") -> None:
    """A month long gone, as it would have been made then."""
    run(
        vault_database.superuser_url,
        f"""SET timezone = 'UTC'; SET ROLE kopeyka_owner;
            CREATE TABLE audit_events_{name} PARTITION OF audit_events
                FOR VALUES FROM ('{start}') TO (('{start}'::date + interval '1 month')::timestamptz);
            SELECT guard_audit_table('audit_events_{name}');
            RESET ROLE;""",
    )


def stage_at(vault_database: VaultDatabase, at: str) -> None:
    run(
        vault_database.superuser_url,
        "INSERT INTO audit_events (staged_at, event) VALUES (%s::timestamptz, %s)", at, WHOLE,
    )  # fmt: skip


async def test_retention_drops_a_month_and_keeps_its_hashes(log: Log, vault_database: VaultDatabase) -> None:
    old_month(vault_database)
    stage_at(vault_database, "2024-01-15T00:00Z")
    await log.stage(0, 1)
    url = vault_database.sequencer_url
    run(url, "SELECT drop_audit_events(12)")
    assert log.rows("SELECT count(*) FROM audit_events") == [(2,)]  # not sealed yet: it stays

    await log.seal()
    run(url, "SELECT drop_audit_events(12)")

    assert log.rows("SELECT count(*) FROM audit_events") == [(1,)]
    assert log.rows("SELECT idx, line IS NULL FROM audit_lines(0, 10)") == [(0, True), (1, False)]
    with pytest.raises(errors.CheckViolation, match="twelve months"):
        run(url, "SELECT drop_audit_events(11)")
    with pytest.raises(errors.InsufficientPrivilege):
        run(vault_database.vault_url, "SELECT drop_audit_events(12)")


async def test_months_are_made_ahead_and_what_has_no_month_is_kept(log: Log, vault_database: VaultDatabase) -> None:
    run(vault_database.sequencer_url, "SELECT make_audit_partitions(6)")
    assert log.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass") == [(8,)]

    stage_at(vault_database, "2019-01-15T00:00Z")
    assert log.rows("SELECT count(*) FROM audit_events_rest") == [(1,)]
    assert await log.seal() is not None
