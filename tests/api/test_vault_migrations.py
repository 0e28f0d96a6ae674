"""The vault's database: built from zero, taken down, built again, and what the code knows of it."""

from __future__ import annotations

import psycopg

from api import migrate
from tests.conftest import VaultDatabase


def test_the_vaults_migrations_go_up_down_to_nothing_and_up_again(empty_vault_database: VaultDatabase) -> None:
    url = empty_vault_database.migrator_url
    migrate.upgrade(url, tree=migrate.Tree.VAULT)
    migrate.downgrade(url, revision="base", tree=migrate.Tree.VAULT)

    with psycopg.connect(empty_vault_database.superuser_url) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
            " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert left == [("alembic_version",)]

    migrate.upgrade(url, tree=migrate.Tree.VAULT)
    assert migrate.difference(url, tree=migrate.Tree.VAULT) == ""


def test_the_vaults_tables_in_the_code_are_those_in_its_database(vault_database: VaultDatabase) -> None:
    assert migrate.difference(vault_database.migrator_url, tree=migrate.Tree.VAULT) == ""


def test_everything_in_the_vault_is_owned_by_the_owner_who_cannot_log_in(vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()

    assert owners == [("kopeyka_owner",)]
