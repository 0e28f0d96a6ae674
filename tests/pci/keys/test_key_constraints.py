"""PostgreSQL holds every truth of the register by itself: each constraint, trigger and grant says no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege, UniqueViolation

from api.postgres import Server
from api.vault_migrations.sql_files import FOLDER
from pci.keys.key import ALLOWED, KeyState
from tests.conftest import drop_database

NOW = "2026-11-22T09:00:00Z"
ROWS: dict[str, dict[str, Any]] = {
    "keys": {
        "number": 1, "purpose": "card", "scope": "mer_1", "version": 1, "state": "active", "algorithm": "aes-256-gcm",
        "wrapped": b"x" * 60, "kek_provider": "file", "kek_version": "1", "env": "test", "cryptoperiod_days": 365,
        "created_at": NOW, "activated_at": NOW,
    },
    "rotations": {
        "id": "rot_" + "A" * 24, "kind": "card", "scope": "mer_1", "target": "2", "rows_total": 5,
        "started_by": "person:per_1", "started_at": NOW, "changed_at": NOW,
    },
    "custodians": {
        "id": "cus_" + "A" * 24, "name": "Анна", "verifier": "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "created_at": NOW,
    },
    "acknowledgements": {
        "custodian_id": "cus_" + "A" * 24, "text_version": 1, "text_digest": b"x" * 32, "acknowledged_at": NOW,
    },
    "ceremonies": {
        "id": "cer_" + "A" * 24, "kind": "split", "kek_provider": "file", "threshold": 2, "shares": 3, "held_at": NOW,
        "held_by": "person:per_1",
    },
    "ceremony_custodians": {
        "ceremony_id": "cer_" + "A" * 24, "custodian_id": "cus_" + "A" * 24, "share_index": 0, "confirmed_at": NOW,
    },
}  # fmt: skip
"""One good row of each table, in an order that their references allow."""

SECOND = {"number": 2, "version": 2, "state": "decrypt_only", "retired_at": NOW}
ROTATION = {"id": "rot_" + "B" * 24, "scope": "mer_2"}
OTHER_CUSTODIAN = {"id": "cus_" + "B" * 24, "name": "Борис"}
CUSTODIAN = {"id": "cus_" + "C" * 24, "name": "Вера"}
CEREMONY = {"id": "cer_" + "B" * 24}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("keys_pkey", "keys", SECOND | {"number": 1}),
    ("keys_version_key", "keys", SECOND | {"version": 1}),
    ("keys_one_active", "keys", SECOND | {"state": "active", "retired_at": None}),
    ("keys_number_in_range", "keys", SECOND | {"number": 0}),
    ("keys_purpose_is_known", "keys", SECOND | {"purpose": "all"}),
    ("keys_scope_form", "keys", SECOND | {"scope": "a|b"}),
    ("keys_version_positive", "keys", SECOND | {"version": 0}),
    ("keys_state_is_known", "keys", SECOND | {"state": "lost"}),
    ("keys_algorithm_is_known", "keys", SECOND | {"algorithm": "des"}),
    ("keys_storage_form_is_known", "keys", SECOND | {"storage_form": "clear"}),
    ("keys_wrapped_until_destroyed", "keys", SECOND | {"wrapped": None}),
    ("keys_wrapped_until_destroyed", "keys", SECOND | {"state": "destroyed", "destroyed_at": NOW}),
    ("keys_wrapped_is_closed", "keys", SECOND | {"wrapped": b"k" * 32}),
    ("keys_kek_is_named", "keys", SECOND | {"kek_provider": "paper"}),
    ("keys_kek_is_named", "keys", SECOND | {"kek_version": ""}),
    ("keys_env_is_known", "keys", SECOND | {"env": "prod"}),
    ("keys_cryptoperiod_in_range", "keys", SECOND | {"cryptoperiod_days": 0}),
    ("keys_encryptions_in_range", "keys", SECOND | {"encryptions": 2**32 + 1}),
    ("keys_encryptions_in_range", "keys", SECOND | {"encryptions": -1}),
    ("keys_times_fit_state", "keys", SECOND | {"retired_at": None}),
    ("keys_times_fit_state", "keys", SECOND | {"destroyed_at": NOW}),
    ("keys_times_fit_state", "keys", SECOND | {"scope": "b", "state": "active", "activated_at": None}),
    ("keys_times_fit_state", "keys", SECOND | {"state": "pre_active", "retired_at": None}),
    ("rotations_pkey", "rotations", {"scope": "mer_2"}),
    ("rotations_one_open", "rotations", {"id": "rot_" + "B" * 24}),
    ("rotations_id_is_shown", "rotations", ROTATION | {"id": "rot"}),
    ("rotations_kind_is_known", "rotations", ROTATION | {"kind": "moon"}),
    ("rotations_scope_form", "rotations", ROTATION | {"scope": ""}),
    ("rotations_target_length", "rotations", ROTATION | {"target": ""}),
    ("rotations_status_is_known", "rotations", ROTATION | {"status": "lost"}),
    ("rotations_rows_in_range", "rotations", ROTATION | {"rows_total": -1}),
    ("rotations_rows_in_range", "rotations", ROTATION | {"rows_done": -1}),
    ("rotations_place_length", "rotations", ROTATION | {"place": "x" * 129}),
    ("rotations_started_by_length", "rotations", ROTATION | {"started_by": ""}),
    ("rotations_finished_when_done", "rotations", ROTATION | {"status": "done"}),
    ("rotations_finished_when_done", "rotations", ROTATION | {"finished_at": NOW}),
    ("custodians_pkey", "custodians", {"name": "Вера"}),
    ("custodians_name_key", "custodians", {"id": "cus_" + "C" * 24}),
    ("custodians_id_is_shown", "custodians", CUSTODIAN | {"id": "anna"}),
    ("custodians_name_length", "custodians", CUSTODIAN | {"name": ""}),
    ("custodians_verifier_is_argon2id", "custodians", CUSTODIAN | {"verifier": "plain"}),
    ("custodians_tries_in_range", "custodians", CUSTODIAN | {"failed_tries": -1}),
    ("acknowledgements_pkey", "acknowledgements", {}),
    ("acknowledgements_custodian_fkey", "acknowledgements", {"custodian_id": "cus_" + "C" * 24}),
    ("acknowledgements_version_positive", "acknowledgements", {"text_version": 0}),
    ("acknowledgements_digest_is_sha256", "acknowledgements", {"text_version": 2, "text_digest": b"x"}),
    ("ceremonies_pkey", "ceremonies", {}),
    ("ceremonies_id_is_shown", "ceremonies", {"id": "one"}),
    ("ceremonies_kind_is_known", "ceremonies", CEREMONY | {"kind": "dance"}),
    ("ceremonies_provider_is_known", "ceremonies", CEREMONY | {"kek_provider": "paper"}),
    ("ceremonies_two_at_least", "ceremonies", CEREMONY | {"threshold": 1}),
    ("ceremonies_two_at_least", "ceremonies", CEREMONY | {"threshold": 4}),
    ("ceremonies_two_at_least", "ceremonies", CEREMONY | {"shares": 17}),
    ("ceremonies_held_by_length", "ceremonies", CEREMONY | {"held_by": ""}),
    ("ceremony_custodians_pkey", "ceremony_custodians", {"share_index": 1}),
    ("ceremony_custodians_ceremony_fkey", "ceremony_custodians", {"ceremony_id": "cer_" + "C" * 24}),
    ("ceremony_custodians_custodian_fkey", "ceremony_custodians", {"custodian_id": "cus_" + "C" * 24,
                                                                  "share_index": 1}),
    ("ceremony_custodians_index_in_range", "ceremony_custodians", {"custodian_id": "cus_" + "B" * 24,
                                                                  "share_index": 16}),
    ("ceremony_custodians_share_key", "ceremony_custodians", {"custodian_id": "cus_" + "B" * 24}),
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(server: Server, vault_template: str) -> Iterator[str]:
    """The name of a database with one good row in each table, and a second custodian."""
    name = "kopeyka_vault_key_constraints"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER kopeyka_owner TEMPLATE {vault_template}")
    with psycopg.connect(server.url("postgres", name)) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        insert(connection, "custodians", ROWS["custodians"] | OTHER_CUSTODIAN)
    yield name
    drop_database(server, name)


@pytest.fixture
def connection(server: Server, filled: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser in a transaction that is undone."""
    with psycopg.connect(server.url("postgres", filled)) as opened:
        yield opened
        opened.rollback()


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    columns, values = map(sql.Identifier, row), map(sql.Placeholder, row)
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table), sql.SQL(", ").join(columns), sql.SQL(", ").join(values)
    )
    connection.execute(statement, row)


@pytest.mark.parametrize(("constraint", "table", "change"), VIOLATIONS)
def test_each_constraint_says_no(
    connection: psycopg.Connection[Any], constraint: str, table: str, change: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        insert(connection, table, ROWS[table] | change)

    assert refused.value.diag.constraint_name == constraint


def test_no_constraint_was_forgotten(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute(
        "SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE relname = ANY(%s)"
        " AND contype <> 'n' UNION SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class"
        " ON pg_class.oid = indrelid WHERE indisunique AND relname = ANY(%s)",
        (list(ROWS), list(ROWS)),
    ).fetchall()

    assert {name for (name,) in found} == {constraint for constraint, _, _ in VIOLATIONS}


@pytest.mark.parametrize(("state", "to"), [pair for pair in product(KeyState, KeyState) if pair[0] is not pair[1]])
def test_the_database_walks_the_same_square_of_states(
    connection: psycopg.Connection[Any], state: KeyState, to: KeyState
) -> None:
    connection.execute("ALTER TABLE keys DISABLE TRIGGER keys_moves_as_allowed")
    become(connection, state)
    connection.execute("ALTER TABLE keys ENABLE TRIGGER keys_moves_as_allowed")

    if to in ALLOWED[state]:
        become(connection, to)
    else:
        with pytest.raises(CheckViolation) as refused:
            become(connection, to)
        assert refused.value.diag.constraint_name == "keys_moves_as_allowed"


def become(connection: psycopg.Connection[Any], state: KeyState) -> None:
    connection.execute(
        "UPDATE keys SET state = %(state)s,"
        " wrapped = CASE WHEN %(state)s = 'destroyed' THEN NULL ELSE coalesce(wrapped, %(bytes)s) END,"
        " activated_at = CASE WHEN %(state)s = 'pre_active' THEN NULL ELSE %(now)s::timestamptz END,"
        " retired_at = CASE WHEN %(state)s IN ('pre_active', 'active') THEN NULL ELSE %(now)s::timestamptz END,"
        " destroyed_at = CASE WHEN %(state)s = 'destroyed' THEN %(now)s::timestamptz END",
        {"state": str(state), "bytes": b"x" * 60, "now": NOW},
    )


@pytest.mark.parametrize(
    "change",
    ["number = 9", "purpose = 'sad'", "scope = 'mer_2'", "version = 2", "env = 'live'", "algorithm = 'ec-p-256'",
     "cryptoperiod_days = 1", "created_at = now()"],
)  # fmt: skip
def test_what_a_key_is_does_not_change(connection: psycopg.Connection[Any], change: str) -> None:
    with pytest.raises(CheckViolation) as refused:
        connection.execute(f"UPDATE keys SET {change}")
    assert refused.value.diag.constraint_name == "keys_moves_as_allowed"


@pytest.mark.parametrize(("state", "uses"), [(KeyState.ACTIVE, 9), (KeyState.DECRYPT_ONLY, 11)])
def test_uses_are_only_added_and_only_to_an_active_key(
    connection: psycopg.Connection[Any], state: KeyState, uses: int
) -> None:
    connection.execute("UPDATE keys SET encryptions = 10")
    become(connection, state)

    with pytest.raises(CheckViolation):
        connection.execute("UPDATE keys SET encryptions = %s", (uses,))


def test_two_environments_may_have_the_same_versions(connection: psycopg.Connection[Any]) -> None:
    insert(connection, "keys", ROWS["keys"] | {"number": 2, "env": "live"})
    with pytest.raises(UniqueViolation):
        insert(connection, "keys", ROWS["keys"] | {"number": 3, "env": "live", "version": 2})


DENIED = {
    "the vault's role deletes no key": ("kopeyka_vault", "DELETE FROM keys"),
    "nor empties the register": ("kopeyka_vault", "TRUNCATE keys"),
    "nor says what a key is for": ("kopeyka_vault", "UPDATE keys SET purpose = 'sad'"),
    "nor makes it younger": ("kopeyka_vault", "UPDATE keys SET created_at = now()"),
    "nor forgets a rotation": ("kopeyka_vault", "DELETE FROM rotations"),
    "nor who began it": ("kopeyka_vault", "UPDATE rotations SET started_by = 'me'"),
    "nor a custodian": ("kopeyka_vault", "DELETE FROM custodians"),
    "nor changes what was acknowledged": ("kopeyka_vault", "UPDATE acknowledgements SET text_version = 2"),
    "nor a ceremony": ("kopeyka_vault", "UPDATE ceremonies SET shares = 2"),
    "nor who was there": ("kopeyka_vault", "DELETE FROM ceremony_custodians"),
    "the log's sealer sees no key": ("kopeyka_vault_sequencer", "SELECT wrapped FROM keys"),
    "nor a custodian's verifier": ("kopeyka_vault_sequencer", "SELECT verifier FROM custodians"),
}


@pytest.mark.parametrize("name", DENIED)
def test_roles_may_do_no_more_than_they_need(connection: psycopg.Connection[Any], name: str) -> None:
    role, statement = DENIED[name]
    connection.execute(f"SET LOCAL ROLE {role}")

    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_the_migration_names_what_is_tested_here() -> None:
    text = (Path(FOLDER) / "v002_keys.sql").read_text()

    assert set(re.findall(r"CREATE TABLE (\w+)", text)) == set(ROWS)
