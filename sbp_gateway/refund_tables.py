"""Tables of refunds as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

sbp_refunds = Table(
    "sbp_refunds",
    metadata,
    Column("id", Code, primary_key=True),
    required("payment_id", Code),
    required("merchant_id", Code),
    required("amount_kopecks", BigInteger),
    required("fee_returned_kopecks", BigInteger, "0"),
    required("fee_billed_kopecks", BigInteger, "0"),
    optional("reason", Text),
    required("is_automatic", Boolean),
    required("status", Code, "'requested'"),
    required("agent_request_id", Code),
    optional("opkc_request_id", Code),
    optional("trx_id", Code),
    optional("payee_mask", Code),
    optional("refusal_code", Code),
    optional("refusal_message", Text),
    optional("hold_id", Uuid),
    optional("fee_hold_id", Uuid),
    optional("entry_id", Uuid),
    required("tries", Integer, "0"),
    required("looks", Integer, "0"),
    optional("asked_at", Instant),
    optional("next_look_at", Instant),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["payment_id"], ["sbp_payments.id"], name="sbp_refunds_payment_id_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["sbp_merchants.merchant_id"], name="sbp_refunds_merchant_id_fkey"),
    UniqueConstraint("agent_request_id", name="sbp_refunds_agent_request_key"),
    UniqueConstraint("opkc_request_id", name="sbp_refunds_opkc_request_key"),
    UniqueConstraint("trx_id", name="sbp_refunds_trx_id_key"),
    UniqueConstraint("hold_id", name="sbp_refunds_hold_key"),
    UniqueConstraint("fee_hold_id", name="sbp_refunds_fee_hold_key"),
    UniqueConstraint("entry_id", name="sbp_refunds_entry_key"),
    Index("sbp_refunds_of_payment", "payment_id", "id"),
    Index("sbp_refunds_of_merchant", "merchant_id", "id"),
    Index("sbp_refunds_next_look", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
)

sbp_refund_tries = Table(
    "sbp_refund_tries",
    metadata,
    required("payment_id", Code),
    required("number", Integer),
    required("refund_id", Code),
    required("asked_at", Instant),
    required("is_unheard", Boolean, "false"),
    PrimaryKeyConstraint("payment_id", "number", name="sbp_refund_tries_pkey"),
    ForeignKeyConstraint(["payment_id"], ["sbp_payments.id"], name="sbp_refund_tries_payment_id_fkey"),
    ForeignKeyConstraint(["refund_id"], ["sbp_refunds.id"], name="sbp_refund_tries_refund_id_fkey"),
    Index("sbp_refund_tries_of_refund", "refund_id"),
)
