"""Tables of points as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

_LEFT = text("points_left > 0")

points_programmes = Table(
    "points_programmes",
    metadata,
    Column("code", Code, primary_key=True),
    required("merchant_id", Code),
    required("name", Text),
    required("point_kopecks", Integer),
    required("thresholds", ARRAY(Integer)),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="points_programmes_merchant_id_fkey"),
    Index("points_programmes_of_merchant", "merchant_id", "code"),
)

points_rules = Table(
    "points_rules",
    metadata,
    Column("id", Code, primary_key=True),
    required("programme", Code),
    required("valid_from_on", Date),
    required("earn_basis_points", Integer),
    required("line_basis_points", Integer),
    required("basket_basis_points", Integer),
    required("earn_from_kopecks", BigInteger),
    required("lot_days", Integer),
    required("delay_days", Integer),
    required("return_days", Integer),
    required("excluded_articles", ARRAY(Code)),
    required("created_at", Instant),
    ForeignKeyConstraint(["programme"], ["points_programmes.code"], name="points_rules_programme_fkey"),
    UniqueConstraint("programme", "valid_from_on", name="points_rules_day_key"),
    UniqueConstraint("id", "programme", name="points_rules_of_programme_key"),
)

points_purses = Table(
    "points_purses",
    metadata,
    Column("card_id", Code, primary_key=True),
    required("programme", Code),
    required("owed_points", BigInteger, "0"),
    required("opened_at", Instant),
    ForeignKeyConstraint(["card_id"], ["loyalty_cards.id"], name="points_purses_card_id_fkey"),
    ForeignKeyConstraint(["programme"], ["points_programmes.code"], name="points_purses_programme_fkey"),
    UniqueConstraint("card_id", "programme", name="points_purses_programme_key"),
)

points_lots = Table(
    "points_lots",
    metadata,
    Column("id", Code, primary_key=True),
    required("card_id", Code),
    required("programme", Code),
    required("rule_id", Code),
    required("reason", Code),
    optional("order_id", Code),
    required("points", BigInteger),
    required("points_left", BigInteger),
    required("earned_at", Instant),
    required("spendable_at", Instant),
    required("expires_at", Instant),
    ForeignKeyConstraint(
        ["card_id", "programme"], ["points_purses.card_id", "points_purses.programme"], name="points_lots_purse_fkey"
    ),
    ForeignKeyConstraint(
        ["rule_id", "programme"], ["points_rules.id", "points_rules.programme"], name="points_lots_rule_fkey"
    ),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="points_lots_order_id_fkey"),
    Index("points_lots_to_spend", "card_id", "expires_at", "id", postgresql_where=_LEFT),
    Index("points_lots_to_expire", "expires_at", postgresql_where=_LEFT),
    Index("points_lots_one_earned", "order_id", unique=True, postgresql_where=text("reason = 'earned'")),
)

points_spendings = Table(
    "points_spendings",
    metadata,
    Column("order_id", Code, primary_key=True),
    required("card_id", Code),
    required("programme", Code),
    required("points", BigInteger),
    required("amount_kopecks", BigInteger),
    required("points_returned", BigInteger, "0"),
    required("status", Code, "'reserved'"),
    required("reserved_at", Instant),
    optional("ended_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="points_spendings_order_id_fkey"),
    ForeignKeyConstraint(
        ["card_id", "programme"],
        ["points_purses.card_id", "points_purses.programme"],
        name="points_spendings_purse_fkey",
    ),
    Index("points_spendings_of_card", "card_id", "order_id"),
)

points_uses = Table(
    "points_uses",
    metadata,
    Column("order_id", Code, primary_key=True),
    Column("lot_id", Code, primary_key=True),
    required("points", BigInteger),
    ForeignKeyConstraint(["order_id"], ["points_spendings.order_id"], name="points_uses_order_id_fkey"),
    ForeignKeyConstraint(["lot_id"], ["points_lots.id"], name="points_uses_lot_id_fkey"),
    Index("points_uses_of_lot", "lot_id"),
)

points_returns = Table(
    "points_returns",
    metadata,
    Column("refund_id", Code, primary_key=True),
    required("order_id", Code),
    required("card_id", Code),
    required("points_back", BigInteger),
    required("accrued_back", BigInteger),
    required("accrued_owed", BigInteger),
    required("returned_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="points_returns_order_id_fkey"),
    ForeignKeyConstraint(["card_id"], ["points_purses.card_id"], name="points_returns_card_id_fkey"),
    Index("points_returns_of_order", "order_id"),
)
