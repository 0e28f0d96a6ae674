"""Keep what the till knows of card payments: tokens, masks and results, never a number.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0012_card_payments.sql")


def downgrade() -> None:
    run_sql_file("0012_card_payments_down.sql")
