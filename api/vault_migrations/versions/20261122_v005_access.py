"""Keep people of the vault, their sign-ins and what they were shown.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v005"
down_revision = "v004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v005_access.sql")


def downgrade() -> None:
    run_sql_file("v005_access_down.sql")
