"""Tables of the evidence, as Alembic compares them. The truth is ``vault_migrations/sql/v008_evidence.sql``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pci.database import vault_metadata

Instant = DateTime(timezone=True)
_IN_FORCE = text("ended_at IS NULL")

retention_policies = Table(
    "retention_policies",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("merchant_id", Text, nullable=False, server_default=""),
    Column("data_class", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("justification", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    Column("ended_at", Instant),
    PrimaryKeyConstraint("id", name="retention_policies_pkey"),
    Index("retention_policies_one_in_force", "merchant_id", "data_class", unique=True, postgresql_where=_IN_FORCE),
)

purges = Table(
    "purges",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("policy_id", BigInteger, nullable=False),
    Column("cutoff_at", Instant, nullable=False),
    Column("ran_at", Instant, nullable=False),
    Column("rows_purged", BigInteger, nullable=False),
    Column("rows_left", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    PrimaryKeyConstraint("id", name="purges_pkey"),
    ForeignKeyConstraint(["policy_id"], ["retention_policies.id"], name="purges_policy_fkey"),
    Index("purges_policy", "policy_id", "ran_at"),
)

heartbeats = Table(
    "heartbeats",
    vault_metadata,
    Column("control", Text, nullable=False),
    Column("beat_at", Instant, nullable=False),
    Column("period_seconds", Integer, nullable=False),
    PrimaryKeyConstraint("control", name="heartbeats_pkey"),
)

outages = Table(
    "outages",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("control", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("cause", Text, nullable=False),
    PrimaryKeyConstraint("id", name="outages_pkey"),
    ForeignKeyConstraint(["control"], ["heartbeats.control"], name="outages_control_fkey"),
)

log_reviews = Table(
    "log_reviews",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("day", Date, nullable=False),
    Column("reviewed_until", Instant, nullable=False),
    Column("ran_at", Instant, nullable=False),
    Column("ran_by", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("suspicions", Integer, nullable=False),
    Column("cases_opened", Integer, nullable=False),
    PrimaryKeyConstraint("id", name="log_reviews_pkey"),
    Index("log_reviews_day", "day", "reviewed_until"),
)

cases = Table(
    "cases",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("rule", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", Text),
    Column("note", Text),
    PrimaryKeyConstraint("id", name="cases_pkey"),
    UniqueConstraint("day", "rule", "about", name="cases_one_a_day"),
    Index("cases_open", "opened_at", postgresql_where=text("closed_at IS NULL")),
)
