"""Keep money sent to buyers' phones, their numbers no longer than needed, and watch codes that are over.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0010_b2c_payouts.sql")


def downgrade() -> None:
    run_sql_file("0010_b2c_payouts_down.sql")
