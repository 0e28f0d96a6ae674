"""PostgreSQL holds every truth of the list of banks by itself."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import NOW, insert, refused_by
from tests.conftest import Database

ROW: dict[str, Any] = {
    "id": "100000000111", "place": 1, "name": "Сбербанк", "app_schema": "bank100000000111", "is_dr_active": True,
    "is_web_client_active": False, "imported_at": NOW,
}  # fmt: skip
OTHER = {"id": "100000000004", "app_schema": "bank100000000004", "place": 2}
VIOLATIONS = [
    ("sbp_banks_pkey", {"place": 2}),
    ("sbp_banks_place_key", OTHER | {"place": 1}),
    ("sbp_banks_id_is_digits", OTHER | {"id": "1", "app_schema": "bank1"}),
    ("sbp_banks_schema_of_id", OTHER | {"app_schema": "bank100000000005"}),
    ("sbp_banks_name_length", OTHER | {"name": ""}),
    ("sbp_banks_place_positive", OTHER | {"place": 0}),
    ("sbp_banks_listed_or_gone", OTHER | {"place": None}),
    ("sbp_banks_listed_or_gone", OTHER | {"gone_at": NOW}),
    ("sbp_banks_web_client_has_url", OTHER | {"is_web_client_active": True}),
]


def test_every_constraint_refuses_what_it_must(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "sbp_banks", ROW)
        connection.commit()
        for name, change in VIOLATIONS:
            assert refused_by(connection, "sbp_banks", ROW | change) == name
        known = connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'sbp_banks'::regclass AND contype <> 'n'"
        )
        assert {row[0] for row in known} == {name for name, _ in VIOLATIONS}


def test_the_application_deletes_no_bank(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in ("DELETE FROM sbp_banks", "TRUNCATE sbp_banks"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
