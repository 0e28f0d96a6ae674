"""Keep baskets, tenders and offers of orders.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0021_baskets.sql")


def downgrade() -> None:
    run_sql_file("0021_baskets_down.sql")
