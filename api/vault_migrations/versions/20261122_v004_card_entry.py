"""Keep card entry sessions, seen requests and, until the outcome, sealed CVCs that no dump has.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v004"
down_revision = "v003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v004_card_entry.sql")


def downgrade() -> None:
    run_sql_file("v004_card_entry_down.sql")
