"""The table of notices as the migration makes it. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

plan_notices = Table(
    "plan_notices",
    metadata,
    Column("id", Code, primary_key=True),
    *(required(name, Code) for name in ("plan_id", "buyer_id", "template")),
    required("installment_number", Integer, "0"),
    required("stage", Code),
    required("lane", Integer),
    required("channel", Code, "'sms'"),
    required("language", Code, "'ru'"),
    required("facts", JSONB, "'{}'"),
    required("status", Code, "'waiting'"),
    required("tries", Integer, "0"),
    optional("next_try_at", Instant),
    optional("reason", Code),
    optional("contacted_at", Instant),
    required("cost_kopecks", BigInteger, "0"),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_notices_plan_fkey"),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="plan_notices_buyer_fkey"),
    UniqueConstraint("plan_id", "template", "installment_number", "stage", name="plan_notices_once_key"),
    Index(
        "plan_notices_contacts",
        "buyer_id",
        "contacted_at",
        postgresql_where=text("contacted_at IS NOT NULL"),
    ),
    Index("plan_notices_waiting", "lane", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),
)
