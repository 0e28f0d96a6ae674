"""Keep buyers as the plan engine knows them.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0013_buyers.sql")


def downgrade() -> None:
    run_sql_file("0013_buyers_down.sql")
