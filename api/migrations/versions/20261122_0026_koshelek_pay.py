"""Keep what the contract of tills keeps beside orders.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0026_koshelek_pay.sql")


def downgrade() -> None:
    run_sql_file("0026_koshelek_pay_down.sql")
