"""Keep rails that buyers prefer and what failed over.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0027_rails.sql")


def downgrade() -> None:
    run_sql_file("0027_rails_down.sql")
