"""PostgreSQL holds every truth of registers by itself: each constraint, trigger and grant of 0008 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

NOW = "2026-11-22T09:00:00Z"
REGISTER = f"reg_{1:026}"
MERCHANT = f"mer_{1:026}"

ROWS: dict[str, dict[str, Any]] = {
    "registers": {
        "id": REGISTER, "number": 1, "profile": "tbank", "day_on": "2026-11-22", "sha256": b"1" * 32, "lines": 2,
        "known_by": ["trx_id"], "payments_kopecks": 100, "refunds_kopecks": 0, "payouts_kopecks": 0,
        "fees_kopecks": 1, "footer": "none", "status": "taken", "taken_at": NOW,
    },
    "register_lines": {
        "register_number": 1, "number": 1, "kind": "payment", "rail": "sbp", "amount_kopecks": 100,
        "happened_at": NOW,
    },
    "register_checks": {"register_number": 1, "number": 1, "checked_at": NOW},
    "register_check_totals": {
        "register_number": 1, "check_number": 1, "verdict": "matched", "lines": 1, "line_kopecks": 100,
        "line_fee_kopecks": 1, "operations": 1, "operation_kopecks": 100, "operation_fee_kopecks": 1,
    },
    "register_book_totals": {
        "register_number": 1, "check_number": 1, "kind": "payment", "line_kopecks": 100, "operation_kopecks": 100,
        "book_kopecks": 100, "operations": 1, "differing": 0,
    },
    "register_differences": {
        "register_number": 1, "check_number": 1, "verdict": "amount_differs", "kind": "payment", "line_number": 1,
        "operation_id": "pay_1", "line_kopecks": 100, "operation_kopecks": 200,
    },
}  # fmt: skip
"""One good row of each table, in the order of their dependence."""

REGISTER_2 = {"id": f"reg_{2:026}", "number": 2, "sha256": b"2" * 32}
PRINTED = {"footer": "agrees", "footer_amount_kopecks": 100}
LINE_2 = {"number": 2}
ONLY_OURS = {"verdict": "only_with_us", "line_number": None, "line_kopecks": None}
NOT_BOOKED = ONLY_OURS | {"verdict": "differs_from_books"}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("registers_pkey", "registers", REGISTER_2 | {"id": REGISTER}),
    ("registers_number_key", "registers", REGISTER_2 | {"number": 1}),
    ("registers_content_key", "registers", REGISTER_2 | {"sha256": b"1" * 32}),
    ("registers_merchant_id_fkey", "registers", REGISTER_2 | {"merchant_id": MERCHANT}),
    ("registers_id_is_shown", "registers", REGISTER_2 | {"id": "reg_1"}),
    ("registers_profile_is_a_name", "registers", REGISTER_2 | {"profile": "T-Bank"}),
    ("registers_member_is_digits", "registers", REGISTER_2 | {"member_id": "7"}),
    ("registers_sha256_length", "registers", REGISTER_2 | {"sha256": b"1"}),
    ("registers_totals_not_negative", "registers", REGISTER_2 | {"payments_kopecks": -1}),
    ("registers_known_by_is_known", "registers", REGISTER_2 | {"known_by": ["name"]}),
    ("registers_footer_is_known", "registers", REGISTER_2 | {"footer": "trusted"}),
    ("registers_footer_when_printed", "registers", REGISTER_2 | {"footer": "agrees"}),
    ("registers_footer_when_printed", "registers", REGISTER_2 | PRINTED | {"footer": "missing"}),
    ("registers_status_is_known", "registers", REGISTER_2 | {"status": "lost"}),
    ("registers_absent_has_no_lines", "registers", REGISTER_2 | {"sha256": None}),
    ("register_lines_pkey", "register_lines", {}),
    ("register_lines_kind_is_known", "register_lines", LINE_2 | {"kind": "gift"}),
    ("register_lines_rail_is_known", "register_lines", LINE_2 | {"rail": "card"}),
    ("register_lines_amount_positive", "register_lines", LINE_2 | {"amount_kopecks": 0}),
    ("register_lines_fee_not_negative", "register_lines", LINE_2 | {"fee_kopecks": -1}),
    ("register_checks_pkey", "register_checks", {}),
    ("register_checks_register_number_fkey", "register_checks", {"register_number": 9}),
    ("register_checks_number_positive", "register_checks", {"number": 0}),
    ("register_check_totals_pkey", "register_check_totals", {}),
    ("register_check_totals_check_fkey", "register_check_totals", {"check_number": 9}),
    ("register_check_totals_verdict_is_known", "register_check_totals", {"verdict": "fine"}),
    ("register_check_totals_not_negative", "register_check_totals", {"verdict": "duplicate", "lines": -1}),
    ("register_check_totals_pairs_match", "register_check_totals", {"check_number": 2, "lines": 2}),
    ("register_check_totals_pairs_match", "register_check_totals", {"check_number": 2, "line_kopecks": 99}),
    ("register_book_totals_pkey", "register_book_totals", {}),
    ("register_book_totals_check_fkey", "register_book_totals", {"check_number": 9}),
    ("register_book_totals_kind_is_known", "register_book_totals", {"kind": "payout"}),
    ("register_book_totals_not_negative", "register_book_totals", {"kind": "refund", "line_kopecks": -1}),
    ("register_book_totals_not_negative", "register_book_totals", {"kind": "refund", "differing": 2}),
    ("register_book_totals_agree", "register_book_totals", {"kind": "refund", "book_kopecks": 99}),
    ("register_differences_pkey", "register_differences", {"place": 1}),
    ("register_differences_check_fkey", "register_differences", {"check_number": 9}),
    ("register_differences_verdict_is_known", "register_differences", {"verdict": "matched"}),
    ("register_differences_sides", "register_differences", {"verdict": "only_with_us"}),
    ("register_differences_sides", "register_differences", {"verdict": "duplicate"}),
    ("register_differences_sides", "register_differences", {"operation_id": None, "operation_kopecks": None}),
    ("register_differences_other_day_of_pairs", "register_differences", {"verdict": "matched_other_day"}),
    ("register_differences_other_day_of_pairs", "register_differences", ONLY_OURS | {"is_other_day": True}),
    ("register_differences_books_of_verdict", "register_differences", {"book_kopecks": 1}),
    ("register_differences_books_of_verdict", "register_differences", NOT_BOOKED | {"book_kopecks": 200}),
    ("register_differences_sides", "register_differences", {"verdict": "differs_from_books"}),
    ("register_differences_amounts_of_sides", "register_differences", {"line_kopecks": None}),
]  # fmt: skip


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        yield connection


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    values = sql.SQL(", ").join(sql.Placeholder() * len(row))
    statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})")
    connection.execute(statement.format(sql.Identifier(table), names, values), list(row.values()))


def test_each_truth_is_held_by_the_database(connection: psycopg.Connection[Any]) -> None:
    wrong = []
    for constraint, table, change in VIOLATIONS:
        try:
            insert(connection, table, ROWS[table] | change)
            wrong.append((constraint, "was let in"))
        except psycopg.IntegrityError as error:
            if error.diag.constraint_name != constraint:
                wrong.append((constraint, f"was {error.diag.constraint_name}"))

    assert wrong == []


def test_every_constraint_is_violated_here(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute(
        """SELECT conname FROM pg_constraint WHERE contype <> 'n' AND conrelid::regclass::text LIKE 'register%%'
           UNION SELECT indexrelid::regclass::text FROM pg_index
            WHERE indisunique AND indrelid::regclass::text LIKE 'register%%'""",
        (),
    ).fetchall()

    assert {name for (name,) in found} == {constraint for constraint, _, _ in VIOLATIONS}


def test_files_without_lines_look_alike_and_are_many_registers(connection: psycopg.Connection[Any]) -> None:
    for number in (3, 4):
        row = {"id": f"reg_{number:026}", "number": number, "lines": 0, "sha256": b"0" * 32}
        insert(connection, "registers", ROWS["registers"] | row)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE register_lines SET amount_kopecks = 1",
        "DELETE FROM register_lines",
        "TRUNCATE register_lines",
    ],
)
def test_lines_are_never_changed_even_by_the_owner(connection: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.Error, match=r"append|only"):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM registers",
        "DELETE FROM register_differences",
        "UPDATE register_checks SET checked_at = now()",
        "UPDATE register_check_totals SET lines = 0",
        "UPDATE register_lines SET amount_kopecks = 1",
    ],
)
def test_the_application_may_not_undo(connection: psycopg.Connection[Any], database: Any, statement: str) -> None:
    with psycopg.connect(database.app_url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute(statement.encode())
