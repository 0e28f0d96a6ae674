"""Keep webhook endpoints and their deliveries.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0024_webhooks.sql")


def downgrade() -> None:
    run_sql_file("0024_webhooks_down.sql")
