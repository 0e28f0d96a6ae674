"""The tables of tariffs and payouts as the migration makes them; what the database checks is in its SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
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

tariffs = Table(
    "tariffs",
    metadata,
    Column("tariff_group", Code, primary_key=True),
    Column("rail", Code, primary_key=True),
    Column("valid_from_on", Date, primary_key=True),
    required("basis_points", Integer),
    optional("cap_kopecks", BigInteger),
    required("rounding", Code),
    required("source", Text),
    required("is_confirmed", Boolean, "true"),
)

bank_tariffs = Table(
    "bank_tariffs",
    metadata,
    Column("member_id", Code, primary_key=True),
    Column("tariff_group", Code, primary_key=True),
    Column("rail", Code, primary_key=True),
    Column("valid_from_on", Date, primary_key=True),
    required("basis_points", Integer),
    optional("cap_kopecks", BigInteger),
    required("rounding", Code),
    required("is_withheld", Boolean),
    required("is_confirmed", Boolean),
    required("source", Text),
    required("created_at", Instant),
)

mcc_groups = Table(
    "mcc_groups",
    metadata,
    Column("first_mcc", Code, primary_key=True),
    Column("last_mcc", Code, primary_key=True),
    Column("valid_from_on", Date, primary_key=True),
    required("tariff_group", Code),
    required("is_confirmed", Boolean),
    required("source", Text),
)

payout_runs = Table(
    "payout_runs",
    metadata,
    Column("id", Code, primary_key=True),
    optional("through_on", Date),
    required("payouts", Integer),
    required("amount_kopecks", BigInteger),
    required("created_at", Instant),
)

payouts = Table(
    "payouts",
    metadata,
    Column("id", Code, primary_key=True),
    required("run_id", Code),
    required("merchant_id", Code),
    required("amount_kopecks", BigInteger),
    required("bank_account_bik", Code),
    required("bank_account_number", Code),
    required("status", Code, "'requested'"),
    required("hold_id", Uuid),
    optional("entry_id", Uuid),
    required("tries", Integer, "0"),
    optional("next_try_at", Instant),
    optional("reason", Text),
    required("created_at", Instant),
    optional("sent_at", Instant),
    ForeignKeyConstraint(["run_id"], ["payout_runs.id"], name="payouts_run_id_fkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="payouts_merchant_id_fkey"),
    UniqueConstraint("run_id", "merchant_id", name="payouts_one_of_run"),
    UniqueConstraint("hold_id", name="payouts_hold_key"),
    UniqueConstraint("entry_id", name="payouts_entry_key"),
    Index("payouts_of_merchant", "merchant_id", "id"),
    Index("payouts_next_try", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),
)
