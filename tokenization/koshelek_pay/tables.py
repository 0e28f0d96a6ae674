"""The tables of Кошелёк Pay as the migration makes them; what the database checks is in its SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from pci.database import vault_metadata

Instant = TIMESTAMP(timezone=True)
Code = Text(collation="C")
Codes = ARRAY(Code)


def _required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def _of_token() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["device_token_id"], ["device_tokens.id"])


token_ranges = Table(
    "token_ranges",
    vault_metadata,
    Column("id", Code, primary_key=True),
    _required("scheme", Code),
    _required("first8", Code),
    _required("digits", SmallInteger, "16"),
    _required("family", Code),
    _required("is_test", Boolean),
    _required("is_open", Boolean, "true"),
    UniqueConstraint("first8", name="token_ranges_first8_key"),
    Index("token_ranges_one_open", "scheme", unique=True, postgresql_where=text("is_open")),
)

token_requestors = Table(
    "token_requestors",
    vault_metadata,
    Column("trid", Code, primary_key=True),
    _required("merchant_id", Code),
    _required("name", Text),
    _required("channels", Codes),
    _required("amount_kopecks_max", BigInteger),
    _required("tokens_max", Integer),
    Column("public_jwk", JSONB),
    _required("created_at", Instant),
    UniqueConstraint("merchant_id", "name", name="token_requestors_name_key"),
)

token_devices = Table(
    "token_devices",
    vault_metadata,
    Column("id", Code, primary_key=True),
    _required("trid", Code),
    _required("installation_id", Code),
    _required("thumbprint", Code),
    _required("public_jwk", JSONB),
    _required("attestation", Codes),
    _required("status", Code, "'bound'"),
    _required("created_at", Instant),
    _required("changed_at", Instant),
    ForeignKeyConstraint(["trid"], ["token_requestors.trid"]),
    UniqueConstraint("thumbprint", name="token_devices_thumbprint_key"),
    Index(
        "token_devices_one_of_installation",
        "trid",
        "installation_id",
        unique=True,
        postgresql_where=text("status <> 'wiped'"),
    ),
)

device_tokens = Table(
    "device_tokens",
    vault_metadata,
    Column("id", Code, primary_key=True),
    *(_required(name, Code) for name in ("trid", "device_id", "range_id", "merchant_id", "card_token")),
    *(_required(name, Code) for name in ("fingerprint_id", "par")),
    Column("token_number", Code),
    _required("sequence_number", Code, "'01'"),
    *(_required(name, Code) for name in ("expires", "card_mask", "card_expires")),
    Column("key_number", Integer),
    _required("status", Code),
    _required("decision", Code),
    _required("findings", JSONB),
    _required("assurance", Code),
    _required("channels", Codes),
    Column("mccs", Codes),
    _required("amount_kopecks_max", BigInteger),
    _required("wrong_cryptograms", SmallInteger, "0"),
    _required("created_at", Instant),
    _required("changed_at", Instant),
    _required("version", Integer, "1"),
    ForeignKeyConstraint(["trid"], ["token_requestors.trid"]),
    ForeignKeyConstraint(["device_id"], ["token_devices.id"]),
    ForeignKeyConstraint(["range_id"], ["token_ranges.id"]),
    ForeignKeyConstraint(["key_number"], ["keys.number"]),
    UniqueConstraint("token_number", name="device_tokens_number_key"),
    Index(
        "device_tokens_one_of_card",
        "trid",
        "device_id",
        "fingerprint_id",
        unique=True,
        postgresql_where=text("status NOT IN ('declined', 'deleted')"),
    ),
    Index("device_tokens_of_device", "device_id"),
    Index("device_tokens_of_card", "merchant_id", "fingerprint_id", "created_at"),
    Index("device_tokens_of_merchant", "merchant_id", "id"),
)

device_token_suspensions = Table(
    "device_token_suspensions",
    vault_metadata,
    _required("device_token_id", Code),
    _required("number", Integer),
    _required("suspender", Code),
    _required("reason", Text),
    _required("suspended_at", Instant),
    Column("lifted_at", Instant),
    PrimaryKeyConstraint("device_token_id", "number"),
    _of_token(),
    Index(
        "device_token_suspensions_one_a_party",
        "device_token_id",
        "suspender",
        unique=True,
        postgresql_where=text("lifted_at IS NULL"),
    ),
)

device_token_codes = Table(
    "device_token_codes",
    vault_metadata,
    _required("device_token_id", Code),
    _required("number", Integer),
    _required("digest", LargeBinary),
    _required("phone_mask", Code),
    _required("tries", SmallInteger, "0"),
    _required("status", Code, "'open'"),
    _required("made_at", Instant),
    _required("expires_at", Instant),
    Column("sent_at", Instant),
    PrimaryKeyConstraint("device_token_id", "number"),
    _of_token(),
    Index("device_token_codes_one_open", "device_token_id", unique=True, postgresql_where=text("status = 'open'")),
)

device_key_batches = Table(
    "device_key_batches",
    vault_metadata,
    _required("device_token_id", Code),
    _required("number", Integer),
    _required("request_id", Code),
    _required("first_atc", Integer),
    _required("last_atc", Integer),
    _required("issued_at", Instant),
    _required("expires_at", Instant),
    PrimaryKeyConstraint("device_token_id", "number"),
    _of_token(),
    UniqueConstraint("device_token_id", "request_id", name="device_key_batches_request_key"),
)

device_keys = Table(
    "device_keys",
    vault_metadata,
    _required("device_token_id", Code),
    _required("atc", Integer),
    _required("batch_number", Integer),
    _required("status", Code, "'issued'"),
    _required("changed_at", Instant),
    PrimaryKeyConstraint("device_token_id", "atc"),
    ForeignKeyConstraint(
        ["device_token_id", "batch_number"], ["device_key_batches.device_token_id", "device_key_batches.number"]
    ),
)

device_authorisations = Table(
    "device_authorisations",
    vault_metadata,
    Column("id", Code, primary_key=True),
    _required("device_token_id", Code),
    _required("atc", Integer),
    _required("merchant_id", Code),
    _required("amount_kopecks", BigInteger),
    _required("channel", Code),
    _required("mcc", Code),
    _required("digest", LargeBinary),
    _required("cryptogram", LargeBinary),
    _required("chip", LargeBinary),
    _required("status", Code, "'accepted'"),
    Column("response_code", Code),
    Column("issuer_answer", LargeBinary),
    _required("accepted_at", Instant),
    Column("ended_at", Instant),
    ForeignKeyConstraint(["device_token_id", "atc"], ["device_keys.device_token_id", "device_keys.atc"]),
    UniqueConstraint("device_token_id", "atc", name="device_authorisations_atc_key"),
    Index("device_authorisations_open", "accepted_at", postgresql_where=text("ended_at IS NULL")),
)

device_payment_denials = Table(
    "device_payment_denials",
    vault_metadata,
    _required("payment_id", Code),
    _required("merchant_id", Code),
    _required("denied_at", Instant),
    PrimaryKeyConstraint("payment_id", "merchant_id"),
)
