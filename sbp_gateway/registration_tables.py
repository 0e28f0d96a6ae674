"""The table of registrations as the migration makes it; what the database checks is in its SQL."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, text

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

_OPEN = text("status <> 'closed'")

sbp_registrations = Table(
    "sbp_registrations",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("bik", Code),
    required("status", Code, "'data_missing'"),
    optional("ogrn", Code),
    optional("bank_account", Code),
    optional("mcc", Code),
    optional("tariff_group", Code),
    required("settlement_mode", Code, "'collected'"),
    optional("contact_name", Text),
    optional("contact_phone", Code),
    optional("contact_email", Text),
    optional("nspk_merchant_id", Code),
    optional("member_id", Code),
    optional("learnt_by", Code),
    optional("reason", Text),
    required("look_ups", Integer, "0"),
    optional("next_look_up_at", Instant),
    required("created_at", Instant),
    optional("sent_at", Instant),
    optional("registered_at", Instant),
    optional("closed_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="sbp_registrations_merchant_id_fkey"),
    UniqueConstraint("id", "merchant_id", name="sbp_registrations_merchant_key"),
    Index("sbp_registrations_one_open", "merchant_id", "bik", unique=True, postgresql_where=_OPEN),
    Index("sbp_registrations_nspk_key", "nspk_merchant_id", unique=True, postgresql_where=_OPEN),
    Index("sbp_registrations_of_merchant", "merchant_id", "id"),
    Index("sbp_registrations_next_look_up", "next_look_up_at", postgresql_where=text("next_look_up_at IS NOT NULL")),
)
