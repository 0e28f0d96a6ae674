"""People as rows, for tests that only need somebody to be there."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from tests.pci.access.test_constraints import NOW, ROWS


def add_person(url: str, login: str, *, is_disabled: bool = False) -> str:
    """Somebody active, or put out; their id."""
    row: dict[str, Any] = ROWS["people"] | {"id": f"per_{login}", "login": login}
    if is_disabled:
        row |= {"status": "disabled", "disabled_at": NOW, "disabled_by": "system:init", "disabled_reason": "left"}
    statement = sql.SQL("INSERT INTO people ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
    )
    with psycopg.connect(url) as connection:
        connection.execute(statement, list(row.values()))
    return str(row["id"])
