"""Keep promo codes and their redemptions.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0023_promo_codes.sql")


def downgrade() -> None:
    run_sql_file("0023_promo_codes_down.sql")
