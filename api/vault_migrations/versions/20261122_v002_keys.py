"""Keep wrapped keys, their states and custodians.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v002"
down_revision = "v001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v002_keys.sql")


def downgrade() -> None:
    run_sql_file("v002_keys_down.sql")
