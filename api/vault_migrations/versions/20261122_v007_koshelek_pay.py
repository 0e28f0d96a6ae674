"""Keep device tokens, their keys and who suspended them.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v007"
down_revision = "v006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v007_koshelek_pay.sql")


def downgrade() -> None:
    run_sql_file("v007_koshelek_pay_down.sql")
