"""Cash links and their activations, stickers, and money that no order knows yet.

Expand only: new tables; a payment may be of an activation instead of a code. Locks: ACCESS EXCLUSIVE on
sbp_payments while its new CHECK reads it once. Going back is refused while payments of the new kinds exist.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql_file

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("0006_cash_links.sql")


def downgrade() -> None:
    run_sql_file("0006_cash_links_down.sql")
