"""Tables of what is shown and told about plans, as the migration makes them. Its SQL says what the database checks."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

plan_documents = Table(
    "plan_documents",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("kind", Code),
    required("number", Integer),
    required("language", Code),
    required("text_version", Integer),
    required("issued_on", Date),
    required("issued_at", Instant),
    required("content", JSONB),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_documents_plan_fkey"),
    UniqueConstraint("plan_id", "kind", "language", "number", name="plan_documents_number_key"),
)

plan_document_files = Table(
    "plan_document_files",
    metadata,
    required("document_id", Code),
    required("format", Code),
    required("sha256", Code),
    required("bytes", LargeBinary),
    required("made_at", Instant),
    PrimaryKeyConstraint("document_id", "format", name="plan_document_files_pkey"),
    ForeignKeyConstraint(["document_id"], ["plan_documents.id"], name="plan_document_files_document_fkey"),
    Index("plan_document_files_by_hash", "sha256"),
)

bureau_events = Table(
    "bureau_events",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("sequence", Integer),
    required("kind", Code),
    required("cause", Code),
    required("happened_on", Date),
    required("recorded_at", Instant),
    required("facts", JSONB),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="bureau_events_plan_fkey"),
    UniqueConstraint("plan_id", "sequence", name="bureau_events_sequence_key"),
    UniqueConstraint("plan_id", "kind", "cause", name="bureau_events_cause_key"),
    Index("bureau_events_recorded", "recorded_at"),
)

bureau_deliveries = Table(
    "bureau_deliveries",
    metadata,
    Column("event_id", Code, primary_key=True),
    required("plan_id", Code),
    required("sequence", Integer),
    required("state", Code, "'queued'"),
    required("attempts", Integer, "0"),
    optional("next_attempt_at", Instant),
    optional("acknowledgement", Code),
    optional("acknowledged_at", Instant),
    optional("refusal", Code),
    ForeignKeyConstraint(["event_id"], ["bureau_events.id"], name="bureau_deliveries_event_fkey"),
    UniqueConstraint("plan_id", "sequence", name="bureau_deliveries_sequence_key"),
    Index("bureau_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'queued'")),
)

receipt_profiles = Table(
    "receipt_profiles",
    metadata,
    required("merchant_id", Code),
    required("effective_on", Date),
    required("profile", Code),
    PrimaryKeyConstraint("merchant_id", "effective_on", name="receipt_profiles_pkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="receipt_profiles_merchant_fkey"),
)

plan_receipt_profiles = Table(
    "plan_receipt_profiles",
    metadata,
    required("plan_id", Code),
    required("said_at", Instant),
    required("profile", Code),
    PrimaryKeyConstraint("plan_id", "said_at", name="plan_receipt_profiles_pkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_receipt_profiles_plan_fkey"),
)

receipt_intents = Table(
    "receipt_intents",
    metadata,
    Column("id", Code, primary_key=True),
    *(required(name, Code) for name in ("plan_id", "merchant_id", "profile", "stage", "cause")),
    required("is_return", Boolean),
    required("method_tag", Integer),
    *(required(f"{name}_kopecks", BigInteger) for name in ("amount", "paid", "offset", "credit")),
    required("items", JSONB),
    required("state", Code, "'wanted'"),
    *(optional(name, Code) for name in ("fiscal_drive", "fiscal_document", "fiscal_sign")),
    optional("refusal", Text),
    required("created_at", Instant),
    optional("fetched_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="receipt_intents_plan_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="receipt_intents_merchant_fkey"),
    UniqueConstraint("plan_id", "stage", "cause", name="receipt_intents_cause_key"),
    Index("receipt_intents_open", "merchant_id", "id", postgresql_where=text("state IN ('wanted', 'fetched')")),
)

plan_registers = Table(
    "plan_registers",
    metadata,
    required("merchant_id", Code),
    required("period", Code),
    required("begins_on", Date),
    required("lines", Integer),
    *(required(f"{name}_kopecks", BigInteger) for name in ("opening", "debits", "credits", "closing")),
    required("sha256", Code),
    required("bytes", LargeBinary),
    required("marks", JSONB),
    required("made_at", Instant),
    PrimaryKeyConstraint("merchant_id", "period", "begins_on", name="plan_registers_pkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="plan_registers_merchant_fkey"),
)

portfolio_days = Table(
    "portfolio_days",
    metadata,
    required("day_on", Date),
    required("bucket", Code),
    required("plans", BigInteger),
    *(required(f"{name}_kopecks", BigInteger) for name in ("price", "outstanding", "penalty")),
    required("term_days", BigInteger),
    required("made_at", Instant),
    PrimaryKeyConstraint("day_on", "bucket", name="portfolio_days_pkey"),
)

portfolio_snapshots = Table(
    "portfolio_snapshots",
    metadata,
    required("day_on", Date),
    required("plan_id", Code),
    required("bucket", Code),
    required("outstanding_kopecks", BigInteger),
    PrimaryKeyConstraint("day_on", "plan_id", name="portfolio_snapshots_pkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="portfolio_snapshots_plan_fkey"),
)
