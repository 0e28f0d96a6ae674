"""The door's tables, as Alembic compares them. The truth is ``migrations/sql/0002_door.sql``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
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
from sqlalchemy.dialects.postgresql import ARRAY

from ledger.database import metadata

Instant = DateTime(timezone=True)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("merchant_id", Text),
    Column("mode", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_on", Date),
    PrimaryKeyConstraint("id", name="api_keys_pkey"),
    UniqueConstraint("hash", name="api_keys_hash_key"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("lease_until", Instant),
    Column("attempt_no", Integer, nullable=False, server_default="1"),
    Column("response_status", SmallInteger),
    Column("fingerprint_version", SmallInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("field_digests", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("api_key_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("resource_id", Text),
    Column("reason", Text),
    Column("content_type", Text),
    Column("location", Text),
    Column("response_body", LargeBinary),
    PrimaryKeyConstraint("scope", "key", name="idempotency_keys_pkey"),
    Index("idempotency_keys_created_at", "created_at"),
    Index("idempotency_keys_request_id", "request_id"),
    Index("idempotency_keys_started", "created_at", postgresql_where=text("status = 'started'")),
)

idempotency_clearing = Table(
    "idempotency_clearing",
    metadata,
    Column("id", Boolean, nullable=False, server_default=text("true")),
    Column("answers_cleared_through", Instant, nullable=False, server_default=text("'-infinity'::timestamptz")),
    PrimaryKeyConstraint("id", name="idempotency_clearing_pkey"),
)
