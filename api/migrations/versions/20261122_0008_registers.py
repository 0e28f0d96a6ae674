"""Registers of banks, their lines, checks of them against our operations, and the view of those operations.

Expand only: every table is new; ``sbp_payments`` gets an index of time.
Locks: ``sbp_payments`` against writes while that index is made, which reads the table once.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0008_registers.sql")


def downgrade() -> None:
    run_sql_file("0008_registers_down.sql")
