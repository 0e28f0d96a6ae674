"""Keep installment plans, their installments and movements.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0014_plans.sql")


def downgrade() -> None:
    run_sql_file("0014_plans_down.sql")
