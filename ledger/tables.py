"""The books' and the outbox's tables as migrations make them. What the database checks is in their SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, JSONB, TIMESTAMP
from sqlalchemy.types import UserDefinedType

from ledger.database import metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")
"""A word of ours, compared byte by byte."""

Counter = DOMAIN("account_counter", BigInteger, create_type=False)
EntryReference = DOMAIN("entry_reference", Text, collation="C", create_type=False)
EntryKind = DOMAIN("entry_kind", Text, collation="C", create_type=False)


class Xid8(UserDefinedType[str]):
    """A database transaction's number that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    """A column that is always filled."""
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def optional(name: str, kind: Any) -> Column[Any]:
    """A column that may be empty."""
    return Column(name, kind, nullable=True)


books = Table(
    "books",
    metadata,
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    required("name", Code),
    optional("closed_through_on", Date),
    required("folded_below", Xid8(), "'0'"),
    required("created_at", Instant),
    UniqueConstraint("name", name="books_name_key"),
)

commodities = Table(
    "commodities",
    metadata,
    Column("code", Code, primary_key=True),
    required("scale", SmallInteger),
    required("created_at", Instant),
)

accounts = Table(
    "accounts",
    metadata,
    required("book", SmallInteger),
    required("number", Integer),
    required("debits_posted", Counter, "0"),
    required("credits_posted", Counter, "0"),
    required("debits_held", Counter, "0"),
    required("credits_held", Counter, "0"),
    required("version", BigInteger, "0"),
    optional("available_min", BigInteger),
    optional("balance_max", BigInteger),
    required("opened_at", Instant),
    optional("closed_at", Instant),
    required("normal_side", Code),
    required("commodity", Code),
    required("code", Code),
    optional("metadata", JSONB),
    PrimaryKeyConstraint("book", "number", name="accounts_pkey"),
    UniqueConstraint("book", "code", name="accounts_code_key"),
)

postings = Table(
    "postings",
    metadata,
    required("entry_id", Uuid),
    required("amount", BigInteger),
    required("debit_version", BigInteger),
    required("debit_balance", BigInteger),
    required("credit_version", BigInteger),
    required("credit_balance", BigInteger),
    optional("happened_at", Instant),
    optional("recorded_at", Instant),
    optional("xid", Xid8()),
    required("book", SmallInteger),
    required("debit", Integer),
    required("credit", Integer),
    required("number", SmallInteger),
    required("commodity", Code),
    optional("body_hash", Uuid),
    optional("reference", EntryReference),
    optional("kind", EntryKind),
    optional("metadata", JSONB),
    PrimaryKeyConstraint("book", "entry_id", "number", name="postings_pkey"),
    Index("postings_debit_version", "book", "debit", "debit_version", unique=True),
    Index("postings_credit_version", "book", "credit", "credit_version", unique=True),
    Index("postings_reference", "book", "reference", unique=True, postgresql_where=text("reference IS NOT NULL")),
    Index(
        "postings_reverses",
        "book",
        text("(metadata ->> 'reverses')"),
        unique=True,
        postgresql_where=text("kind = 'reversal'"),
    ),
    Index("postings_xid", "book", "xid", postgresql_where=text("xid IS NOT NULL")),
    Index(
        "postings_happened_at",
        "happened_at",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        postgresql_where=text("happened_at IS NOT NULL"),
    ),
)

refusals = Table(
    "refusals",
    metadata,
    required("book", SmallInteger),
    required("reference", Code),
    required("entry_id", Uuid),
    required("body_hash", Uuid),
    required("code", Code),
    required("facts", JSONB),
    required("recorded_at", Instant),
    PrimaryKeyConstraint("book", "reference", name="refusals_pkey"),
)

holds = Table(
    "holds",
    metadata,
    required("book", SmallInteger),
    required("id", Uuid),
    required("reference", Code),
    required("body_hash", Uuid),
    required("kind", Code),
    required("debit", Integer),
    required("credit", Integer),
    required("commodity", Code),
    required("amount", BigInteger),
    required("amount_posted", BigInteger, "0"),
    required("amount_released", BigInteger, "0"),
    required("state", Code, "'open'"),
    required("happened_at", Instant),
    optional("expires_at", Instant),
    required("recorded_at", Instant),
    optional("metadata", JSONB),
    PrimaryKeyConstraint("book", "id", name="holds_pkey"),
    UniqueConstraint("book", "reference", name="holds_reference_key"),
    Index(
        "holds_expires_at",
        "expires_at",
        postgresql_where=text("state = 'open' AND expires_at IS NOT NULL"),
    ),
)

hold_events = Table(
    "hold_events",
    metadata,
    required("book", SmallInteger),
    required("hold_id", Uuid),
    required("number", Integer),
    required("what", Code),
    required("amount", BigInteger),
    optional("entry_id", Uuid),
    required("reference", Code),
    required("body_hash", Uuid),
    required("happened_at", Instant),
    required("recorded_at", Instant),
    PrimaryKeyConstraint("book", "hold_id", "number", name="hold_events_pkey"),
    UniqueConstraint("book", "reference", name="hold_events_reference_key"),
)

day_totals = Table(
    "day_totals",
    metadata,
    required("book", SmallInteger),
    required("account", Integer),
    required("day_on", Date),
    required("debits", BigInteger),
    required("credits", BigInteger),
    required("postings", BigInteger),
    PrimaryKeyConstraint("book", "account", "day_on", name="day_totals_pkey"),
)

period_closes = Table(
    "period_closes",
    metadata,
    required("book", SmallInteger),
    required("closed_through_on", Date),
    required("closed_at", Instant),
    required("closed_by", Text),
    required("accounts", Integer),
    required("postings", BigInteger),
    required("proof", LargeBinary),
    PrimaryKeyConstraint("book", "closed_through_on", name="period_closes_pkey"),
)

period_balances = Table(
    "period_balances",
    metadata,
    required("book", SmallInteger),
    required("closed_through_on", Date),
    required("account", Integer),
    required("debits", BigInteger),
    required("credits", BigInteger),
    PrimaryKeyConstraint("book", "closed_through_on", "account", name="period_balances_pkey"),
)

business_clock = Table(
    "business_clock",
    metadata,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    required("offset_seconds", BigInteger, "0"),
)

events = Table(
    "events",
    metadata,
    required("id", Code),
    required("type", Code),
    required("object_id", Code),
    optional("merchant_id", Code),
    required("sequence", BigInteger),
    required("data", JSONB),
    required("created_at", Instant),
    required("xid", Xid8(), "pg_current_xact_id()"),
    PrimaryKeyConstraint("id", name="events_pkey"),
    UniqueConstraint("object_id", "sequence", name="events_sequence_key"),
    Index("events_xid", "xid", "id"),
)

relay_positions = Table(
    "relay_positions",
    metadata,
    required("destination", Code),
    required("passed_xid", Xid8(), "'0'"),
    required("passed_event", Code, "''"),
    PrimaryKeyConstraint("destination", name="relay_positions_pkey"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", Code, ForeignKey("events.id", name="deliveries_event_id_fkey"), nullable=False),
    required("destination", Code),
    required("object_id", Code),
    required("sequence", BigInteger),
    required("state", Code, "'pending'"),
    required("attempts", Integer, "0"),
    required("next_attempt_at", Instant),
    optional("lease_until", Instant),
    optional("delivered_at", Instant),
    optional("last_error", Text),
    required("replayed_after", Integer, "0"),
    PrimaryKeyConstraint("event_id", "destination", name="deliveries_pkey"),
    Index("deliveries_pending", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("deliveries_order", "destination", "object_id", "sequence", unique=True),
    Index("deliveries_of_webhooks", "destination", "event_id", postgresql_where=text("destination LIKE 'webhook:%'")),
)
