"""refunds: being written.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0005_refunds.sql")


def downgrade() -> None:
    run_sql_file("0005_refunds_down.sql")
