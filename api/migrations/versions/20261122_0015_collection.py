"""Keep charges of installments and what pauses them.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0015_collection.sql")


def downgrade() -> None:
    run_sql_file("0015_collection_down.sql")
