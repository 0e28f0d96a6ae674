"""The table of what is over and still watched, as the migration makes it."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table

from ledger.database import metadata
from ledger.tables import Code, Instant, required

sbp_late_watches = Table(
    "sbp_late_watches",
    metadata,
    Column("id", Code, primary_key=True),
    required("is_activation", Boolean),
    required("ended_at", Instant),
    required("next_look_at", Instant),
    Index("sbp_late_watches_next_look", "next_look_at"),
)
