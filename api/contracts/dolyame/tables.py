"""The contract's tables as Alembic compares them. The truth is ``migrations/sql/0018_dolyame.sql``."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

dolyame_shops = Table(
    "dolyame_shops",
    metadata,
    Column("login", Code, primary_key=True),
    required("merchant_id", Code),
    required("product_code", Code),
    required("profile", Code, "'strict'"),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="dolyame_shops_merchant_fkey"),
    Index("dolyame_shops_of_merchant", "merchant_id"),
)

dolyame_credentials = Table(
    "dolyame_credentials",
    metadata,
    Column("id", Code, primary_key=True),
    required("login", Code),
    required("password_hash", LargeBinary),
    required("certificate_fingerprint", LargeBinary),
    required("created_at", Instant),
    optional("expires_at", Instant),
    optional("revoked_at", Instant),
    ForeignKeyConstraint(["login"], ["dolyame_shops.login"], name="dolyame_credentials_login_fkey"),
    UniqueConstraint("password_hash", name="dolyame_credentials_password_key"),
    Index("dolyame_credentials_of_login", "login", postgresql_where=text("revoked_at IS NULL")),
)

dolyame_orders = Table(
    "dolyame_orders",
    metadata,
    Column("plan_id", Code, primary_key=True),
    required("merchant_id", Code),
    required("login", Code),
    optional("notification_url", Code),
    optional("success_url", Code),
    optional("fail_url", Code),
    required("client_info", JSONB),
    optional("fiscalization", Code),
    optional("delivered_at", Instant),
    required("created_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="dolyame_orders_plan_fkey"),
    ForeignKeyConstraint(["login"], ["dolyame_shops.login"], name="dolyame_orders_login_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="dolyame_orders_merchant_fkey"),
)

dolyame_refunds = Table(
    "dolyame_refunds",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("operation", Code),
    required("body_digest", LargeBinary),
    required("created_at", Instant),
    optional("answered_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="dolyame_refunds_plan_fkey"),
    Index(
        "dolyame_refunds_one_in_flight",
        "plan_id",
        "operation",
        "body_digest",
        unique=True,
        postgresql_where=text("answered_at IS NULL"),
    ),
)

dolyame_notifications = Table(
    "dolyame_notifications",
    metadata,
    Column("event_id", Code, primary_key=True),
    required("plan_id", Code),
    required("status", Code),
    required("body", LargeBinary),
    required("created_at", Instant),
    ForeignKeyConstraint(["event_id"], ["events.id"], name="dolyame_notifications_event_fkey"),
    ForeignKeyConstraint(["plan_id"], ["dolyame_orders.plan_id"], name="dolyame_notifications_plan_fkey"),
    Index("dolyame_notifications_of_plan", "plan_id", "event_id"),
)
