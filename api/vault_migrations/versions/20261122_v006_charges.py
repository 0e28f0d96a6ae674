"""Keep card charges and what the acquirer answered.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v006"
down_revision = "v005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v006_charges.sql")


def downgrade() -> None:
    run_sql_file("v006_charges_down.sql")
