"""Tables of promo codes as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, Table, UniqueConstraint, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

promo_codes = Table(
    "promo_codes",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("code", Code),
    required("kind", Code),
    optional("discount_kopecks", BigInteger),
    optional("discount_basis_points", Integer),
    optional("discount_kopecks_max", BigInteger),
    required("basket_kopecks_min", BigInteger, "0"),
    optional("redemptions_max", Integer),
    optional("buyer_redemptions_max", Integer),
    optional("owner_key", Code),
    optional("only_for", Code),
    optional("reward_kopecks", BigInteger),
    optional("reward_code_id", Code),
    required("is_returnable", Boolean),
    required("valid_from", Instant),
    optional("valid_until", Instant),
    required("taken", Integer, "0"),
    required("confirmed", Integer, "0"),
    required("created_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="promo_codes_merchant_fkey"),
    ForeignKeyConstraint(["reward_code_id"], ["promo_codes.id"], name="promo_codes_reward_fkey"),
    UniqueConstraint("merchant_id", "code", name="promo_codes_code_key"),
    UniqueConstraint("id", "merchant_id", "kind", name="promo_codes_kind_key"),
    UniqueConstraint("reward_code_id", name="promo_codes_reward_key"),
    Index("promo_codes_of_merchant", "merchant_id", "id"),
)

_LIVE = "status IN ('reserved', 'confirmed')"

promo_redemptions = Table(
    "promo_redemptions",
    metadata,
    Column("id", Code, primary_key=True),
    required("promo_code_id", Code),
    required("merchant_id", Code),
    required("kind", Code),
    required("order_id", Code),
    optional("buyer_key", Code),
    optional("buyer_use", Integer),
    required("discount_kopecks", BigInteger),
    required("status", Code, "'reserved'"),
    required("reserved_at", Instant),
    optional("confirmed_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="promo_redemptions_order_fkey"),
    ForeignKeyConstraint(
        ["promo_code_id", "merchant_id", "kind"],
        ["promo_codes.id", "promo_codes.merchant_id", "promo_codes.kind"],
        name="promo_redemptions_code_fkey",
    ),
    UniqueConstraint("order_id", name="promo_redemptions_order_key"),
    Index(
        "promo_redemptions_one_buyer_use",
        "promo_code_id", "buyer_key", "buyer_use", unique=True, postgresql_where=text(_LIVE),
    ),
    Index(
        "promo_redemptions_one_trial",
        "merchant_id", "buyer_key", unique=True, postgresql_where=text(f"kind = 'trial' AND {_LIVE}"),
    ),
    Index("promo_redemptions_of_code", "promo_code_id", "id"),
)  # fmt: skip
