"""How migrations run: as the owner, one at a time, one transaction each, never waiting long for a lock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pkgutil import iter_modules

from alembic import context
from sqlalchemy import Connection, MetaData, create_engine, pool, text

MIGRATION_LOCK = 19279
"""The advisory lock that one migrating process holds."""


def import_tables(packages: Iterable[str]) -> None:
    """Import every module of the packages whose name ends in ``tables``."""
    for package in packages:
        for module in iter_modules(import_module(package).__path__, f"{package}."):
            if module.name.endswith("tables"):
                import_module(module.name)


def migrate(url: str, known: Sequence[MetaData]) -> None:
    """Migrate the database at ``url``, whose tables the code knows as ``known``."""
    if context.is_offline_mode():
        raise SystemExit("Migrations run against a database: offline SQL is not made.")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=pool.NullPool)
    with engine.connect() as connection:
        prepare(connection)
        context.configure(
            connection=connection,
            target_metadata=known,
            transaction_per_migration=True,
            compare_type=True,
            include_name=is_no_partition,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def is_no_partition(name: str | None, kind: str, _parents: object) -> bool:
    """Whether Alembic compares it: the months of the log are made as time goes on, not by migrations."""
    return kind != "table" or name is None or re.fullmatch(r"audit_events_(\d{4}_\d{2}|rest)", name) is None


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
