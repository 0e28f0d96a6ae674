"""The tables of charges as the migration makes them; what the database checks is in its SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from pci.database import vault_metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")
"""A word of ours, compared byte by byte."""


def _required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def _optional(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=True)


charge_stans = Sequence("charge_stans", metadata=vault_metadata)

charges = Table(
    "charges",
    vault_metadata,
    Column("id", Code, primary_key=True),
    _required("merchant_id", Code),
    _required("card_token", Code),
    _required("card_mask", Code),
    _required("amount_kopecks", BigInteger),
    _required("captured_kopecks", BigInteger, "0"),
    _required("refund_kopecks", BigInteger, "0"),
    _required("is_captured_at_once", Boolean),
    _required("initiator", Code),
    _required("is_credential_kept", Boolean),
    _optional("first_charge_id", Code),
    _required("status", Code, "'requested'"),
    *(_optional(name, Code) for name in ("reason", "response_code", "rrn", "approval_code", "network_reference")),
    _required("looks", Integer, "0"),
    _optional("next_look_at", Instant),
    _required("created_at", Instant),
    _required("changed_at", Instant),
    _required("version", Integer, "1"),
    ForeignKeyConstraint(["first_charge_id"], ["charges.id"], name="charges_first_fkey"),
    Index("charges_of_merchant", "merchant_id", "id"),
    Index("charges_next_look", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
)

charge_refunds = Table(
    "charge_refunds",
    vault_metadata,
    Column("id", Code, primary_key=True),
    _required("charge_id", Code),
    _required("amount_kopecks", BigInteger),
    _required("status", Code, "'requested'"),
    *(_optional(name, Code) for name in ("reason", "response_code", "rrn")),
    _required("looks", Integer, "0"),
    _optional("next_look_at", Instant),
    _required("created_at", Instant),
    _required("changed_at", Instant),
    ForeignKeyConstraint(["charge_id"], ["charges.id"], name="charge_refunds_charge_fkey"),
    Index("charge_refunds_of_charge", "charge_id", "id"),
    Index("charge_refunds_next_look", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
)

charge_attempts = Table(
    "charge_attempts",
    vault_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _required("charge_id", Code),
    _optional("refund_id", Code),
    _optional("original_id", BigInteger),
    _required("operation", Code),
    _required("terminal_id", Code),
    _required("stan", Integer),
    _required("transmitted_at", Instant),
    _required("amount_kopecks", BigInteger),
    _required("tries", Integer, "1"),
    _required("status", Code, "'started'"),
    *(_optional(name, Code) for name in ("response_code", "rrn", "approval_code")),
    _optional("answered_at", Instant),
    ForeignKeyConstraint(["charge_id"], ["charges.id"], name="charge_attempts_charge_fkey"),
    ForeignKeyConstraint(["refund_id"], ["charge_refunds.id"], name="charge_attempts_refund_fkey"),
    ForeignKeyConstraint(["original_id"], ["charge_attempts.id"], name="charge_attempts_original_fkey"),
    UniqueConstraint("terminal_id", "stan", "transmitted_at", name="charge_attempts_number_key"),
    Index(
        "charge_attempts_one_request", "charge_id", unique=True, postgresql_where=text("original_id IS NULL")
    ),
    Index("charge_attempts_of_charge", "charge_id", "id"),
)  # fmt: skip
