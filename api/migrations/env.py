"""Migrations of the database ``kopeyka``."""

from __future__ import annotations

from alembic import context
from sqlalchemy.dialects.postgresql.base import ischema_names

from api.migrations.running import import_tables, migrate
from api.settings import Settings
from ledger.database import metadata
from ledger.tables import Xid8
from pci.database import audit_metadata

PACKAGES = (
    "ledger",
    "pci.audit_log",
    "checkout",
    "installments",
    "sbp_gateway",
    "reconciliation",
    "api",
    "api.contracts.yookassa",
    "api.contracts.dolyame",
    "api.contracts.koshelek_pay",
    "api.plan_form",
    "api.till_pages",
    "api.webhooks",
)
"""Whose tables live here. The vault has its own database."""

ischema_names["xid8"] = Xid8
import_tables(PACKAGES)

url = context.config.attributes.get("url") or Settings().migrator_database_url.get_secret_value()
if not url:
    raise SystemExit("Set KOPEYKA_MIGRATOR_DATABASE_URL to the role kopeyka_migrator.")
migrate(str(url), [metadata, audit_metadata])
