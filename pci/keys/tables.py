"""The register's tables as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from pci.database import vault_metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")


def required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    """A column that is always filled."""
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


keys_number_seq = Sequence("keys_number_seq", metadata=vault_metadata, data_type=Integer)

keys = Table(
    "keys",
    vault_metadata,
    required("number", Integer),
    required("purpose", Code),
    required("scope", Code),
    required("version", Integer),
    required("state", Code),
    required("algorithm", Code),
    required("storage_form", Code, "'wrapped'"),
    Column("wrapped", LargeBinary),
    required("kek_provider", Code),
    required("kek_version", Code),
    required("env", Code),
    required("cryptoperiod_days", Integer),
    required("encryptions", BigInteger, "0"),
    required("created_at", Instant),
    Column("activated_at", Instant),
    Column("retired_at", Instant),
    Column("destroyed_at", Instant),
    PrimaryKeyConstraint("number", name="keys_pkey"),
    UniqueConstraint("purpose", "scope", "env", "version", name="keys_version_key"),
    Index("keys_one_active", "purpose", "scope", "env", unique=True, postgresql_where=text("state = 'active'")),
    Index("keys_by_kek", "kek_version", "number", postgresql_where=text("state <> 'destroyed'")),
)

rotations = Table(
    "rotations",
    vault_metadata,
    required("id", Code),
    required("kind", Code),
    required("scope", Code),
    required("target", Code),
    required("status", Code, "'running'"),
    required("rows_total", BigInteger),
    required("rows_done", BigInteger, "0"),
    required("place", Code, "''"),
    required("started_by", Text),
    required("started_at", Instant),
    required("changed_at", Instant),
    Column("finished_at", Instant),
    PrimaryKeyConstraint("id", name="rotations_pkey"),
    Index("rotations_one_open", "kind", "scope", unique=True, postgresql_where=text("status <> 'done'")),
)
