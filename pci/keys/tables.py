"""The register's tables as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
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

custodians = Table(
    "custodians",
    vault_metadata,
    required("id", Code),
    required("name", Text),
    required("verifier", Code),
    required("failed_tries", Integer, "0"),
    required("created_at", Instant),
    Column("deactivated_at", Instant),
    PrimaryKeyConstraint("id", name="custodians_pkey"),
    UniqueConstraint("name", name="custodians_name_key"),
)

acknowledgements = Table(
    "acknowledgements",
    vault_metadata,
    required("custodian_id", Code),
    required("text_version", Integer),
    required("text_digest", LargeBinary),
    required("acknowledged_at", Instant),
    PrimaryKeyConstraint("custodian_id", "text_version", name="acknowledgements_pkey"),
    ForeignKeyConstraint(["custodian_id"], ["custodians.id"], name="acknowledgements_custodian_fkey"),
)

ceremonies = Table(
    "ceremonies",
    vault_metadata,
    required("id", Code),
    required("kind", Code),
    required("kek_provider", Code),
    required("threshold", Integer),
    required("shares", Integer),
    required("held_at", Instant),
    required("held_by", Text),
    PrimaryKeyConstraint("id", name="ceremonies_pkey"),
)

ceremony_custodians = Table(
    "ceremony_custodians",
    vault_metadata,
    required("ceremony_id", Code),
    required("custodian_id", Code),
    required("share_index", Integer),
    required("confirmed_at", Instant),
    PrimaryKeyConstraint("ceremony_id", "custodian_id", name="ceremony_custodians_pkey"),
    UniqueConstraint("ceremony_id", "share_index", name="ceremony_custodians_share_key"),
    ForeignKeyConstraint(["ceremony_id"], ["ceremonies.id"], name="ceremony_custodians_ceremony_fkey"),
    ForeignKeyConstraint(["custodian_id"], ["custodians.id"], name="ceremony_custodians_custodian_fkey"),
)
