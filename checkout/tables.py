"""The till's tables as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

merchants = Table(
    "merchants",
    metadata,
    Column("id", Code, primary_key=True),
    required("name", Text),
    required("legal_name", Text),
    required("inn", Code),
    required("bank_account_bik", Code),
    required("bank_account_number", Code),
    required("tariff_group", Code),
    required("created_at", Instant),
    optional("ogrn", Code),
)

stores = Table(
    "stores",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("name", Text),
    required("address", Text),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="stores_merchant_id_fkey"),
    UniqueConstraint("id", "merchant_id", name="stores_merchant_key"),
    Index("stores_of_merchant", "merchant_id", "id"),
)

terminals = Table(
    "terminals",
    metadata,
    Column("id", Code, primary_key=True),
    required("store_id", Code),
    required("merchant_id", Code),
    required("name", Text),
    required("created_at", Instant),
    ForeignKeyConstraint(["store_id", "merchant_id"], ["stores.id", "stores.merchant_id"], name="terminals_store_fkey"),
    UniqueConstraint("id", "store_id", "merchant_id", name="terminals_place_key"),
    Index("terminals_of_store", "store_id", "id"),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("store_id", Code),
    required("terminal_id", Code),
    required("number", Code),
    required("amount_kopecks", BigInteger),
    optional("description", Text),
    required("status", Code, "'open'"),
    required("placed_at", Instant),
    required("created_at", Instant),
    optional("paid_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(
        ["terminal_id", "store_id", "merchant_id"],
        ["terminals.id", "terminals.store_id", "terminals.merchant_id"],
        name="orders_terminal_fkey",
    ),
    UniqueConstraint("merchant_id", "number", name="orders_number_key"),
    Index("orders_of_merchant", "merchant_id", "id"),
)

_LIVE = text("status IN ('requested', 'waiting', 'unknown')")

attempts = Table(
    "attempts",
    metadata,
    Column("id", Code, primary_key=True),
    required("order_id", Code),
    required("rail", Code),
    required("amount_kopecks", BigInteger),
    required("status", Code, "'requested'"),
    optional("payment_id", Code),
    required("created_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="attempts_order_id_fkey"),
    Index("attempts_one_live", "order_id", unique=True, postgresql_where=_LIVE),
    Index("attempts_one_paid", "order_id", unique=True, postgresql_where=text("status = 'paid'")),
    Index("attempts_of_order", "order_id", "id"),
)
