"""Keep settings of premises, cashiers, rollout of rails and what providers can do.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0019_premises.sql")


def downgrade() -> None:
    run_sql_file("0019_premises_down.sql")
