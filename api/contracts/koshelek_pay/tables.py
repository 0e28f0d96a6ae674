"""The contract's tables as Alembic compares them. The truth is ``migrations/sql/0026_koshelek_pay.sql``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, LargeBinary, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

koshelek_pay_partners = Table(
    "koshelek_pay_partners",
    metadata,
    Column("name", Code, primary_key=True),
    required("merchant_id", Code),
    optional("postback_url", Code),
    required("created_at", Instant),
    required("changed_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="koshelek_pay_partners_merchant_fkey"),
    UniqueConstraint("merchant_id", name="koshelek_pay_partners_merchant_key"),
)

koshelek_pay_payments = Table(
    "koshelek_pay_payments",
    metadata,
    Column("order_id", Code, primary_key=True),
    required("attempt_id", Code),
    required("merchant_id", Code),
    required("payment_type", Code),
    optional("session_id", Code),
    required("total_kopecks", BigInteger),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="koshelek_pay_payments_order_fkey"),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="koshelek_pay_payments_attempt_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="koshelek_pay_payments_merchant_fkey"),
    UniqueConstraint("attempt_id", name="koshelek_pay_payments_attempt_key"),
    Index("koshelek_pay_payments_open", "order_id", postgresql_where=text("ended_at IS NULL")),
)

koshelek_pay_refunds = Table(
    "koshelek_pay_refunds",
    metadata,
    Column("refund_id", Code, primary_key=True),
    required("order_id", Code),
    required("request_id", Code),
    required("items", JSONB),
    required("total_kopecks", BigInteger),
    required("created_at", Instant),
    ForeignKeyConstraint(["refund_id"], ["item_refunds.id"], name="koshelek_pay_refunds_refund_fkey"),
    ForeignKeyConstraint(["order_id"], ["koshelek_pay_payments.order_id"], name="koshelek_pay_refunds_payment_fkey"),
    UniqueConstraint("order_id", "request_id", name="koshelek_pay_refunds_request_key"),
)

koshelek_pay_receipts = Table(
    "koshelek_pay_receipts",
    metadata,
    Column("order_id", Code, primary_key=True),
    required("code", Code),
    required("sent_at", Instant),
    ForeignKeyConstraint(["order_id"], ["koshelek_pay_payments.order_id"], name="koshelek_pay_receipts_payment_fkey"),
)

koshelek_pay_postbacks = Table(
    "koshelek_pay_postbacks",
    metadata,
    Column("event_id", Code, primary_key=True),
    required("order_id", Code),
    required("body", LargeBinary),
    required("created_at", Instant),
    ForeignKeyConstraint(["event_id"], ["events.id"], name="koshelek_pay_postbacks_event_fkey"),
    ForeignKeyConstraint(["order_id"], ["koshelek_pay_payments.order_id"], name="koshelek_pay_postbacks_payment_fkey"),
    Index("koshelek_pay_postbacks_of_payment", "order_id", "event_id"),
)
