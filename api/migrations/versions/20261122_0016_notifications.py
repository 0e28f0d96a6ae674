"""Keep messages to buyers in lanes.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0016_notifications.sql")


def downgrade() -> None:
    run_sql_file("0016_notifications_down.sql")
