"""People's tables, as Alembic compares them. The truth is ``vault_migrations/sql/v005_access.sql``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from pci.database import vault_metadata

Instant = DateTime(timezone=True)


def _of_people(column: str, name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], ["people.id"], name=name)


people = Table(
    "people",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("password_hash", Text),
    Column("password_changed_at", Instant),
    Column("totp_secret", LargeBinary),
    Column("totp_counter", BigInteger, nullable=False, server_default="0"),
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    Column("locked_until", Instant),
    Column("last_signed_in_at", Instant),
    Column("idle_since", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("confirmed_by", Text),
    Column("disabled_at", Instant),
    Column("disabled_by", Text),
    Column("disabled_reason", Text),
    PrimaryKeyConstraint("id", name="people_pkey"),
    UniqueConstraint("login", name="people_login_key"),
)

past_passwords = Table(
    "past_passwords",
    vault_metadata,
    Column("person_id", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    Column("password_hash", Text, nullable=False),
    PrimaryKeyConstraint("person_id", "set_at", name="past_passwords_pkey"),
    _of_people("person_id", "past_passwords_person_fkey"),
)

role_changes = Table(
    "role_changes",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_granted", Boolean, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("id", name="role_changes_pkey"),
    _of_people("person_id", "role_changes_person_fkey"),
    Index("role_changes_person", "person_id", "changed_at"),
)

enrolments = Table(
    "enrolments",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("begun_at", Instant),
    Column("password_hash", Text),
    Column("totp_secret", LargeBinary),
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    Column("ended_at", Instant),
    Column("is_done", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("id", name="enrolments_pkey"),
    UniqueConstraint("token_hash", name="enrolments_token_hash_key"),
    _of_people("person_id", "enrolments_person_fkey"),
    Index("enrolments_one_open", "person_id", unique=True, postgresql_where=text("ended_at IS NULL")),
)

sign_ins = Table(
    "sign_ins",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("origin", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", Text),
    PrimaryKeyConstraint("id", name="sign_ins_pkey"),
    UniqueConstraint("token_hash", name="sign_ins_token_hash_key"),
    _of_people("person_id", "sign_ins_person_fkey"),
    Index("sign_ins_person_open", "person_id", postgresql_where=text("ended_at IS NULL")),
)

totp_resets = Table(
    "totp_resets",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    PrimaryKeyConstraint("id", name="totp_resets_pkey"),
    _of_people("person_id", "totp_resets_person_fkey"),
    _of_people("requested_by", "totp_resets_requester_fkey"),
    _of_people("approved_by", "totp_resets_approver_fkey"),
)

reveal_requests = Table(
    "reveal_requests",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("used_at", Instant),
    PrimaryKeyConstraint("id", name="reveal_requests_pkey"),
    _of_people("person_id", "reveal_requests_person_fkey"),
    _of_people("decided_by", "reveal_requests_decider_fkey"),
    Index("reveal_requests_open", "requested_at", postgresql_where=text("status IN ('requested', 'approved')")),
    Index("reveal_requests_person", "person_id", "requested_at"),
)

reveals = Table(
    "reveals",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("request_id", Text),
    Column("revealed_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="reveals_pkey"),
    UniqueConstraint("request_id", name="reveals_request_key"),
    _of_people("person_id", "reveals_person_fkey"),
    ForeignKeyConstraint(["request_id"], ["reveal_requests.id"], name="reveals_request_fkey"),
    Index("reveals_person", "person_id", "revealed_at"),
)

access_reviews = Table(
    "access_reviews",
    vault_metadata,
    Column("id", Text, nullable=False),
    Column("reviewed_by", Text, nullable=False),
    Column("reviewed_at", Instant, nullable=False),
    Column("people", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("id", name="access_reviews_pkey"),
    _of_people("reviewed_by", "access_reviews_reviewer_fkey"),
)
