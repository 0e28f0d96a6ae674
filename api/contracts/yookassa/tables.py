"""The contract's tables as Alembic compares them. The truth is ``migrations/sql/0009_yookassa.sql``."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

yookassa_tills = Table(
    "yookassa_tills",
    metadata,
    Column("merchant_id", Code, primary_key=True),
    Column("gateway_id", Code, primary_key=True),
    required("terminal_id", Code),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="yookassa_tills_merchant_id_fkey"),
    ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="yookassa_tills_terminal_id_fkey"),
    UniqueConstraint("terminal_id", name="yookassa_tills_terminal_key"),
)

yookassa_payments = Table(
    "yookassa_payments",
    metadata,
    Column("order_id", Code, primary_key=True),
    required("attempt_id", Code),
    required("merchant_id", Code),
    required("gateway_id", Code),
    required("confirmation_type", Code),
    optional("return_url", Text),
    optional("pos_link_id", Code),
    optional("customer_id", Text),
    required("metadata", JSONB),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="yookassa_payments_order_id_fkey"),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="yookassa_payments_attempt_id_fkey"),
    ForeignKeyConstraint(
        ["merchant_id", "gateway_id"],
        ["yookassa_tills.merchant_id", "yookassa_tills.gateway_id"],
        name="yookassa_payments_till_fkey",
    ),
    ForeignKeyConstraint(
        ["pos_link_id"], ["yookassa_pos_links.cash_link_id"], name="yookassa_payments_pos_link_id_fkey"
    ),
    UniqueConstraint("attempt_id", name="yookassa_payments_attempt_key"),
    Index("yookassa_payments_of_merchant", "merchant_id", "order_id"),
    Index(
        "yookassa_payments_of_pos_link",
        "pos_link_id",
        "order_id",
        postgresql_where=text("pos_link_id IS NOT NULL"),
    ),
    Index("yookassa_payments_open", "order_id", postgresql_where=text("ended_at IS NULL")),
)

yookassa_pos_links = Table(
    "yookassa_pos_links",
    metadata,
    Column("cash_link_id", Code, primary_key=True),
    required("merchant_id", Code),
    required("gateway_id", Code),
    required("is_active", Boolean),
    required("created_at", Instant),
    ForeignKeyConstraint(["cash_link_id"], ["cash_links.id"], name="yookassa_pos_links_cash_link_id_fkey"),
    ForeignKeyConstraint(
        ["merchant_id", "gateway_id"],
        ["yookassa_tills.merchant_id", "yookassa_tills.gateway_id"],
        name="yookassa_pos_links_till_fkey",
    ),
)

yookassa_refunds = Table(
    "yookassa_refunds",
    metadata,
    Column("refund_id", Code, primary_key=True),
    required("order_id", Code),
    required("merchant_id", Code),
    optional("description", Text),
    required("metadata", JSONB),
    required("created_at", Instant),
    ForeignKeyConstraint(["refund_id"], ["sbp_refunds.id"], name="yookassa_refunds_refund_id_fkey"),
    ForeignKeyConstraint(["order_id"], ["yookassa_payments.order_id"], name="yookassa_refunds_order_id_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="yookassa_refunds_merchant_id_fkey"),
    Index("yookassa_refunds_of_merchant", "merchant_id", "refund_id"),
    Index("yookassa_refunds_of_payment", "order_id", "refund_id"),
)

yookassa_webhooks = Table(
    "yookassa_webhooks",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("event", Code),
    required("url", Code),
    required("created_at", Instant),
    optional("removed_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="yookassa_webhooks_merchant_id_fkey"),
    Index(
        "yookassa_webhooks_one_live",
        "merchant_id",
        "event",
        "url",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
)
