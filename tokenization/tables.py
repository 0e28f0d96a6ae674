"""The tables of cards as the migration makes them; what the database checks is in its SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from pci.database import vault_metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")
"""A word of ours, compared byte by byte."""


def required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    """A column that is always filled."""
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def optional(name: str, kind: Any) -> Column[Any]:
    """A column that may be empty."""
    return Column(name, kind, nullable=True)


cards = Table(
    "cards",
    vault_metadata,
    Column("number", BigInteger, Identity(always=True), nullable=False),
    required("tokenized_at", Instant),
    required("changed_at", Instant),
    optional("expires_at", Instant),
    optional("ended_at", Instant),
    optional("key_number", Integer),
    optional("fingerprint_key", Integer),
    required("digits", SmallInteger),
    required("merchant_id", Code),
    required("token", Code),
    optional("digits_token", Code),
    required("status", Code, "'active'"),
    required("first6", Code),
    required("last4", Code),
    required("scheme", Code),
    required("expires", Code),
    required("fingerprint_scope", Code),
    required("fingerprint_id", Code),
    optional("fingerprint", LargeBinary),
    optional("pan_sealed", LargeBinary),
    optional("holder_sealed", LargeBinary),
    optional("restrictions", JSONB),
    PrimaryKeyConstraint("merchant_id", "number", name="cards_pkey"),
    UniqueConstraint("token", name="cards_token_key"),
    UniqueConstraint("fingerprint_scope", "fingerprint_key", "fingerprint", name="cards_fingerprint_key"),
    Index("cards_digits_token_key", "digits_token", unique=True, postgresql_where=text("digits_token IS NOT NULL")),
    Index("cards_digits", "last4", "expires", postgresql_where=text("status = 'active'")),
    Index("cards_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL AND status = 'active'")),
)

card_imports = Table(
    "card_imports",
    vault_metadata,
    Column("id", Code, nullable=False),
    required("merchant_id", Code),
    required("file_digest", LargeBinary),
    required("scope", Code),
    required("wants_digits", Boolean),
    required("status", Code, "'running'"),
    required("lines_done", BigInteger, "0"),
    required("cards_new", BigInteger, "0"),
    required("cards_known", BigInteger, "0"),
    required("refused", BigInteger, "0"),
    required("started_at", Instant),
    required("advanced_at", Instant),
    optional("finished_at", Instant),
    PrimaryKeyConstraint("id", name="card_imports_pkey"),
    UniqueConstraint("merchant_id", "file_digest", "scope", "wants_digits", name="card_imports_file_key"),
)

card_import_refusals = Table(
    "card_import_refusals",
    vault_metadata,
    required("import_id", Code),
    required("line", BigInteger),
    required("code", Code),
    optional("mask", Code),
    PrimaryKeyConstraint("import_id", "line", name="card_import_refusals_pkey"),
    ForeignKeyConstraint(["import_id"], ["card_imports.id"], name="card_import_refusals_import_id_fkey"),
)

card_exports = Table(
    "card_exports",
    vault_metadata,
    Column("id", Code, nullable=False),
    required("merchant_id", Code),
    required("recipient_key", JSONB),
    required("reason", Text),
    required("status", Code, "'requested'"),
    required("requested_by", Code),
    optional("approved_by", Code),
    required("place", BigInteger, "0"),
    required("batches_done", BigInteger, "0"),
    required("cards_done", BigInteger, "0"),
    required("skipped", BigInteger, "0"),
    required("requested_at", Instant),
    required("advanced_at", Instant),
    optional("finished_at", Instant),
    PrimaryKeyConstraint("id", name="card_exports_pkey"),
)
