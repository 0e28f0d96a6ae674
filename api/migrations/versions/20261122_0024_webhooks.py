"""Keep webhooks, their secrets and the log of their tries; let a delivery be asked for again.

Expand only: tables are new, and ``deliveries`` gets a column with a constant. Locks: ``deliveries`` exclusively, for
a moment and for the reading that its new CHECK and partial index need.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0024_webhooks.sql")


def downgrade() -> None:
    run_sql_file("0024_webhooks_down.sql")
