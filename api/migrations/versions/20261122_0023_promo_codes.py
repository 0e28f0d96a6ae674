"""Keep promo codes and their redemptions; let the audit log's lines about one object be read.

Expand only: every table and function is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0023_promo_codes.sql")
    run_sql_file("0023_timeline.sql")


def downgrade() -> None:
    run_sql_file("0023_promo_codes_down.sql")
