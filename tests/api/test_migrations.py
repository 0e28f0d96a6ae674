from __future__ import annotations

from typing import Any

import psycopg

from api import migrate
from tests.conftest import Database


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_migrations_build_the_books_from_zero(empty_database: Database) -> None:
    migrate.upgrade(empty_database.migrator_url)

    assert rows(empty_database.app_url, "SELECT number, name FROM books") == [(1, "main")]
    assert rows(empty_database.app_url, "SELECT code, scale FROM commodities") == [("RUB", 2)]
    assert rows(empty_database.app_url, "SELECT offset_seconds FROM business_clock") == [(0,)]


def test_the_tables_in_the_code_are_those_in_the_database(database: Database) -> None:
    assert migrate.difference(database.migrator_url) == ""


def test_everything_is_owned_by_the_owner_who_cannot_log_in(database: Database) -> None:
    owners = rows(
        database.superuser_url,
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    )

    assert owners == [("kopeyka_owner",)]
    assert rows(database.superuser_url, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'kopeyka_owner'") == [
        (False,)
    ]


def test_migrations_go_down_to_nothing_and_up_again(empty_database: Database) -> None:
    migrate.upgrade(empty_database.migrator_url)
    migrate.downgrade(empty_database.migrator_url, revision="base")

    left = rows(
        empty_database.superuser_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    assert left == [("alembic_version",)]

    migrate.upgrade(empty_database.migrator_url)
    assert migrate.difference(empty_database.migrator_url) == ""
