"""Where the form leads back to, as Alembic compares it. What the database checks is in ``0014_plans.sql``."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Table

from ledger.database import metadata
from ledger.tables import Code, optional

plan_return_urls = Table(
    "plan_return_urls",
    metadata,
    Column("plan_id", Code, primary_key=True),
    optional("success_url", Code),
    optional("fail_url", Code),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_return_urls_plan_fkey"),
)
