"""The table of plans that pay for attempts, as the migration makes it."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, Table, UniqueConstraint, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

plan_attempts = Table(
    "plan_attempts",
    metadata,
    Column("attempt_id", Code, primary_key=True),
    required("plan_id", Code),
    required("created_at", Instant),
    optional("settled_at", Instant),
    UniqueConstraint("plan_id", name="plan_attempts_plan_key"),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="plan_attempts_attempt_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_attempts_plan_fkey"),
    Index("plan_attempts_unsettled", "attempt_id", postgresql_where=text("settled_at IS NULL")),
)
