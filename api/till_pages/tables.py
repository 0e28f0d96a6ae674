"""Sessions of the till's pages, as Alembic compares them. What the database checks is in ``0020_presentment.sql``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Identity, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

till_sessions = Table(
    "till_sessions",
    metadata,
    Column("link_code", Code, primary_key=True),
    required("merchant_id", Code),
    required("store_id", Code),
    required("terminal_id", Code),
    required("loyalty_card_id", Code),
    required("showing_id", Code),
    required("state", JSONB),
    required("version", Integer, "1"),
    required("created_at", Instant),
    ForeignKeyConstraint(
        ["terminal_id", "store_id", "merchant_id"],
        ["terminals.id", "terminals.store_id", "terminals.merchant_id"],
        name="till_sessions_terminal_fkey",
    ),
    ForeignKeyConstraint(
        ["showing_id", "loyalty_card_id"],
        ["loyalty_showings.id", "loyalty_showings.card_id"],
        name="till_sessions_showing_fkey",
    ),
)

till_session_messages = Table(
    "till_session_messages",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    required("link_code", Code),
    required("source", Code),
    required("target", Code),
    required("said", Text),
    Column("status", Integer, nullable=True),
    Column("milliseconds", Integer, nullable=True),
    optional("told", Code),
    required("happened_at", Instant),
    ForeignKeyConstraint(["link_code"], ["till_sessions.link_code"], name="till_session_messages_session_fkey"),
    Index("till_session_messages_of_session", "link_code", "number"),
)
