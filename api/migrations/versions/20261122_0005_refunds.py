"""Refunds: what a payment keeps for them, refunds, and each time NSPK was asked for one.

Expand only: new tables, new columns that are empty or have a constant default. Locks: a short ACCESS
EXCLUSIVE on sbp_payments; its rows are read once for the new CHECKs, none is rewritten.
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
