"""Webhooks' tables as Alembic compares them. The truth is ``migrations/sql/0024_webhooks.sql``."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Code, primary_key=True),
    optional("merchant_id", Code),
    required("url", Code),
    required("event_types", ARRAY(Code)),
    optional("description", Code),
    required("status", Code, "'active'"),
    optional("suspension_reason", Code),
    optional("failing_since", Instant),
    required("created_at", Instant),
    required("changed_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="webhooks_merchant_fkey"),
    Index("webhooks_of_merchant", "merchant_id", "id", postgresql_where=text("status <> 'removed'")),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    required("webhook_id", Code),
    required("number", Integer),
    required("salt", LargeBinary),
    required("key_mark", LargeBinary),
    required("created_at", Instant),
    optional("expires_at", Instant),
    PrimaryKeyConstraint("webhook_id", "number", name="webhook_secrets_pkey"),
    ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="webhook_secrets_webhook_fkey"),
    Index("webhook_secrets_one_lasting", "webhook_id", unique=True, postgresql_where=text("expires_at IS NULL")),
)

delivery_tries = Table(
    "delivery_tries",
    metadata,
    required("webhook_id", Code),
    required("event_id", Code),
    required("number", Integer),
    required("url", Code),
    required("tried_at", Instant),
    required("milliseconds", Integer),
    optional("http_status", Integer),
    optional("answer", Text),
    optional("error", Code),
    PrimaryKeyConstraint("webhook_id", "event_id", "number", name="delivery_tries_pkey"),
    ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="delivery_tries_webhook_fkey"),
    ForeignKeyConstraint(["event_id"], ["events.id"], name="delivery_tries_event_fkey"),
)
