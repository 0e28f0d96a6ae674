"""Keep a log that nobody can rewrite: staged leaves, sealed leaves, checkpoints.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file as run_shared_sql_file
from api.vault_migrations.sql_files import run_sql_file

revision = "v001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_shared_sql_file("audit_log.sql")
    run_sql_file("v001_audit_log.sql")


def downgrade() -> None:
    run_sql_file("v001_audit_log_down.sql")
