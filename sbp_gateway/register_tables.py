"""The tables of registers as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required
from sbp_gateway.tables import sbp_payments

registers = Table(
    "registers",
    metadata,
    Column("id", Code, primary_key=True),
    Column("number", Integer, Identity(), nullable=False),
    required("profile", Code),
    required("day_on", Date),
    optional("member_id", Code),
    optional("merchant_id", Code),
    optional("sha256", LargeBinary),
    required("lines", Integer),
    required("known_by", ARRAY(Code)),
    required("payments_kopecks", BigInteger),
    required("refunds_kopecks", BigInteger),
    required("payouts_kopecks", BigInteger),
    required("fees_kopecks", BigInteger),
    required("footer", Code),
    optional("footer_amount_kopecks", BigInteger),
    optional("footer_fee_kopecks", BigInteger),
    required("status", Code),
    required("taken_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="registers_merchant_id_fkey"),
    UniqueConstraint("number", name="registers_number_key"),
    Index("registers_content_key", "sha256", unique=True, postgresql_where=text("lines > 0")),
    Index("registers_of_day", "day_on", "number"),
    Index("registers_of_merchant", "merchant_id", "number"),
)

register_lines = Table(
    "register_lines",
    metadata,
    required("register_number", Integer),
    required("number", Integer),
    required("kind", Code),
    required("rail", Code),
    optional("trx_id", Code),
    optional("qrc_id", Code),
    optional("order_number", Code),
    optional("refund_id", Code),
    optional("operation_id", Code),
    optional("merchant", Code),
    optional("payer_mask", Code),
    required("amount_kopecks", BigInteger),
    optional("fee_kopecks", BigInteger),
    required("happened_at", Instant),
    PrimaryKeyConstraint("register_number", "number", name="register_lines_pkey"),
)

register_checks = Table(
    "register_checks",
    metadata,
    required("register_number", Integer),
    required("number", Integer),
    required("checked_at", Instant),
    PrimaryKeyConstraint("register_number", "number", name="register_checks_pkey"),
    ForeignKeyConstraint(["register_number"], ["registers.number"], name="register_checks_register_number_fkey"),
)

register_check_totals = Table(
    "register_check_totals",
    metadata,
    required("register_number", Integer),
    required("check_number", Integer),
    required("verdict", Code),
    required("lines", Integer),
    required("line_kopecks", BigInteger),
    required("line_fee_kopecks", BigInteger),
    required("operations", Integer),
    required("operation_kopecks", BigInteger),
    required("operation_fee_kopecks", BigInteger),
    PrimaryKeyConstraint("register_number", "check_number", "verdict", name="register_check_totals_pkey"),
    ForeignKeyConstraint(
        ["register_number", "check_number"],
        ["register_checks.register_number", "register_checks.number"],
        name="register_check_totals_check_fkey",
    ),
)

register_book_totals = Table(
    "register_book_totals",
    metadata,
    required("register_number", Integer),
    required("check_number", Integer),
    required("kind", Code),
    required("line_kopecks", BigInteger),
    required("operation_kopecks", BigInteger),
    required("book_kopecks", BigInteger),
    required("operations", Integer),
    required("differing", Integer),
    PrimaryKeyConstraint("register_number", "check_number", "kind", name="register_book_totals_pkey"),
    ForeignKeyConstraint(
        ["register_number", "check_number"],
        ["register_checks.register_number", "register_checks.number"],
        name="register_book_totals_check_fkey",
    ),
)

register_differences = Table(
    "register_differences",
    metadata,
    Column("place", BigInteger, Identity(always=True), primary_key=True),
    required("register_number", Integer),
    required("check_number", Integer),
    required("verdict", Code),
    required("is_other_day", Boolean, "false"),
    required("kind", Code),
    optional("line_number", Integer),
    optional("operation_id", Code),
    optional("trx_id", Code),
    optional("qrc_id", Code),
    optional("line_kopecks", BigInteger),
    optional("line_fee_kopecks", BigInteger),
    optional("operation_kopecks", BigInteger),
    optional("operation_fee_kopecks", BigInteger),
    optional("book_kopecks", BigInteger),
    ForeignKeyConstraint(
        ["register_number", "check_number"],
        ["register_checks.register_number", "register_checks.number"],
        name="register_differences_check_fkey",
    ),
    Index("register_differences_of_check", "register_number", "check_number", "place"),
)

Index("sbp_payments_paid_at", sbp_payments.c.paid_at, postgresql_using="brin")
