"""Tables of collection as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

plan_charges = Table(
    "plan_charges",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("kind", Code),
    required("due_on", Date),
    required("tries", Integer),
    required("amount_kopecks", BigInteger),
    required("collector", Code),
    required("status", Code, "'requested'"),
    optional("payment_id", Code),
    required("captured_kopecks", BigInteger, "0"),
    optional("reason", Code),
    required("looks", Integer, "0"),
    optional("next_try_at", Instant),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_charges_plan_fkey"),
    UniqueConstraint("payment_id", name="plan_charges_payment_key"),
    Index("plan_charges_live_key", "plan_id", unique=True, postgresql_where=text("status IN ('requested', 'unknown')")),
    Index(
        "plan_charges_round_key",
        "plan_id",
        "due_on",
        "tries",
        unique=True,
        postgresql_where=text("kind = 'installment_payment'"),
    ),
    Index("plan_charges_next_try", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),
)

plan_dunning_stages = Table(
    "plan_dunning_stages",
    metadata,
    required("plan_id", Code),
    required("overdue_since", Date),
    required("stage", Integer),
    required("reached_on", Date),
    PrimaryKeyConstraint("plan_id", "overdue_since", "stage", name="plan_dunning_stages_pkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_dunning_stages_plan_fkey"),
)

plan_disputes = Table(
    "plan_disputes",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("reason", Text),
    required("reserved_kopecks", BigInteger, "0"),
    required("opened_by", Code),
    required("opened_at", Instant),
    optional("ruling", Code),
    optional("closed_by", Code),
    optional("closed_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_disputes_plan_fkey"),
    Index("plan_disputes_open_key", "plan_id", unique=True, postgresql_where=text("closed_at IS NULL")),
)

plan_reliefs = Table(
    "plan_reliefs",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("kind", Code),
    required("movement_id", Code),
    required("reason", Text),
    required("granted_by", Code),
    required("granted_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_reliefs_plan_fkey"),
    ForeignKeyConstraint(["movement_id"], ["plan_movements.id"], name="plan_reliefs_movement_fkey"),
    UniqueConstraint("movement_id", name="plan_reliefs_movement_key"),
    Index("plan_reliefs_snoozed_once", "plan_id", unique=True, postgresql_where=text("kind = 'snooze'")),
)
