"""The banks that pay by SBP links, in NSPK's order; windows in which open codes are asked about together.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0004_banks.sql")


def downgrade() -> None:
    run_sql_file("0004_banks_down.sql")
