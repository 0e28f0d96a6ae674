"""Keep what the Dolyame contract needs beside plans.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0018_dolyame.sql")


def downgrade() -> None:
    run_sql_file("0018_dolyame_down.sql")
