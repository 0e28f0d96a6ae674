"""PostgreSQL holds every truth of the books by itself: each constraint, trigger and grant says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

TABLES = (
    "books",
    "commodities",
    "accounts",
    "postings",
    "refusals",
    "holds",
    "hold_events",
    "day_totals",
    "period_closes",
    "period_balances",
    "business_clock",
)
NOW = "2026-11-22T09:00:00Z"
ONE = "00000000-0000-7000-8000-000000000001"
TWO = "00000000-0000-7000-8000-000000000002"

ROWS: dict[str, dict[str, Any]] = {
    "books": {"number": 7, "name": "seven", "created_at": NOW},
    "commodities": {"code": "PTS:p", "scale": 0, "created_at": NOW},
    "accounts": {
        "book": 7, "number": 1, "opened_at": NOW, "normal_side": "debit", "commodity": "RUB", "code": "asset:a:a",
    },
    "postings": {
        "entry_id": ONE, "amount": 5, "debit_version": 1, "debit_balance": 5, "credit_version": 1, "credit_balance": 5,
        "happened_at": NOW, "recorded_at": NOW, "xid": "1", "book": 7, "debit": 1, "credit": 2, "number": 1,
        "commodity": "RUB", "body_hash": ONE, "reference": "r", "kind": "reversal", "metadata": '{"reverses": "x"}',
    },
    "refusals": {
        "book": 7, "reference": "no", "entry_id": ONE, "body_hash": ONE, "code": "ledger.overdrawn", "facts": "{}",
        "recorded_at": NOW,
    },
    "holds": {
        "book": 7, "id": ONE, "reference": "h", "body_hash": ONE, "kind": "k", "debit": 1, "credit": 2,
        "commodity": "RUB", "amount": 5, "happened_at": NOW, "recorded_at": NOW,
    },
    "hold_events": {
        "book": 7, "hold_id": ONE, "number": 1, "what": "placed", "amount": 5, "reference": "h", "body_hash": ONE,
        "happened_at": NOW, "recorded_at": NOW,
    },
    "day_totals": {"book": 7, "account": 1, "day_on": "2026-11-22", "debits": 5, "credits": 0, "postings": 1},
    "period_closes": {
        "book": 7, "closed_through_on": "2026-11-21", "closed_at": NOW, "closed_by": "me", "accounts": 1, "postings": 1,
        "proof": b"x" * 32,
    },
    "period_balances": {"book": 7, "closed_through_on": "2026-11-21", "account": 1, "debits": 5, "credits": 0},
    "business_clock": {},
}  # fmt: skip
"""One good row of each table; ``business_clock`` has its own from the start."""

OTHER = {"number": 2, "code": "asset:b:b"}
NEXT = {"entry_id": TWO, "debit_version": 2, "credit_version": 2, "reference": "r2", "metadata": None}
NOT_FIRST = dict.fromkeys(("happened_at", "recorded_at", "xid", "body_hash", "reference", "kind"))
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("books_pkey", "books", {"name": "other"}),
    ("books_name_key", "books", {"number": 8}),
    ("books_name_is_a_slug", "books", {"number": 8, "name": "Eight!"}),
    ("commodities_pkey", "commodities", {}),
    ("commodities_code_is_known", "commodities", {"code": "USD"}),
    ("commodities_scale_in_range", "commodities", {"code": "PTS:q", "scale": 7}),
    ("accounts_pkey", "accounts", {"code": "asset:b:b"}),
    ("accounts_code_key", "accounts", {"number": 2}),
    ("accounts_are_sound", "accounts", OTHER | {"code": "cash"}),
    ("accounts_are_sound", "accounts", OTHER | {"normal_side": "left"}),
    ("accounts_counters_not_negative", "accounts", OTHER | {"debits_posted": -1}),
    ("accounts_counters_not_negative", "accounts", OTHER | {"credits_posted": -1}),
    ("accounts_counters_not_negative", "accounts", OTHER | {"debits_held": -1}),
    ("accounts_counters_not_negative", "accounts", OTHER | {"credits_held": -1}),
    ("accounts_not_overdrawn", "accounts", OTHER | {"available_min": 0, "credits_posted": 1}),
    ("accounts_not_overdrawn", "accounts", OTHER | {"available_min": 0, "credits_held": 1}),
    ("accounts_not_overdrawn", "accounts", OTHER | {"available_min": 0, "debits_held": 1, "normal_side": "credit"}),
    ("accounts_under_ceiling", "accounts", OTHER | {"balance_max": 1, "debits_posted": 2}),
    ("accounts_under_ceiling", "accounts", OTHER | {"balance_max": 1, "debits_held": 2}),
    ("accounts_under_ceiling", "accounts", OTHER | {"balance_max": 1, "credits_held": 2, "normal_side": "credit"}),
    ("postings_pkey", "postings", NEXT | {"entry_id": ONE}),
    ("postings_are_sound", "postings", NEXT | {"amount": 0}),
    ("postings_are_sound", "postings", NEXT | {"credit": 1}),
    ("postings_are_sound", "postings", NEXT | NOT_FIRST | {"number": 65}),
    ("postings_are_sound", "postings", NEXT | {"debit_version": 0}),
    ("postings_are_sound", "postings", NEXT | {"credit_version": 0}),
    ("postings_are_sound", "postings", NEXT | {"number": 2}),
    ("postings_are_sound", "postings", NEXT | NOT_FIRST | {"number": 0}),
    ("postings_are_sound", "postings", NEXT | {"number": 0}),
    ("postings_are_sound", "postings", NEXT | NOT_FIRST | {"number": 2, "metadata": "{}"}),
    ("postings_are_sound", "postings", NEXT | NOT_FIRST | {"number": 1}),
    *(
        ("postings_are_sound", "postings", NEXT | NOT_FIRST | {"number": 2, name: ROWS["postings"][name]})
        for name in NOT_FIRST
    ),
    *(("postings_are_sound", "postings", NEXT | {name: None, "metadata": "{}"}) for name in NOT_FIRST),
    ("postings_reference_length", "postings", NEXT | {"reference": ""}),
    ("postings_reference_length", "postings", NEXT | {"reference": "r" * 129}),
    ("postings_kind_length", "postings", NEXT | {"kind": ""}),
    ("postings_kind_length", "postings", NEXT | {"kind": "k" * 65}),
    ("postings_debit_version", "postings", NEXT | {"debit_version": 1}),
    ("postings_credit_version", "postings", NEXT | {"credit_version": 1}),
    ("postings_reference", "postings", NEXT | {"reference": "r"}),
    ("postings_reverses", "postings", NEXT | {"metadata": '{"reverses": "x"}'}),
    ("refusals_pkey", "refusals", {}),
    ("holds_pkey", "holds", {"reference": "h2"}),
    ("holds_reference_key", "holds", {"id": TWO}),
    ("holds_amount_positive", "holds", {"id": TWO, "reference": "h2", "amount": 0, "state": "posted"}),
    ("holds_two_accounts", "holds", {"id": TWO, "reference": "h2", "credit": 1}),
    ("holds_state_is_known", "holds", {"id": TWO, "reference": "h2", "state": "lost", "amount_posted": 5}),
    ("holds_parts_within_amount", "holds", {"id": TWO, "reference": "h2", "amount_posted": 6, "state": "posted"}),
    ("holds_parts_within_amount", "holds", {"id": TWO, "reference": "h2", "amount_released": -1}),
    ("holds_closed_when_spent", "holds", {"id": TWO, "reference": "h2", "amount_posted": 5}),
    ("holds_closed_when_spent", "holds", {"id": TWO, "reference": "h2", "state": "released"}),
    ("hold_events_pkey", "hold_events", {"reference": "h2"}),
    ("hold_events_reference_key", "hold_events", {"number": 2}),
    ("hold_events_what_is_known", "hold_events", {"number": 2, "reference": "h2", "what": "lost"}),
    ("hold_events_amount_positive", "hold_events", {"number": 2, "reference": "h2", "amount": 0}),
    ("hold_events_entry_when_posted", "hold_events", {"number": 2, "reference": "h2", "what": "posted"}),
    ("hold_events_entry_when_posted", "hold_events", {"number": 2, "reference": "h2", "entry_id": ONE}),
    ("day_totals_pkey", "day_totals", {}),
    ("day_totals_not_negative", "day_totals", {"account": 2, "debits": -1}),
    ("day_totals_not_negative", "day_totals", {"account": 2, "postings": 0}),
    ("period_closes_pkey", "period_closes", {}),
    ("period_closes_proof_is_sha256", "period_closes", {"closed_through_on": "2026-11-22", "proof": b"x"}),
    ("period_balances_pkey", "period_balances", {}),
    ("business_clock_pkey", "business_clock", {}),
    ("business_clock_has_one_row", "business_clock", {"id": False}),
]
APPEND_ONLY = ("postings", "refusals", "hold_events", "period_closes", "period_balances")
STAY = ("accounts", "holds", "books")
OWN_RULE = {"accounts_are_sound"}
"""Triggers that are violated above, like a CHECK."""
LIMITS = {"accounts_not_overdrawn", "accounts_under_ceiling"}
"""What the trigger ``accounts_within_limits`` says."""
FIXED = ("book", "number", "code", "commodity", "normal_side", "opened_at")
"""What an account is, said once."""


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    if not row:
        connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table)))
        return
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to books with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            if row:
                insert(connection, table, row)
        connection.commit()
        yield connection


@pytest.fixture
def as_application(filled: psycopg.Connection[Any], database: Any) -> Iterator[psycopg.Connection[Any]]:
    """The application's connection to the same books."""
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        with pytest.raises(psycopg.IntegrityError) as refusal, filled.transaction():
            insert(filled, table, ROWS[table] | change)

        assert refusal.value.diag.constraint_name == name


def test_a_counter_below_zero_is_refused_to_an_update_too(filled: psycopg.Connection[Any]) -> None:
    for counter in ("debits_posted", "credits_posted", "debits_held", "credits_held"):
        with pytest.raises(psycopg.errors.CheckViolation) as refusal, filled.transaction():
            filled.execute(f"UPDATE accounts SET {counter} = {counter} - 1")

        assert refusal.value.diag.constraint_name == "accounts_counters_not_negative"


def test_no_constraint_of_the_books_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT conname FROM pg_constraint JOIN pg_attribute ON atttypid = contypid
             WHERE attrelid = ANY (%(tables)s::regclass[])
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(TABLES)},
    )

    guards = {f"{table}_append_only" for table in APPEND_ONLY} | {f"{table}_stay" for table in STAY}
    guards |= {"accounts_stay_what_they_are", "accounts_within_limits"}
    assert {row[0] for row in rows} == ({name for name, _, _ in VIOLATIONS} - LIMITS) | guards


def test_not_even_a_superuser_rewrites(filled: psycopg.Connection[Any]) -> None:
    rewrites = [f"UPDATE {table} SET book = book" for table in APPEND_ONLY]
    erasures = [f"{verb} {table}" for table in APPEND_ONLY + STAY for verb in ("DELETE FROM", "TRUNCATE")]

    changes = [f"UPDATE accounts SET {column} = {column}" for column in FIXED]

    for statement in rewrites + erasures + changes:
        with pytest.raises(psycopg.errors.RestrictViolation, match="post a reversal"), filled.transaction():
            filled.execute(statement)


def test_the_guards_do_not_sleep_during_replication(filled: psycopg.Connection[Any]) -> None:
    filled.execute("SET session_replication_role = replica")

    with pytest.raises(psycopg.errors.RestrictViolation, match="post a reversal"):
        filled.execute("DELETE FROM postings")


def test_the_application_writes_no_table_of_the_books(as_application: psycopg.Connection[Any]) -> None:
    for table in set(TABLES) - {"business_clock"}:
        column = next(iter(ROWS[table]))
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_application.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            insert(as_application, table, ROWS[table])


def test_the_application_changes_no_rule(as_application: psycopg.Connection[Any]) -> None:
    for statement in (
        "ALTER TABLE postings DISABLE TRIGGER ALL",
        "DROP TABLE postings",
        "CREATE TABLE forged (x int)",
        "SET ROLE kopeyka_owner",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION moscow_day(p_at timestamptz) RETURNS date LANGUAGE sql AS 'SELECT current_date'",
        "CREATE FUNCTION book_all() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_application.execute(statement)


def test_the_application_may_call_only_what_it_was_given(as_application: psycopg.Connection[Any]) -> None:
    rows = as_application.execute(
        """SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
              AND proname IN ('refuse', 'refuse_account', 'refuse_beyond_limits', 'book_all', 'book_in_turn',
                              'book_chain', 'book_range', 'move_held', 'open_hold', 'add_hold_event',
                              'account_for_hold', 'books_are_append_only')
              AND has_function_privilege(oid, 'EXECUTE')"""
    )

    assert rows.fetchall() == []


def test_a_function_that_writes_runs_as_the_owner_and_looks_nowhere_else(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
              AND NOT coalesce('search_path=pg_catalog, public' = ANY (proconfig), false)"""
    )

    assert rows.fetchall() == []
