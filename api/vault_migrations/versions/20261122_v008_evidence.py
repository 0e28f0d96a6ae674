"""Keep retention policies, purges, outages and reviews, as an auditor asks for them.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v008"
down_revision = "v007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v008_evidence.sql")


def downgrade() -> None:
    run_sql_file("v008_evidence_down.sql")
