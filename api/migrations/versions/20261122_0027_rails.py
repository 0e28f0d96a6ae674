"""Keep plans that pay at the till, rails that are off, attempts given up, and slips.

Expand only: every table is new, and attempts may be by one rail more. Locks: attempts, while that CHECK is read.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0027_rails.sql")


def downgrade() -> None:
    run_sql_file("0027_rails_down.sql")
