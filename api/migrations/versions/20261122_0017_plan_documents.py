"""Keep plan documents, bureau events and receipt intents.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0017_plan_documents.sql")


def downgrade() -> None:
    run_sql_file("0017_plan_documents_down.sql")
