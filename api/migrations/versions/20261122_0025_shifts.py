"""Keep shifts of terminals and what their tills counted.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0025_shifts.sql")


def downgrade() -> None:
    run_sql_file("0025_shifts_down.sql")
