"""Tables of cash links, stickers and unmatched payments as the migration makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required


def _terminal(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["terminal_id", "store_id", "merchant_id"],
        ["terminals.id", "terminals.store_id", "terminals.merchant_id"],
        name=f"{table}_terminal_fkey",
    )


def _refers(table: str, column: str, to: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], [to], name=f"{table}_{column}_fkey")


cash_link_reservations = Table(
    "cash_link_reservations",
    metadata,
    Column("qrc_id", Code, primary_key=True),
    optional("merchant_id", Code),
    required("reserved_at", Instant),
    _refers("cash_link_reservations", "merchant_id", "merchants.id"),
)

cash_links = Table(
    "cash_links",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("store_id", Code),
    required("terminal_id", Code),
    required("bank_account", Code),
    required("status", Code, "'requested'"),
    optional("qrc_id", Code),
    optional("payload", Code),
    optional("refusal", Text),
    required("requested_at", Instant),
    optional("next_try_at", Instant),
    _refers("cash_links", "merchant_id", "sbp_merchants.merchant_id"),
    _terminal("cash_links"),
    Index("cash_links_qrc_id_key", "qrc_id", unique=True, postgresql_where=sql("status <> 'refused'")),
    Index("cash_links_of_merchant", "merchant_id", "id"),
    Index("cash_links_next_try", "next_try_at", postgresql_where=sql("next_try_at IS NOT NULL")),
)

cash_link_activations = Table(
    "cash_link_activations",
    metadata,
    Column("id", Code, primary_key=True),
    required("cash_link_id", Code),
    required("attempt_id", Code),
    required("merchant_id", Code),
    required("amount_kopecks", BigInteger),
    required("purpose", Text),
    required("status", Code, "'requested'"),
    optional("params_id", Code),
    optional("refusal", Text),
    required("requested_at", Instant),
    required("expires_at", Instant),
    required("arms", Integer, "1"),
    optional("asked_again_at", Instant),
    required("polls", Integer, "0"),
    optional("next_poll_at", Instant),
    _refers("cash_link_activations", "cash_link_id", "cash_links.id"),
    _refers("cash_link_activations", "attempt_id", "attempts.id"),
    _refers("cash_link_activations", "merchant_id", "sbp_merchants.merchant_id"),
    UniqueConstraint("attempt_id", name="cash_link_activations_attempt_key"),
    UniqueConstraint("cash_link_id", "params_id", name="cash_link_activations_sale_key"),
    Index(
        "cash_link_activations_one_live",
        "cash_link_id",
        unique=True,
        postgresql_where=sql("status IN ('requested', 'waiting', 'deactivating')"),
    ),
    Index("cash_link_activations_next_poll", "next_poll_at", postgresql_where=sql("next_poll_at IS NOT NULL")),
)

sbp_stickers = Table(
    "sbp_stickers",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("store_id", Code),
    required("terminal_id", Code),
    optional("amount_kopecks", BigInteger),
    required("purpose", Text),
    required("qrc_id", Code),
    required("payload", Code),
    required("created_at", Instant),
    optional("registration_id", Code),
    _refers("sbp_stickers", "merchant_id", "sbp_merchants.merchant_id"),
    _refers("sbp_stickers", "registration_id", "sbp_registrations.id"),
    _terminal("sbp_stickers"),
    UniqueConstraint("terminal_id", name="sbp_stickers_one_of_terminal"),
    UniqueConstraint("qrc_id", name="sbp_stickers_qrc_id_key"),
    Index("sbp_stickers_of_merchant", "merchant_id", "id"),
)

sbp_unmatched_payments = Table(
    "sbp_unmatched_payments",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    optional("sticker_id", Code),
    optional("cash_link_id", Code),
    optional("qr_id", Code),
    required("reason", Code),
    required("trx_id", Code),
    optional("kzo", Code),
    required("amount_kopecks", BigInteger),
    required("settlement_mode", Code),
    required("entry_id", Uuid),
    required("paid_at", Instant),
    required("recorded_at", Instant),
    required("status", Code, "'open'"),
    optional("order_id", Code),
    optional("matched_at", Instant),
    optional("returned_at", Instant),
    optional("registration_id", Code),
    _refers("sbp_unmatched_payments", "merchant_id", "sbp_merchants.merchant_id"),
    _refers("sbp_unmatched_payments", "sticker_id", "sbp_stickers.id"),
    _refers("sbp_unmatched_payments", "cash_link_id", "cash_links.id"),
    _refers("sbp_unmatched_payments", "qr_id", "qr_codes.id"),
    _refers("sbp_unmatched_payments", "order_id", "orders.id"),
    _refers("sbp_unmatched_payments", "registration_id", "sbp_registrations.id"),
    UniqueConstraint("trx_id", name="sbp_unmatched_payments_trx_id_key"),
    UniqueConstraint("entry_id", name="sbp_unmatched_payments_entry_key"),
    Index("sbp_unmatched_payments_one_of_order", "order_id", unique=True),
    Index("sbp_unmatched_payments_of_merchant", "merchant_id", "id"),
)
