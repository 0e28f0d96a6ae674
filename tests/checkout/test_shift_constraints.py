"""PostgreSQL holds the truths of shifts by itself: each constraint and trigger says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, ORDER, STORE, TERMINAL, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as RAIL
from tests.checkout.test_premises_constraints import ROWS as PREMISES
from tests.conftest import Database

BEFORE = {name: RAIL[name] for name in ("merchants", "stores", "terminals", "orders")} | {
    "cashiers": PREMISES["cashiers"]
}
SHIFT, CASHIER, CLOSED = shown("shf"), PREMISES["cashiers"]["id"], shown("shf", 5)
ROWS: dict[str, dict[str, Any]] = {
    "shifts": {
        "id": SHIFT, "terminal_id": TERMINAL, "store_id": STORE, "merchant_id": MERCHANT, "number": 2,
        "opened_by": CASHIER, "opened_at": NOW,
    },
    "shift_turns": {
        "shift_id": SHIFT, "number": 1, "merchant_id": MERCHANT, "cashier_id": CASHIER, "began_at": NOW,
    },
    "shift_operations": {
        "id": ORDER, "kind": "sale", "terminal_id": TERMINAL, "shift_id": SHIFT, "order_id": ORDER, "rail": "sbp",
        "amount_kopecks": 100, "happened_at": NOW,
    },
    "shift_differences": {
        "shift_id": SHIFT, "rail": "sbp", "kind": "sale", "operations": 1, "kopecks": 100, "told": 0,
        "told_kopecks": 0,
    },
}  # fmt: skip
"""One good row of each table; the shift before is closed."""
ENDED = {"closed_by": CASHIER, "closed_at": NOW}
FIRST = ROWS["shifts"] | ENDED | {"id": CLOSED, "number": 1}
SHIFT_3, EARLIER, NOBODY = {"id": shown("shf", 3), "number": 3} | ENDED, "2026-11-22T08:59:59Z", shown("csr", 9)
TURN_2, REFUND = {"number": 2, "ended_at": NOW}, {"id": shown("ref"), "kind": "refund"}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("shifts_pkey", "shifts", SHIFT_3 | {"id": SHIFT}),
    ("shifts_terminal_fkey", "shifts", SHIFT_3 | {"terminal_id": shown("ter", 9), "number": 1}),
    ("shifts_opened_by_fkey", "shifts", SHIFT_3 | {"opened_by": NOBODY}),
    ("shifts_closed_by_fkey", "shifts", SHIFT_3 | {"closed_by": NOBODY}),
    ("shifts_one_open", "shifts", SHIFT_3 | {"closed_by": None, "closed_at": None}),
    ("shifts_id_is_shown", "shifts", SHIFT_3 | {"id": "shf_1"}),
    ("shifts_closed_whole", "shifts", SHIFT_3 | {"closed_by": None}),
    ("shifts_closed_later", "shifts", SHIFT_3 | {"closed_at": EARLIER}),
    ("shifts_reason_length", "shifts", SHIFT_3 | {"difference_reason": ""}),
    ("shifts_reason_when_closed", "shifts", SHIFT_3 | {"closed_by": None, "closed_at": None, "difference_reason": "r"}),
    ("shifts_numbers_are_dense", "shifts", SHIFT_3 | {"number": 4}),
    ("shifts_numbers_are_dense", "shifts", SHIFT_3 | {"number": 2}),
    ("shift_turns_pkey", "shift_turns", {"ended_at": NOW}),
    ("shift_turns_shift_fkey", "shift_turns", {"shift_id": shown("shf", 9)}),
    ("shift_turns_cashier_fkey", "shift_turns", TURN_2 | {"cashier_id": NOBODY}),
    ("shift_turns_number_positive", "shift_turns", TURN_2 | {"number": 0}),
    ("shift_turns_end_later", "shift_turns", TURN_2 | {"ended_at": EARLIER}),
    ("shift_turns_one_at_a_time", "shift_turns", {"number": 2}),
    ("shift_operations_pkey", "shift_operations", {}),
    ("shift_operations_terminal_fkey", "shift_operations", REFUND | {"terminal_id": shown("ter", 9)}),
    ("shift_operations_shift_fkey", "shift_operations", REFUND | {"shift_id": shown("shf", 9)}),
    ("shift_operations_cashier_fkey", "shift_operations", REFUND | {"cashier_id": NOBODY}),
    ("shift_operations_order_fkey", "shift_operations", REFUND | {"order_id": shown("ord", 9)}),
    ("shift_operations_kind_is_known", "shift_operations", REFUND | {"kind": "gift"}),
    ("shift_operations_sale_is_its_order", "shift_operations", REFUND | {"kind": "sale"}),
    ("shift_operations_rail_form", "shift_operations", REFUND | {"rail": "SBP"}),
    ("shift_operations_amount_positive", "shift_operations", REFUND | {"amount_kopecks": 0}),
    ("shift_operations_of_open_shifts", "shift_operations", REFUND | {"shift_id": CLOSED}),
    ("shift_differences_pkey", "shift_differences", {}),
    ("shift_differences_shift_fkey", "shift_differences", {"shift_id": shown("shf", 9)}),
    ("shift_differences_kind_is_known", "shift_differences", {"kind": "gift"}),
    ("shift_differences_not_negative", "shift_differences", {"rail": "card", "told": -1}),
    ("shift_differences_differ", "shift_differences", {"rail": "card", "told": 1, "told_kopecks": 100}),
]
BY_A_TRIGGER_FIRST = {"shifts_number_key", "shifts_number_positive"}
"""Numbers follow one another, so these never have anything to say; they stand for whoever drops the trigger."""
FINAL = {"shifts_closed_once", "shifts_stay", "shift_operations_move_once", "shift_operations_stay"}


@pytest.fixture
def filled(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table, and a closed shift before."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in BEFORE.items():
            insert(connection, table, row)
        insert(connection, "shifts", FIRST)
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        assert refused_by(filled, table, ROWS[table] | change) == name


def test_numbers_hold_without_their_trigger(filled: psycopg.Connection[Any]) -> None:
    filled.execute("ALTER TABLE shifts DISABLE TRIGGER shifts_numbers_are_dense")

    assert refused_by(filled, "shifts", ROWS["shifts"] | SHIFT_3 | {"number": 2}) == "shifts_number_key"
    assert refused_by(filled, "shifts", ROWS["shifts"] | SHIFT_3 | {"number": 0}) == "shifts_number_positive"


def test_no_constraint_of_shifts_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, *_ in VIOLATIONS} | BY_A_TRIGGER_FIRST | FINAL


@pytest.mark.parametrize(
    ("guard", "statement"),
    [
        ("shifts_closed_once", "UPDATE shifts SET difference_reason = 'r' WHERE number = 1"),
        ("shifts_stay", "DELETE FROM shifts WHERE number = 1"),
        ("shift_operations_move_once", "UPDATE shift_operations SET shift_id = NULL"),
        ("shift_operations_stay", "DELETE FROM shift_operations"),
    ],
)
def test_what_a_z_report_says_is_never_rewritten(filled: psycopg.Connection[Any], guard: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation) as refusal, filled.transaction():
        filled.execute(statement)
    assert refusal.value.diag.constraint_name == guard


def test_the_application_deletes_nothing_of_shifts(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in ROWS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")
