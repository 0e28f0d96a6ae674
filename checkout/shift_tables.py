"""Tables of shifts as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

_CASHIER = ["cashiers.id", "cashiers.merchant_id"]

shifts = Table(
    "shifts",
    metadata,
    Column("id", Code, primary_key=True),
    required("terminal_id", Code),
    required("store_id", Code),
    required("merchant_id", Code),
    required("number", Integer),
    required("opened_by", Code),
    required("opened_at", Instant),
    optional("closed_by", Code),
    optional("closed_at", Instant),
    optional("difference_reason", Text),
    ForeignKeyConstraint(
        ["terminal_id", "store_id", "merchant_id"],
        ["terminals.id", "terminals.store_id", "terminals.merchant_id"],
        name="shifts_terminal_fkey",
    ),
    ForeignKeyConstraint(["opened_by", "merchant_id"], _CASHIER, name="shifts_opened_by_fkey"),
    ForeignKeyConstraint(["closed_by", "merchant_id"], _CASHIER, name="shifts_closed_by_fkey"),
    UniqueConstraint("terminal_id", "number", name="shifts_number_key"),
    Index("shifts_one_open", "terminal_id", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("shifts_of_merchant", "merchant_id", "id"),
)

shift_turns = Table(
    "shift_turns",
    metadata,
    Column("shift_id", Code, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    required("merchant_id", Code),
    required("cashier_id", Code),
    required("began_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["shift_id"], ["shifts.id"], name="shift_turns_shift_fkey"),
    ForeignKeyConstraint(["cashier_id", "merchant_id"], _CASHIER, name="shift_turns_cashier_fkey"),
    Index("shift_turns_one_at_a_time", "shift_id", unique=True, postgresql_where=text("ended_at IS NULL")),
)

shift_operations = Table(
    "shift_operations",
    metadata,
    Column("id", Code, primary_key=True),
    required("kind", Code),
    required("terminal_id", Code),
    optional("shift_id", Code),
    optional("cashier_id", Code),
    required("order_id", Code),
    required("rail", Code),
    required("amount_kopecks", BigInteger),
    required("happened_at", Instant),
    ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="shift_operations_terminal_fkey"),
    ForeignKeyConstraint(["shift_id"], ["shifts.id"], name="shift_operations_shift_fkey"),
    ForeignKeyConstraint(["cashier_id"], ["cashiers.id"], name="shift_operations_cashier_fkey"),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="shift_operations_order_fkey"),
    Index("shift_operations_of_shift", "shift_id"),
    Index("shift_operations_waiting", "terminal_id", postgresql_where=text("shift_id IS NULL")),
)

shift_differences = Table(
    "shift_differences",
    metadata,
    Column("shift_id", Code, primary_key=True),
    Column("rail", Code, primary_key=True),
    Column("kind", Code, primary_key=True),
    required("operations", Integer),
    required("kopecks", BigInteger),
    required("told", Integer),
    required("told_kopecks", BigInteger),
    ForeignKeyConstraint(["shift_id"], ["shifts.id"], name="shift_differences_shift_fkey"),
)
