"""Windows of polling as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, UniqueConstraint

from ledger.database import metadata
from ledger.tables import Instant, required

sbp_poll_windows = Table(
    "sbp_poll_windows",
    metadata,
    Column("through_at", Instant, primary_key=True),
    required("after_at", Instant),
    required("polls", Integer, "0"),
    required("next_poll_at", Instant),
    UniqueConstraint("after_at", name="sbp_poll_windows_after_key"),
    Index("sbp_poll_windows_next_poll", "next_poll_at"),
)
