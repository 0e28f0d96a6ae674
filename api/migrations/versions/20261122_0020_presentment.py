"""Keep loyalty cards, phones that show them and what was scanned.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0020_presentment.sql")


def downgrade() -> None:
    run_sql_file("0020_presentment_down.sql")
