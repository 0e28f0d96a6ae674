"""Keep programmes of points, their rules and lots.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0022_points.sql")


def downgrade() -> None:
    run_sql_file("0022_points_down.sql")
