"""The log's tables as both migrations make them. What the database checks is in their SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, TIMESTAMP
from sqlalchemy.types import UserDefinedType

from pci.database import audit_metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")
AuditLine = DOMAIN("audit_line", LargeBinary, create_type=False)


class TransactionNumber(UserDefinedType[str]):
    """PostgreSQL's xid8: a transaction's number that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    """A column that is always filled."""
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


audit_events = Table(
    "audit_events",
    audit_metadata,
    required("xid", TransactionNumber(), "pg_current_xact_id()"),
    required("id", BigInteger, "nextval('audit_event_numbers')"),
    required("staged_at", Instant, "clock_timestamp()"),
    required("event", AuditLine),
    Column("leaf", LargeBinary, Computed(r"sha256('\x00'::bytea || event)", persisted=True), nullable=False),
    PrimaryKeyConstraint("xid", "id", "staged_at", name="audit_events_pkey"),
    postgresql_partition_by="RANGE (staged_at)",
)

audit_leaves = Table(
    "audit_leaves",
    audit_metadata,
    Column("idx", BigInteger, nullable=False, autoincrement=False),
    required("leaf", LargeBinary),
    Column("event_xid", TransactionNumber(), nullable=True),
    Column("event_id", BigInteger, nullable=True),
    Column("book", SmallInteger, nullable=True),
    Column("entry_id", Uuid, nullable=True),
    PrimaryKeyConstraint("idx", name="audit_leaves_pkey"),
    Index("audit_leaves_event", "event_id", unique=True, postgresql_where=text("event_id IS NOT NULL")),
    Index("audit_leaves_entry", "book", "entry_id", unique=True, postgresql_where=text("entry_id IS NOT NULL")),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    audit_metadata,
    Column("size", BigInteger, nullable=False, autoincrement=False),
    required("root", LargeBinary),
    required("frontier", LargeBinary),
    required("sealed_through", TransactionNumber()),
    required("note", Text),
    required("signed_at", Instant),
    PrimaryKeyConstraint("size", name="audit_checkpoints_pkey"),
)

audit_exports = Table(
    "audit_exports",
    audit_metadata,
    Column("size", BigInteger, ForeignKey("audit_checkpoints.size", name="audit_exports_size_fkey"), nullable=False),
    required("sink", Code),
    required("exported_at", Instant),
    PrimaryKeyConstraint("sink", "size", name="audit_exports_pkey"),
)

audit_acceptances = Table(
    "audit_acceptances",
    audit_metadata,
    required("size", BigInteger),
    required("root", LargeBinary),
    required("person", Code),
    required("reason", Text),
    required("accepted_at", Instant),
    Column("proof", LargeBinary),
    PrimaryKeyConstraint("size", "root", "person", name="audit_acceptances_pkey"),
)
