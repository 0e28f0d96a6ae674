"""Keep a log that nobody can rewrite: staged leaves, sealed leaves, checkpoints.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("audit_log.sql")
    run_sql_file("0011_audit_log.sql")


def downgrade() -> None:
    run_sql_file("0011_audit_log_down.sql")
