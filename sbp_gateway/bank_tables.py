"""The list of banks as the migration makes it. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, Table, Text, UniqueConstraint

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

sbp_banks = Table(
    "sbp_banks",
    metadata,
    Column("id", Code, primary_key=True),
    optional("place", Integer),
    required("name", Text),
    required("app_schema", Code),
    optional("package", Code),
    optional("logo_url", Code),
    required("is_dr_active", Boolean),
    required("is_web_client_active", Boolean),
    optional("web_client_url", Code),
    optional("web_client_url_sub", Code),
    optional("param_separator", Code),
    required("imported_at", Instant),
    optional("gone_at", Instant),
    UniqueConstraint("place", name="sbp_banks_place_key", deferrable=True),
)
