"""One rail: outbox, merchants, orders, SBP codes and payments, tariffs, payouts.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0003_rail.sql")


def downgrade() -> None:
    run_sql_file("0003_rail_down.sql")
