"""Tables of rails that are off, attempts given up and slips, as the migration makes them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Index, Integer, Table, Text, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

rail_switches = Table(
    "rail_switches",
    metadata,
    Column("id", Code, primary_key=True),
    required("rail", Code),
    optional("provider", Code),
    required("is_on", Boolean),
    required("reason", Text),
    required("switched_by", Code),
    required("switched_at", Instant),
    Index("rail_switches_newest", "rail", "provider", text("id DESC")),
)

failover_rules = Table(
    "failover_rules",
    metadata,
    Column("id", Code, primary_key=True),
    optional("merchant_id", Code),
    required("rail", Code),
    optional("next_rail", Code),
    required("decided_by", Code),
    required("created_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="failover_rules_merchant_fkey"),
    Index("failover_rules_newest", "rail", "merchant_id", text("id DESC")),
)

attempt_failovers = Table(
    "attempt_failovers",
    metadata,
    Column("attempt_id", Code, primary_key=True),
    required("asked_rail", Code),
    required("rail", Code),
    required("switch_id", Code),
    required("created_at", Instant),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="attempt_failovers_attempt_fkey"),
    ForeignKeyConstraint(["switch_id"], ["rail_switches.id"], name="attempt_failovers_switch_fkey"),
)

unanswered_attempts = Table(
    "unanswered_attempts",
    metadata,
    Column("attempt_id", Code, primary_key=True),
    required("tries", Integer),
    required("ended_at", Instant),
    ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="unanswered_attempts_attempt_fkey"),
)

slip_issues = Table(
    "slip_issues",
    metadata,
    Column("order_id", Code, primary_key=True),
    Column("issue", Integer, primary_key=True),
    required("issued_by", Code),
    required("issued_at", Instant),
    ForeignKeyConstraint(["order_id"], ["orders.id"], name="slip_issues_order_fkey"),
)

preferred_rails = Table(
    "preferred_rails",
    metadata,
    Column("loyalty_card_id", Code, primary_key=True),
    optional("rail", Code),
    required("chosen_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["loyalty_card_id"], ["loyalty_cards.id"], name="preferred_rails_card_fkey"),
)
