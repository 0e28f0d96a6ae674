"""The table of payouts to buyers as the migration makes it; what the database checks is in its SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

buyer_payouts = Table(
    "buyer_payouts",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("member_id", Code),
    optional("phone", Code),
    required("phone_mask", Code),
    required("bank_member_id", Code),
    required("amount_kopecks", BigInteger),
    required("purpose", Text),
    required("status", Code, "'requested'"),
    required("hold_id", Uuid),
    optional("entry_id", Uuid),
    required("tries", Integer, "0"),
    optional("asked_at", Instant),
    optional("next_try_at", Instant),
    optional("reason", Text),
    required("created_at", Instant),
    optional("finished_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["sbp_merchants.merchant_id"], name="buyer_payouts_merchant_id_fkey"),
    UniqueConstraint("hold_id", name="buyer_payouts_hold_key"),
    UniqueConstraint("entry_id", name="buyer_payouts_entry_key"),
    Index("buyer_payouts_of_merchant", "merchant_id", "id"),
    Index("buyer_payouts_next_try", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),
)
