"""Tables of account bindings and their charges as the migration makes them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy import text as sql

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

account_bindings = Table(
    "account_bindings",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("buyer_reference", Text),
    required("purpose", Text),
    required("status", Code, "'waiting'"),
    required("qrc_id", Code),
    required("payload", Code),
    optional("subscription_id", Code),
    optional("payer_member_id", Code),
    required("requested_at", Instant),
    required("expires_at", Instant),
    required("polls", Integer, "0"),
    optional("next_poll_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["sbp_merchants.merchant_id"], name="account_bindings_merchant_id_fkey"),
    UniqueConstraint("qrc_id", name="account_bindings_qrc_id_key"),
    Index("account_bindings_of_merchant", "merchant_id", "id"),
    Index("account_bindings_next_poll", "next_poll_at", postgresql_where=sql("next_poll_at IS NOT NULL")),
)

binding_charges = Table(
    "binding_charges",
    metadata,
    Column("attempt_id", Code, primary_key=True),
    required("binding_id", Code),
    optional("refusal", Text),
    required("requested_at", Instant),
    optional("next_try_at", Instant),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="binding_charges_attempt_id_fkey"),
    ForeignKeyConstraint(["binding_id"], ["account_bindings.id"], name="binding_charges_binding_id_fkey"),
    Index("binding_charges_next_try", "next_try_at", postgresql_where=sql("next_try_at IS NOT NULL")),
)
