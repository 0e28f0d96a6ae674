"""Tables of premises as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

store_places = Table(
    "store_places",
    metadata,
    Column("store_id", Code, primary_key=True),
    required("merchant_id", Code),
    required("number", Code),
    optional("region", Code),
    required("changed_at", Instant),
    ForeignKeyConstraint(
        ["store_id", "merchant_id"], ["stores.id", "stores.merchant_id"], name="store_places_store_fkey"
    ),
    UniqueConstraint("merchant_id", "number", name="store_places_number_key"),
    Index("store_places_of_region", "merchant_id", "region"),
)

premises_settings = Table(
    "premises_settings",
    metadata,
    Column("merchant_id", Code, primary_key=True),
    Column("level", Code, primary_key=True),
    Column("place", Code, primary_key=True),
    Column("name", Code, primary_key=True),
    optional("value", JSONB),
    required("changed_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="premises_settings_merchant_fkey"),
)

rail_rollouts = Table(
    "rail_rollouts",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("rail", Code),
    required("level", Code),
    required("place", Code),
    required("effective_on", Date),
    required("is_on", Boolean),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="rail_rollouts_merchant_fkey"),
    Index("rail_rollouts_of_merchant", "merchant_id", "rail", "level", "place", "effective_on"),
)

cashiers = Table(
    "cashiers",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("number", Code),
    required("name", Text),
    required("created_at", Instant),
    optional("left_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="cashiers_merchant_fkey"),
    UniqueConstraint("id", "merchant_id", name="cashiers_merchant_key"),
    UniqueConstraint("merchant_id", "number", name="cashiers_number_key"),
)

terminal_keys = Table(
    "terminal_keys",
    metadata,
    Column("id", Code, primary_key=True),
    required("terminal_id", Code),
    required("fingerprint", Code),
    required("key_check", Code),
    required("created_at", Instant),
    optional("proved_at", Instant),
    optional("expires_at", Instant),
    ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="terminal_keys_terminal_fkey"),
    UniqueConstraint("fingerprint", name="terminal_keys_fingerprint_key"),
    Index("terminal_keys_one_lasting", "terminal_id", unique=True, postgresql_where=text("expires_at IS NULL")),
)

terminal_sightings = Table(
    "terminal_sightings",
    metadata,
    Column("terminal_id", Code, primary_key=True),
    required("seen_at", Instant),
    optional("software", Text),
    optional("problem", Code),
    optional("problem_at", Instant),
    ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="terminal_sightings_terminal_fkey"),
)
