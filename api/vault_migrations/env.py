"""Migrations of the database ``kopeyka_vault``."""

from __future__ import annotations

from alembic import context
from sqlalchemy.dialects.postgresql.base import ischema_names

from api.migrations.running import import_tables, migrate
from api.settings import Settings
from ledger.tables import Xid8
from pci.database import audit_metadata, vault_metadata

PACKAGES = (
    "pci.audit_log",
    "pci.keys",
    "pci.access",
    "tokenization",
    "tokenization.charges",
    "tokenization.koshelek_pay",
    "pci.evidence",
)
"""Whose tables live here."""

ischema_names["xid8"] = Xid8
import_tables(PACKAGES)

url = context.config.attributes.get("url") or Settings().vault_migrator_database_url.get_secret_value()
if not url:
    raise SystemExit("Set KOPEYKA_VAULT_MIGRATOR_DATABASE_URL to the role kopeyka_migrator.")
migrate(str(url), [vault_metadata, audit_metadata])
