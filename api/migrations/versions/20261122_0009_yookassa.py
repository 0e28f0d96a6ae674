"""The contract of YooKassa: payments and refunds of its form, tills of its shops, webhooks.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0009_yookassa.sql")


def downgrade() -> None:
    run_sql_file("0009_yookassa_down.sql")
