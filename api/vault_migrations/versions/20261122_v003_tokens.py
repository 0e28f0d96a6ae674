"""Keep cards, sealed, and the tokens that stand for them.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.vault_migrations.sql_files import run_sql_file

revision = "v003"
down_revision = "v002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("v003_tokens.sql")


def downgrade() -> None:
    run_sql_file("v003_tokens_down.sql")
