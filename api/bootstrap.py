"""Databases and roles of a fresh server. ``deploy/roles.sql`` says the same for servers of others.

kopeyka_owner      owns everything, never logs in
kopeyka_migrator   migrates as the owner
kopeyka_app        the api and worker roles; reaches ``kopeyka`` only
kopeyka_sequencer  seals the log; reaches ``kopeyka`` only
kopeyka_vault      the vault; reaches ``kopeyka_vault`` only
kopeyka_vault_sequencer  seals the vault's log; reaches ``kopeyka_vault`` only
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

OWNER = "kopeyka_owner"
MIGRATOR = "kopeyka_migrator"
BOOKS_ROLES = ("kopeyka_app", "kopeyka_sequencer")
VAULT_ROLES = ("kopeyka_vault", "kopeyka_vault_sequencer")
DATABASES = {"kopeyka": BOOKS_ROLES, "kopeyka_vault": VAULT_ROLES}
"""Each database and the roles that may connect to it, besides the migrator."""
QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_duration": "off",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_executor_stats": "off",
    "log_statement_stats": "off",
}
"""What the server's log says of the vault's statements: that one failed, and never with what values. Only a superuser
may turn these back, so neither the vault nor who steals its password can; the one that anybody may set
(``log_parameter_max_length_on_error``) adds a context that terse lines leave out.

Source: PostgreSQL 18, 19.8 "Error Reporting and Logging"; PCI DSS 3.5.1."""


def make_roles(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Make the roles, or give those that exist their present passwords."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        if not _exists(connection, "pg_roles", "rolname", OWNER):
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(OWNER)))
        for role in (MIGRATOR, *BOOKS_ROLES, *VAULT_ROLES):
            verb = "ALTER" if _exists(connection, "pg_roles", "rolname", role) else "CREATE"
            connection.execute(
                sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), passwords[role])
            )
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(OWNER), sql.Identifier(MIGRATOR)))
        for database in ("postgres", "template1"):
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))


def make_database(superuser_url: str, name: str, roles: tuple[str, ...]) -> None:
    """Make the database ``name``, closed to everybody but ``roles`` and the migrator."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        if not _exists(connection, "pg_database", "datname", name):
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER))
            )
        restrict_database(connection, name, roles)
    with psycopg.connect(superuser_url, dbname=name, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)))
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(_identifiers(roles)))


def restrict_database(connection: psycopg.Connection, name: str, roles: tuple[str, ...]) -> None:
    """Let only ``roles`` and the migrator connect to the database; of the vault's, log no value."""
    database = sql.Identifier(name)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, _identifiers((MIGRATOR, *roles))))
    if roles == VAULT_ROLES:
        for setting, value in QUIET.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(statement.format(database, sql.Identifier(setting), sql.Literal(value)))


def bootstrap(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Make every role and database. Doing it again changes nothing."""
    make_roles(superuser_url, passwords)
    for name, roles in DATABASES.items():
        make_database(superuser_url, name, roles)


def _exists(connection: psycopg.Connection, table: str, column: str, name: str) -> bool:
    query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(column))
    return connection.execute(query, [name]).fetchone() is not None


def _identifiers(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
