"""Tables of baskets, offers and item refunds as the migration makes them. What the database checks is in its SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

order_baskets = Table(
    "order_baskets",
    metadata,
    Column("order_id", Code, primary_key=True),
    required("lines", JSONB),
    required("gross_kopecks", BigInteger),
    *(required(f"{name}_kopecks", BigInteger, "0") for name in ("discount", "promo", "points", "offer")),
    required("amount_kopecks", BigInteger),
    required("points", BigInteger, "0"),
    *(optional(name, Code) for name in ("loyalty_card_id", "presentment_id", "redemption_id", "offer_rail")),
    required("refund_kopecks", BigInteger, "0"),
    required("points_back", BigInteger, "0"),
    required("status", Code, "'reserved'"),
    required("created_at", Instant),
    required("expires_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="order_baskets_order_fkey"),
    ForeignKeyConstraint(["loyalty_card_id"], ["loyalty_cards.id"], name="order_baskets_card_fkey"),
    ForeignKeyConstraint(["presentment_id"], ["presentments.id"], name="order_baskets_presentment_fkey"),
    UniqueConstraint("redemption_id", name="order_baskets_redemption_key"),
    Index("order_baskets_next_expiry", "expires_at", "order_id", postgresql_where=text("status = 'reserved'")),
    Index(
        "order_baskets_presentment_key", "presentment_id", unique=True, postgresql_where=text("status <> 'released'")
    ),
)

order_offers = Table(
    "order_offers",
    metadata,
    required("order_id", Code),
    required("rail", Code),
    required("discount_kopecks", BigInteger),
    required("note", Text),
    PrimaryKeyConstraint("order_id", "rail", name="order_offers_pkey"),
    ForeignKeyConstraint(["order_id"], ["order_baskets.order_id"], name="order_offers_basket_fkey"),
)

rail_offers = Table(
    "rail_offers",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("rail", Code),
    required("basis_points", Integer),
    required("note", Text),
    required("valid_from", Instant),
    optional("valid_until", Instant),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="rail_offers_merchant_fkey"),
    UniqueConstraint("merchant_id", "rail", "valid_from", name="rail_offers_from_key"),
)

item_refunds = Table(
    "item_refunds",
    metadata,
    Column("id", Code, primary_key=True),
    required("order_id", Code),
    optional("refund_id", Code),
    required("lines", JSONB),
    required("amount_kopecks", BigInteger),
    required("points_back", BigInteger, "0"),
    optional("reason", Text),
    required("status", Code, "'requested'"),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["order_baskets.order_id"], name="item_refunds_basket_fkey"),
    UniqueConstraint("refund_id", name="item_refunds_refund_key"),
    Index("item_refunds_of_order", "order_id", "id"),
)
