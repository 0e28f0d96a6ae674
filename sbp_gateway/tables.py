"""The rail's tables as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

sbp_merchants = Table(
    "sbp_merchants",
    metadata,
    Column("merchant_id", Code, primary_key=True),
    required("nspk_merchant_id", Code),
    required("member_id", Code),
    required("bank_account", Code),
    required("created_at", Instant),
    required("settlement_mode", Code, "'collected'"),
    optional("registration_id", Code),
    required("is_live", Boolean, "true"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="sbp_merchants_merchant_id_fkey"),
    ForeignKeyConstraint(
        ["registration_id", "merchant_id"],
        ["sbp_registrations.id", "sbp_registrations.merchant_id"],
        name="sbp_merchants_registration_fkey",
    ),
    UniqueConstraint("nspk_merchant_id", name="sbp_merchants_nspk_key"),
)

qr_codes = Table(
    "qr_codes",
    metadata,
    Column("id", Code, primary_key=True),
    required("attempt_id", Code),
    required("merchant_id", Code),
    required("amount_kopecks", BigInteger),
    required("status", Code, "'requested'"),
    optional("qrc_id", Code),
    optional("payload", Code),
    required("purpose", Text),
    optional("refusal", Text),
    required("requested_at", Instant),
    required("expires_at", Instant),
    required("polls", Integer, "0"),
    optional("next_poll_at", Instant),
    optional("registration_id", Code),
    ForeignKeyConstraint(["registration_id"], ["sbp_registrations.id"], name="qr_codes_registration_id_fkey"),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="qr_codes_attempt_id_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["sbp_merchants.merchant_id"], name="qr_codes_merchant_id_fkey"),
    UniqueConstraint("qrc_id", name="qr_codes_qrc_id_key"),
    Index(
        "qr_codes_one_shown",
        "attempt_id",
        unique=True,
        postgresql_where=text("status NOT IN ('refused', 'abandoned')"),
    ),
    Index("qr_codes_next_poll", "next_poll_at", postgresql_where=text("next_poll_at IS NOT NULL")),
)

sbp_payments = Table(
    "sbp_payments",
    metadata,
    Column("id", Code, primary_key=True),
    optional("qr_id", Code),
    optional("activation_id", Code),
    optional("unmatched_payment_id", Code),
    optional("attempt_id", Code),
    required("merchant_id", Code),
    required("trx_id", Code),
    optional("kzo", Code),
    required("amount_kopecks", BigInteger),
    required("fee_kopecks", BigInteger),
    optional("registration_id", Code),
    required("bank_fee_kopecks", BigInteger, "0"),
    required("is_late", Boolean),
    required("entry_id", Uuid),
    required("paid_at", Instant),
    required("recorded_at", Instant),
    required("settlement_mode", Code, "'collected'"),
    optional("member_id", Code),
    optional("payer_mask", Code),
    required("refund_kopecks", BigInteger, "0"),
    optional("next_refund_at", Instant),
    ForeignKeyConstraint(["qr_id"], ["qr_codes.id"], name="sbp_payments_qr_id_fkey"),
    ForeignKeyConstraint(["activation_id"], ["cash_link_activations.id"], name="sbp_payments_activation_id_fkey"),
    ForeignKeyConstraint(
        ["unmatched_payment_id"], ["sbp_unmatched_payments.id"], name="sbp_payments_unmatched_payment_id_fkey"
    ),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="sbp_payments_attempt_id_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["sbp_merchants.merchant_id"], name="sbp_payments_merchant_id_fkey"),
    ForeignKeyConstraint(["registration_id"], ["sbp_registrations.id"], name="sbp_payments_registration_id_fkey"),
    UniqueConstraint("trx_id", name="sbp_payments_trx_id_key"),
    UniqueConstraint("qr_id", name="sbp_payments_qr_key"),
    UniqueConstraint("activation_id", name="sbp_payments_activation_key"),
    UniqueConstraint("unmatched_payment_id", name="sbp_payments_unmatched_payment_key"),
    UniqueConstraint("entry_id", name="sbp_payments_entry_key"),
    Index("sbp_payments_of_attempt", "attempt_id"),
    Index("sbp_payments_next_refund", "next_refund_at", postgresql_where=text("next_refund_at IS NOT NULL")),
)

sbp_parked_notifications = Table(
    "sbp_parked_notifications",
    metadata,
    Column("qrc_id", Code, primary_key=True),
    Column("trx_id", Code, primary_key=True),
    required("body", JSONB),
    required("received_at", Instant),
    Index("sbp_parked_notifications_in_order", "received_at", "qrc_id", "trx_id"),
)
