"""PostgreSQL holds the separation of duties by itself: each constraint and grant of people's tables says no."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.conftest import VaultDatabase

NOW, LATER, HASH = "2026-11-22T09:00:00Z", "2026-11-22T09:10:00Z", "$argon2id$v=19$x"
TABLES = (
    "people", "past_passwords", "role_changes", "enrolments", "sign_ins", "totp_resets", "reveal_requests", "reveals",
    "access_reviews",
)  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "people": {
        "id": "per_a", "login": "olga", "name": "Olga", "status": "active", "roles": ["support"],
        "password_hash": HASH, "password_changed_at": NOW, "totp_secret": b"x", "idle_since": NOW, "created_at": NOW,
        "created_by": "system:init", "granted_by": "system:init", "confirmed_by": "system:init",
    },
    "past_passwords": {"person_id": "per_a", "set_at": NOW, "password_hash": HASH},
    "role_changes": {
        "id": "rch_a", "person_id": "per_a", "role": "support", "is_granted": True, "changed_by": "system:init",
        "changed_at": NOW, "reason": "hired",
    },
    "enrolments": {
        "id": "enr_a", "person_id": "per_a", "kind": "first", "token_hash": b"a" * 32, "proof": b"p" * 36,
        "made_by": "system:init",
        "made_at": NOW, "expires_at": LATER,
    },
    "sign_ins": {
        "id": "sgn_a", "person_id": "per_a", "token_hash": b"a" * 32, "proof": b"p" * 36,
        "origin": "here", "opened_at": NOW,
        "used_at": NOW, "expires_at": LATER,
    },
    "totp_resets": {
        "id": "rst_a", "person_id": "per_a", "requested_by": "per_b", "reason": "lost", "requested_at": NOW,
        "expires_at": LATER,
    },
    "reveal_requests": {
        "id": "rvr_a", "person_id": "per_a", "token": "tok_a", "reason": "chargeback", "ticket": "SUP-1",
        "status": "requested", "requested_at": NOW, "expires_at": LATER,
    },
    "reveals": {
        "id": "rvl_a", "person_id": "per_a", "token": "tok_a", "merchant_id": "mer_a", "reason": "chargeback",
        "ticket": "SUP-1", "request_id": "rvr_a", "revealed_at": NOW,
    },
    "access_reviews": {
        "id": "rvw_a", "reviewed_by": "per_a", "reviewed_at": NOW, "people": 2, "digest": b"d" * 32, "note": "half",
    },
}  # fmt: skip
"""One good row of each table, and a second person to do things with."""
BORIS = ROWS["people"] | {"id": "per_b", "login": "boris"}
NEXT = {
    "people": {"id": "per_c", "login": "vera"}, "past_passwords": {"set_at": LATER}, "role_changes": {"id": "rch_b"},
    "enrolments": {"id": "enr_b", "token_hash": b"b" * 32, "ended_at": NOW},
    "sign_ins": {"id": "sgn_b", "token_hash": b"b" * 32}, "totp_resets": {"id": "rst_b"},
    "reveal_requests": {"id": "rvr_b"}, "reveals": {"id": "rvl_b", "request_id": None},
    "access_reviews": {"id": "rvw_b"},
}  # fmt: skip
"""What makes a second good row of each."""
DECIDED = {"decided_by": "per_b", "decided_at": NOW}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("people_pkey", "people", {"id": "per_a"}),
    ("people_login_key", "people", {"login": "olga"}),
    ("people_login_form", "people", {"login": "Olga"}),
    ("people_login_form", "people", {"login": "ol"}),
    ("people_name_length", "people", {"name": ""}),
    ("people_status_is_known", "people", {"status": "sleeping"}),
    ("people_roles_are_known", "people", {"roles": ["king"]}),
    ("people_admin_does_nothing_else", "people", {"roles": ["admin", "support"]}),
    ("people_auditor_does_nothing_else", "people", {"roles": ["auditor", "custodian"]}),
    ("people_reveal_and_approval_apart", "people", {"roles": ["support", "security_officer"]}),
    ("people_active_has_both_factors", "people", {"totp_secret": None}),
    ("people_active_has_both_factors", "people", {"password_hash": None}),
    ("people_password_is_hashed", "people", {"password_hash": "correct horse 7 battery"}),
    ("people_counter_not_negative", "people", {"totp_counter": -1}),
    ("people_failed_attempts_in_range", "people", {"failed_attempts": 11, "locked_until": NOW}),
    ("people_failed_attempts_in_range", "people", {"failed_attempts": -1}),
    ("people_tenth_failure_locks", "people", {"failed_attempts": 10}),
    ("people_disabled_says_by_whom", "people", {"status": "disabled", "disabled_at": NOW}),
    ("people_disabled_says_by_whom", "people", {"disabled_at": NOW, "disabled_by": "x", "disabled_reason": "y"}),
    ("past_passwords_pkey", "past_passwords", {"set_at": NOW}),
    ("past_passwords_person_fkey", "past_passwords", {"person_id": "per_z"}),
    ("past_passwords_are_hashed", "past_passwords", {"password_hash": "plain"}),
    ("role_changes_pkey", "role_changes", {"id": "rch_a"}),
    ("role_changes_person_fkey", "role_changes", {"person_id": "per_z"}),
    ("role_changes_not_by_oneself", "role_changes", {"changed_by": "person:per_a"}),
    ("role_changes_reason_length", "role_changes", {"reason": ""}),
    ("enrolments_pkey", "enrolments", {"id": "enr_a"}),
    ("enrolments_person_fkey", "enrolments", {"person_id": "per_z"}),
    ("people_confirmed_by_another", "people", {"granted_by": "person:per_b", "confirmed_by": "person:per_b"}),
    ("people_confirmed_by_another", "people", {"confirmed_by": "person:per_c"}),
    ("enrolments_proof_length", "enrolments", {"proof": b"short"}),
    ("sign_ins_proof_length", "sign_ins", {"proof": b"short"}),
    ("enrolments_token_hash_key", "enrolments", {"token_hash": b"a" * 32}),
    ("enrolments_token_is_sha256", "enrolments", {"token_hash": b"short"}),
    ("enrolments_kind_is_known", "enrolments", {"kind": "magic"}),
    ("enrolments_end_after_they_are_made", "enrolments", {"expires_at": NOW}),
    ("enrolments_failed_attempts_in_range", "enrolments", {"failed_attempts": 6}),
    ("enrolments_done_are_ended", "enrolments", {"is_done": True, "begun_at": None}),
    ("enrolments_password_is_hashed", "enrolments", {"password_hash": "plain"}),
    ("enrolments_one_open", "enrolments", {"ended_at": None}),
    ("sign_ins_pkey", "sign_ins", {"id": "sgn_a"}),
    ("sign_ins_person_fkey", "sign_ins", {"person_id": "per_z"}),
    ("sign_ins_token_hash_key", "sign_ins", {"token_hash": b"a" * 32}),
    ("sign_ins_token_is_sha256", "sign_ins", {"token_hash": b"short"}),
    ("sign_ins_last_eight_hours", "sign_ins", {"expires_at": "2026-11-22T17:00:01Z"}),
    ("sign_ins_last_eight_hours", "sign_ins", {"expires_at": NOW}),
    ("sign_ins_used_while_open", "sign_ins", {"used_at": "2026-11-22T09:10:01Z"}),
    ("sign_ins_used_while_open", "sign_ins", {"used_at": "2026-11-22T08:59:59Z"}),
    ("sign_ins_end_says_by_whom", "sign_ins", {"ended_at": NOW}),
    ("totp_resets_pkey", "totp_resets", {"id": "rst_a"}),
    ("totp_resets_person_fkey", "totp_resets", {"person_id": "per_z"}),
    ("totp_resets_requester_fkey", "totp_resets", {"requested_by": "per_z"}),
    ("totp_resets_approver_fkey", "totp_resets", {"approved_by": "per_z", "approved_at": NOW}),
    ("totp_resets_not_ones_own", "totp_resets", {"requested_by": "per_a"}),
    ("totp_resets_not_ones_own", "totp_resets", {"approved_by": "per_a", "approved_at": NOW}),
    ("totp_resets_not_approved_by_who_asked", "totp_resets", {"approved_by": "per_b", "approved_at": NOW}),
    ("totp_resets_approved_in_time", "totp_resets", {"approved_at": NOW}),
    ("totp_resets_approved_in_time", "totp_resets", {"approved_by": "per_d", "approved_at": "2026-11-23T09:00:00Z"}),
    ("totp_resets_reason_length", "totp_resets", {"reason": ""}),
    ("totp_resets_end_after_they_are_asked", "totp_resets", {"expires_at": NOW}),
    ("reveal_requests_pkey", "reveal_requests", {"id": "rvr_a"}),
    ("reveal_requests_person_fkey", "reveal_requests", {"person_id": "per_z"}),
    ("reveal_requests_decider_fkey", "reveal_requests", {"status": "approved", "decided_by": "z", "decided_at": NOW}),
    ("reveal_requests_status_is_known", "reveal_requests", DECIDED | {"status": "maybe"}),
    ("reveal_requests_four_eyes", "reveal_requests", DECIDED | {"status": "approved", "decided_by": "per_a"}),
    ("reveal_requests_decided_says_by_whom", "reveal_requests", {"status": "approved"}),
    ("reveal_requests_decided_says_by_whom", "reveal_requests", DECIDED),
    ("reveal_requests_used_says_when", "reveal_requests", DECIDED | {"status": "used"}),
    ("reveal_requests_in_time", "reveal_requests", DECIDED | {"status": "approved", "decided_at": LATER}),
    ("reveal_requests_in_time", "reveal_requests", DECIDED | {"status": "used", "used_at": LATER}),
    ("reveal_requests_end_within_the_hour", "reveal_requests", {"expires_at": "2026-11-22T10:00:01Z"}),
    ("reveal_requests_reason_is_known", "reveal_requests", {"reason": "curiosity"}),
    ("reveal_requests_ticket_form", "reveal_requests", {"ticket": ""}),
    ("reveal_requests_ticket_is_no_card", "reveal_requests", {"ticket": "2200111753579001"}),
    ("reveals_pkey", "reveals", {"id": "rvl_a"}),
    ("reveals_person_fkey", "reveals", {"person_id": "per_z"}),
    ("reveals_request_fkey", "reveals", {"request_id": "rvr_z"}),
    ("reveals_request_key", "reveals", {"request_id": "rvr_a"}),
    ("reveals_reason_is_known", "reveals", {"reason": "curiosity"}),
    ("reveals_ticket_form", "reveals", {"ticket": " x"}),
    ("reveals_ticket_is_no_card", "reveals", {"ticket": "2200111753579001"}),
    ("access_reviews_pkey", "access_reviews", {"id": "rvw_a"}),
    ("access_reviews_reviewer_fkey", "access_reviews", {"reviewed_by": "per_z"}),
    ("access_reviews_people_not_negative", "access_reviews", {"people": -1}),
    ("access_reviews_digest_is_sha256", "access_reviews", {"digest": b"short"}),
    ("access_reviews_note_length", "access_reviews", {"note": ""}),
]


def insert(connection: psycopg.Connection, table: str, row: dict[str, Any]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, row))
    values = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), columns, values)
    connection.execute(statement, list(row.values()))


def fill(connection: psycopg.Connection) -> None:
    for table in TABLES:
        insert(connection, table, ROWS[table])
        if table == "people":
            insert(connection, table, BORIS)
            insert(connection, table, BORIS | {"id": "per_d", "login": "dina"})


def test_each_constraint_says_no(vault_database: VaultDatabase) -> None:
    wrong = []
    with psycopg.connect(vault_database.superuser_url, autocommit=True) as connection:
        fill(connection)
        for name, table, change in VIOLATIONS:
            try:
                insert(connection, table, ROWS[table] | NEXT[table] | change)
            except psycopg.errors.IntegrityError as refused:
                if refused.diag.constraint_name != name:
                    wrong.append((name, refused.diag.constraint_name))
            else:
                wrong.append((name, "nothing"))

    assert wrong == []


def test_the_second_rows_are_good(vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        fill(connection)
        for table in TABLES:
            insert(connection, table, ROWS[table] | NEXT[table])


def test_every_constraint_is_in_the_table(vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        named = connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid::regclass::text = ANY (%s) AND contype <> 'n'",
            [list(TABLES)],
        ).fetchall()

    assert {name for (name,) in named} - {name for name, _, _ in VIOLATIONS} == set()


@pytest.mark.parametrize("table", TABLES)
def test_the_vault_removes_nothing_and_changes_no_history(vault_database: VaultDatabase, table: str) -> None:
    history = {"past_passwords", "role_changes", "reveals", "access_reviews"}
    with psycopg.connect(vault_database.vault_url, autocommit=True) as connection:
        granted = {
            right
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
            if connection.execute("SELECT has_table_privilege(%s, %s)", [table, right]).fetchone() == (True,)
        }
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))

    assert granted == ({"SELECT", "INSERT"} if table in history else {"SELECT", "INSERT", "UPDATE"})


def test_the_sequencer_sees_no_person(vault_database: VaultDatabase) -> None:
    with (
        psycopg.connect(vault_database.sequencer_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM people")
