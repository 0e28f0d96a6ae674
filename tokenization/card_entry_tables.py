"""Tables of cards on their way in, as Alembic compares them. The truth is ``v004_card_entry.sql``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pci.database import vault_metadata

_Instant = DateTime(timezone=True)

card_sessions = Table(
    "card_sessions",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("request_key", Text, nullable=False),
    Column("buyer_id", Text),
    Column("origin", Text, nullable=False),
    Column("wants_cvc", Boolean, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("token", Text),
    Column("created_at", _Instant, nullable=False),
    Column("expires_at", _Instant, nullable=False),
    Column("used_at", _Instant),
    PrimaryKeyConstraint("id", name="card_sessions_pkey"),
    UniqueConstraint("merchant_id", "request_key", name="card_sessions_request_key"),
    Index("card_sessions_by_end", "expires_at"),
)

seen_sealed_cards = Table(
    "seen_sealed_cards",
    vault_metadata,
    Column("jti", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("request_key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("token", Text, nullable=False),
    Column("seen_at", _Instant, nullable=False),
    Column("expires_at", _Instant, nullable=False),
    PrimaryKeyConstraint("jti", name="seen_sealed_cards_pkey"),
    UniqueConstraint("merchant_id", "request_key", name="seen_sealed_cards_request_key"),
    Index("seen_sealed_cards_by_end", "expires_at"),
)

sad_volatile = Table(
    "sad_volatile",
    vault_metadata,
    Column("token", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("kept_at", _Instant, nullable=False),
    Column("expires_at", _Instant, nullable=False),
    PrimaryKeyConstraint("token", name="sad_volatile_pkey"),
    Index("sad_volatile_by_end", "expires_at"),
)

buyer_cards = Table(
    "buyer_cards",
    vault_metadata,
    Column("merchant_id", Text, nullable=False),
    Column("buyer_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("added_at", _Instant, nullable=False),
    PrimaryKeyConstraint("merchant_id", "buyer_id", "token", name="buyer_cards_pkey"),
    ForeignKeyConstraint(["token"], ["cards.token"], name="buyer_cards_token_fkey"),
    Index("buyer_cards_by_token", "token"),
)
