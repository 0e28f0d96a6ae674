"""Tables of buyers as the migration makes them. What the database checks is in the migration's SQL."""

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

buyers = Table(
    "buyers",
    metadata,
    Column("id", Code, primary_key=True),
    optional("phone", Code),
    *(optional(name, Text) for name in ("first_name", "last_name", "middle_name")),
    optional("email", Code),
    optional("born_on", Date),
    *(optional(name, LargeBinary) for name in ("phone_digest", "document_digest")),
    optional("phone_verified_at", Instant),
    required("identification", Code, "'none'"),
    optional("identified_by", Code),
    optional("identified_at", Instant),
    required("limit_kopecks", BigInteger, "10000000"),
    optional("frozen_at", Instant),
    optional("frozen_reason", Text),
    optional("arrears_seen_on", Date),
    optional("erased_at", Instant),
    required("created_at", Instant),
    required("version", Integer, "1"),
    UniqueConstraint("phone", name="buyers_phone_key"),
)

buyer_limits = Table(
    "buyer_limits",
    metadata,
    required("buyer_id", Code),
    required("number", Integer),
    required("before_kopecks", BigInteger),
    required("limit_kopecks", BigInteger),
    required("reason", Text),
    required("set_by", Code),
    required("set_at", Instant),
    PrimaryKeyConstraint("buyer_id", "number", name="buyer_limits_pkey"),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="buyer_limits_buyer_fkey"),
)

stop_list_lines = Table(
    "stop_list_lines",
    metadata,
    Column("id", Code, primary_key=True),
    required("kind", Code),
    required("digest", LargeBinary),
    required("reason", Text),
    required("source", Code),
    required("added_by", Code),
    required("added_at", Instant),
    optional("removed_by", Code),
    optional("removed_at", Instant),
    Index("stop_list_lines_in_force", "kind", "digest", unique=True, postgresql_where=text("removed_at IS NULL")),
)

buyer_codes = Table(
    "buyer_codes",
    metadata,
    Column("id", Code, primary_key=True),
    *(required(name, Code) for name in ("buyer_id", "purpose", "subject")),
    required("digest", LargeBinary),
    required("status", Code, "'open'"),
    required("sending", Code, "'asked'"),
    required("tries_left", Integer),
    required("created_at", Instant),
    required("expires_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="buyer_codes_buyer_fkey"),
    Index(
        "buyer_codes_one_open", "buyer_id", "purpose", "subject", unique=True, postgresql_where=text("status = 'open'")
    ),
    Index("buyer_codes_of_buyer", "buyer_id", "created_at"),
    Index("buyer_codes_of_subject", "subject", "created_at", postgresql_where=text("subject <> ''")),
)

buyer_consents = Table(
    "buyer_consents",
    metadata,
    Column("id", Code, primary_key=True),
    *(required(name, Code) for name in ("buyer_id", "plan_id")),
    required("pack_digest", LargeBinary),
    *(required(name, Code) for name in ("text_version", "code_id")),
    required("given_at", Instant),
    optional("origin", Code),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="buyer_consents_buyer_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="buyer_consents_plan_fkey"),
    ForeignKeyConstraint(["code_id"], ["buyer_codes.id"], name="buyer_consents_code_fkey"),
    UniqueConstraint("plan_id", name="buyer_consents_plan_key"),
    UniqueConstraint("code_id", name="buyer_consents_code_key"),
    Index("buyer_consents_of_buyer", "buyer_id"),
)

decision_policies = Table(
    "decision_policies",
    metadata,
    required("name", Code),
    Column("version", Integer, primary_key=True, autoincrement=False),
    required("effective_on", Date),
    required("scoring", Code),
    *(required(name, Integer) for name in ("age_min", "freeze_days_overdue", "freeze_days_after", "plans_max")),
    required("first_plan_max_kopecks", BigInteger),
    required("share_after_arrears_basis_points", Integer),
    required("created_at", Instant, "now()"),
    UniqueConstraint("effective_on", name="decision_policies_effective_key"),
)

plan_bureau = Table(
    "plan_bureau",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    required("is_ready", Boolean),
    required("is_told_of_all", Boolean, "false"),
    optional("noted_at", Instant),
)

plan_decisions = Table(
    "plan_decisions",
    metadata,
    Column("id", Code, primary_key=True),
    *(required(name, Code) for name in ("plan_id", "buyer_id", "policy")),
    required("policy_version", Integer),
    required("outcome", Code),
    optional("reason", Code),
    optional("score", Integer),
    required("facts", JSONB),
    required("verdicts", JSONB),
    required("needs_bureau", Boolean),
    *(required(name, BigInteger) for name in ("price_kopecks", "used_kopecks", "limit_kopecks")),
    required("made_at", Instant),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="plan_decisions_buyer_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_decisions_plan_fkey"),
    UniqueConstraint("plan_id", name="plan_decisions_plan_key"),
    Index("plan_decisions_of_buyer", "buyer_id", "made_at"),
)
