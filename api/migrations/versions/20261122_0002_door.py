"""The door: API keys, and what was answered under each idempotency key.

Expand only: every table is new. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql, run_sql_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DROP_ALL = """
DROP FUNCTION clear_idempotency_keys(timestamptz, timestamptz, integer);
DROP FUNCTION known_keys(text[], text[]);
DROP FUNCTION take_key(text, text);
DROP TABLE idempotency_clearing, idempotency_keys, api_keys;
"""


def upgrade() -> None:
    run_sql_file("0002_door.sql")


def downgrade() -> None:
    run_sql(DROP_ALL)
