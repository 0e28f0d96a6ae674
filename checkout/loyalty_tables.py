"""Tables of loyalty cards and of what was scanned. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

_BY_PHONE = text("phone_digest IS NOT NULL")

loyalty_cards = Table(
    "loyalty_cards",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("programme", Code),
    required("number", Code),
    optional("phone_digest", LargeBinary),
    required("status", Code, "'active'"),
    optional("blocked_reason", Text),
    required("issued_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="loyalty_cards_merchant_fkey"),
    UniqueConstraint("number", name="loyalty_cards_number_key"),
    UniqueConstraint("id", "merchant_id", name="loyalty_cards_whose_key"),
    Index(
        "loyalty_cards_one_of_phone",
        "merchant_id",
        "programme",
        "phone_digest",
        unique=True,
        postgresql_where=_BY_PHONE,
    ),
    Index("loyalty_cards_of_phone", "merchant_id", "phone_digest", postgresql_where=_BY_PHONE),
    Index("loyalty_cards_of_merchant", "merchant_id", "id"),
)

loyalty_showings = Table(
    "loyalty_showings",
    metadata,
    Column("id", Code, primary_key=True),
    required("card_id", Code),
    required("number", Integer),
    required("started_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["card_id"], ["loyalty_cards.id"], name="loyalty_showings_card_fkey"),
    UniqueConstraint("card_id", "number", name="loyalty_showings_number_key"),
    UniqueConstraint("id", "card_id", name="loyalty_showings_of_card_key"),
)

presentments = Table(
    "presentments",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("store_id", Code),
    required("terminal_id", Code),
    required("loyalty_card_id", Code),
    optional("showing_id", Code),
    optional("time_step", BigInteger),
    required("is_payment_available", Boolean),
    required("rails", ARRAY(Text)),
    optional("preferred_rail", Code),
    optional("unavailable_reason", Code),
    required("presented_at", Instant),
    ForeignKeyConstraint(
        ["terminal_id", "store_id", "merchant_id"],
        ["terminals.id", "terminals.store_id", "terminals.merchant_id"],
        name="presentments_terminal_fkey",
    ),
    ForeignKeyConstraint(
        ["loyalty_card_id", "merchant_id"],
        ["loyalty_cards.id", "loyalty_cards.merchant_id"],
        name="presentments_card_fkey",
    ),
    ForeignKeyConstraint(
        ["showing_id", "loyalty_card_id"],
        ["loyalty_showings.id", "loyalty_showings.card_id"],
        name="presentments_showing_fkey",
    ),
    UniqueConstraint("showing_id", "time_step", name="presentments_code_counts_once"),
    Index("presentments_of_terminal", "terminal_id", "id"),
    Index("presentments_of_card", "loyalty_card_id", "id"),
)
