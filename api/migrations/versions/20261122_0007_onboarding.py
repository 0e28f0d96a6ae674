"""Onboarding: registrations with NSPK by bank, and settlement modes.

Expand only: new tables, and new columns with constant defaults. Locks: a short ACCESS EXCLUSIVE on
sbp_merchants and sbp_payments each; no row is rewritten.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0007_onboarding.sql")


def downgrade() -> None:
    run_sql_file("0007_onboarding_down.sql")
