"""How migrations run: as the owner, one at a time, one transaction each, never waiting long for a lock."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.dialects.postgresql.base import ischema_names

from api.settings import Settings
from ledger.database import metadata
from ledger.tables import Xid8

PACKAGES = (
    "ledger",
    "pci",
    "checkout",
    "installments",
    "sbp_gateway",
    "reconciliation",
    "api",
    "api.contracts.yookassa",
)
"""Whose tables live in the database ``kopeyka``. The vault has its own database."""
MIGRATION_LOCK = 19279
"""The advisory lock that one migrating process holds."""

ischema_names["xid8"] = Xid8
for package in PACKAGES:
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        if module.name.endswith("tables"):
            import_module(module.name)


def database_url() -> str:
    """The migrator's URL, given by the caller or by the environment."""
    given = context.config.attributes.get("url") or Settings().migrator_database_url.get_secret_value()
    if not given:
        raise SystemExit("Set KOPEYKA_MIGRATOR_DATABASE_URL to the role kopeyka_migrator.")
    return str(given).replace("postgresql://", "postgresql+psycopg://", 1)


def prepare(connection: Connection) -> None:
    """Become the owner, keep waits short, and let nobody else migrate meanwhile."""
    for statement in (
        "SET lock_timeout = '4s'",
        "SET statement_timeout = '5s'",
        f"SELECT pg_advisory_lock({MIGRATION_LOCK})",
        "SET ROLE kopeyka_owner",
    ):
        connection.execute(text(statement))
    connection.commit()


def run() -> None:
    """Migrate the database that the caller named."""
    engine = create_engine(database_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        prepare(connection)
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: offline SQL is not made.")
run()
