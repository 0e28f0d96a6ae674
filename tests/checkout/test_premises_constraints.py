"""PostgreSQL holds the truths of premises by itself: each constraint and trigger says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, STORE, TERMINAL, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as RAIL
from tests.conftest import Database

BEFORE = {name: RAIL[name] for name in ("merchants", "stores", "terminals")}
STORE_2 = {"id": shown("sto", 2)}
ROWS: dict[str, dict[str, Any]] = {
    "store_places": {"store_id": STORE, "merchant_id": MERCHANT, "number": "1", "region": "msk", "changed_at": NOW},
    "premises_settings": {
        "merchant_id": MERCHANT, "level": "region", "place": "msk", "name": "slip_columns", "value": "48",
        "changed_at": NOW,
    },
    "rail_rollouts": {
        "id": shown("rol"), "merchant_id": MERCHANT, "rail": "sbp", "level": "region", "place": "msk",
        "effective_on": "2026-11-22", "is_on": True, "created_at": NOW,
    },
    "cashiers": {"id": shown("csr"), "merchant_id": MERCHANT, "number": "1", "name": "n", "created_at": NOW},
    "terminal_keys": {
        "id": shown("tky"), "terminal_id": TERMINAL, "fingerprint": "a" * 32, "key_check": "b" * 8, "created_at": NOW,
    },
    "terminal_sightings": {"terminal_id": TERMINAL, "seen_at": NOW},
}  # fmt: skip
"""One good row of each table."""
ELSEWHERE, BEFORE_NOW = {"place": "spb"}, "2026-11-22T08:59:59Z"
ROL_2, CSR_2 = {"id": shown("rol", 2)}, {"id": shown("csr", 2), "number": "2"}
KEY_2 = {"id": shown("tky", 2), "fingerprint": "c" * 32, "expires_at": NOW}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("store_places_pkey", "store_places", {"number": "2"}),
    ("store_places_number_key", "store_places", {"store_id": STORE_2["id"]}),
    ("store_places_store_fkey", "store_places", {"store_id": shown("sto", 9), "number": "2"}),
    ("store_places_number_form", "store_places", {"store_id": STORE_2["id"], "number": "№ 2"}),
    ("store_places_region_form", "store_places", {"store_id": STORE_2["id"], "number": "2", "region": "Москва"}),
    ("premises_settings_pkey", "premises_settings", {}),
    ("premises_settings_merchant_fkey", "premises_settings", ELSEWHERE | {"merchant_id": shown("mer", 9)}),
    ("premises_settings_level_is_known", "premises_settings", ELSEWHERE | {"level": "country"}),
    ("premises_settings_merchant_is_its_place", "premises_settings", ELSEWHERE | {"level": "merchant"}),
    ("premises_settings_place_form", "premises_settings", {"place": "Москва"}),
    ("premises_settings_name_form", "premises_settings", ELSEWHERE | {"name": "Columns"}),
    ("premises_settings_value_is_plain", "premises_settings", ELSEWHERE | {"value": "[1]"}),
    ("premises_settings_version_positive", "premises_settings", ELSEWHERE | {"version": 0}),
    ("rail_rollouts_pkey", "rail_rollouts", {}),
    ("rail_rollouts_merchant_fkey", "rail_rollouts", ROL_2 | {"merchant_id": shown("mer", 9)}),
    ("rail_rollouts_id_is_shown", "rail_rollouts", {"id": "rol_1"}),
    ("rail_rollouts_rail_form", "rail_rollouts", ROL_2 | {"rail": "SBP"}),
    ("rail_rollouts_level_is_known", "rail_rollouts", ROL_2 | {"level": "country"}),
    ("rail_rollouts_merchant_is_its_place", "rail_rollouts", ROL_2 | {"level": "merchant"}),
    ("rail_rollouts_place_form", "rail_rollouts", ROL_2 | {"place": "Москва"}),
    ("cashiers_pkey", "cashiers", {"number": "2"}),
    ("cashiers_merchant_fkey", "cashiers", CSR_2 | {"merchant_id": shown("mer", 9)}),
    ("cashiers_number_key", "cashiers", {"id": CSR_2["id"]}),
    ("cashiers_id_is_shown", "cashiers", CSR_2 | {"id": "csr_1"}),
    ("cashiers_number_form", "cashiers", CSR_2 | {"number": ""}),
    ("cashiers_name_length", "cashiers", CSR_2 | {"name": ""}),
    ("cashiers_left_later", "cashiers", CSR_2 | {"left_at": BEFORE_NOW}),
    ("terminal_keys_pkey", "terminal_keys", {"fingerprint": "c" * 32, "expires_at": NOW}),
    ("terminal_keys_terminal_fkey", "terminal_keys", KEY_2 | {"terminal_id": shown("ter", 9)}),
    ("terminal_keys_fingerprint_key", "terminal_keys", KEY_2 | {"fingerprint": "a" * 32}),
    ("terminal_keys_id_is_shown", "terminal_keys", KEY_2 | {"id": "tky_1"}),
    ("terminal_keys_fingerprint_form", "terminal_keys", KEY_2 | {"fingerprint": "A" * 32}),
    ("terminal_keys_check_form", "terminal_keys", KEY_2 | {"key_check": "b"}),
    ("terminal_keys_proved_later", "terminal_keys", KEY_2 | {"proved_at": BEFORE_NOW}),
    ("terminal_keys_expire_later", "terminal_keys", KEY_2 | {"expires_at": BEFORE_NOW}),
    ("terminal_keys_one_lasting", "terminal_keys", KEY_2 | {"expires_at": None}),
    ("terminal_sightings_pkey", "terminal_sightings", {}),
    ("terminal_sightings_terminal_fkey", "terminal_sightings", {"terminal_id": shown("ter", 9)}),
    ("terminal_sightings_software_length", "terminal_sightings", {"software": ""}),
    ("terminal_sightings_problem_form", "terminal_sightings", {"problem": "no", "problem_at": NOW}),
    ("terminal_sightings_problem_dated", "terminal_sightings", {"problem": "checkout.rejected"}),
]
NEVER_ALONE = {"cashiers_merchant_key"}
"""Unique because the id is; there for foreign keys to point at."""


@pytest.fixture
def filled(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table, and a second store."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in (BEFORE | ROWS).items():
            insert(connection, table, row)
        insert(connection, "stores", RAIL["stores"] | STORE_2)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        assert refused_by(filled, table, ROWS[table] | change) == name


def test_no_constraint_of_premises_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, *_ in VIOLATIONS} | NEVER_ALONE | {"rail_rollouts_append_only"}


def test_a_rollout_is_never_rewritten(filled: psycopg.Connection[Any]) -> None:
    for statement in ("UPDATE rail_rollouts SET is_on = false", "DELETE FROM rail_rollouts"):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)


def test_the_application_deletes_nothing_of_premises_and_moves_no_store(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (*(f"DELETE FROM {table}" for table in ROWS), "UPDATE stores SET merchant_id = merchant_id"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
