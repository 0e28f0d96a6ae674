"""PostgreSQL holds every truth of movements, installments, books and nights by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, ROWS, insert, refused_by, shown
from tests.api.test_refund_constraints import refusal_of

PLAN, OTHER = shown("pln"), shown("pln", 2)
DAY = "2026-11-22"
PLAN_ROW = {
    "id": PLAN, "merchant_id": MERCHANT, "order_number": "A-1", "product_code": "dolyame", "product_version": 1,
    "price_kopecks": 400_00, "status": "canceled", "link_code": "link-1", "created_at": NOW,
}  # fmt: skip
MOVED = {"happened_at": NOW, "recorded_at": NOW}
PAID = {
    "id": shown("mov"), "plan_id": PLAN, "kind": "installment_payment", "amount_kopecks": 1, "reference": "one",
} | MOVED  # fmt: skip
UNDONE = PAID | {
    "id": shown("mov", 2), "kind": "undo", "amount_kopecks": 0, "reference": "two", "undoes": shown("mov"),
}  # fmt: skip
NEXT = {"id": shown("mov", 3), "reference": "three"}
GOOD: dict[str, dict[str, Any]] = {
    "installments": {"plan_id": PLAN, "number": 1, "due_on": DAY, "amount_kopecks": 100, "paid_kopecks": 10},
    "plan_movements": PAID,
    "plan_books": {"plan_id": PLAN},
    "plan_nights": {"night_on": DAY, "step": "arrears", "began_at": NOW},
    "plan_setbacks": {"step": "arrears", "plan_id": PLAN, "code": "CheckViolation", "first_at": NOW, "last_at": NOW},
    "plan_loss_rates": {
        "effective_on": DAY, "bucket": "due", "basis_points": 1, "grade": "observed", "source": "roll rates",
    },
}  # fmt: skip
SECOND, BOOKS_2, NIGHT_2, RATE_2 = {"number": 2}, {"plan_id": OTHER}, {"step": "fees"}, {"bucket": "not_due"}

VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("installments_pkey", {}),
    ("installments_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("installments_number_in_range", {"number": 0}),
    ("installments_number_in_range", {"number": 61}),
    ("installments_amount_not_negative", SECOND | {"amount_kopecks": -1}),
    ("installments_paid_within_amount", SECOND | {"paid_kopecks": 101}),
    ("installments_paid_within_amount", SECOND | {"paid_kopecks": -1}),
    ("installments_bucket_is_known", SECOND | {"bucket": "late"}),
    ("plan_movements_pkey", NEXT | {"id": PAID["id"]}),
    ("plan_movements_plan_fkey", NEXT | {"plan_id": shown("pln", 9)}),
    ("plan_movements_undoes_fkey", NEXT | {"kind": "chargeback", "undoes": shown("mov", 9)}),
    ("plan_movements_reference_key", NEXT | {"reference": "one"}),
    ("plan_movements_id_is_shown", NEXT | {"id": "mov_1"}),
    ("plan_movements_kind_is_known", NEXT | {"kind": "gift"}),
    ("plan_movements_amount_fits_kind", NEXT | {"amount_kopecks": 0}),
    ("plan_movements_amount_fits_kind", NEXT | {"amount_kopecks": 100_000_001}),
    ("plan_movements_amount_fits_kind", NEXT | {"kind": "re_age"}),
    ("plan_movements_undo_names_what", NEXT | {"kind": "chargeback"}),
    ("plan_movements_step_is_known", NEXT | {"step": "days"}),
    ("plan_movements_step_is_known", NEXT | {"every": 14}),
    ("plan_movements_step_is_known", NEXT | {"step": "weeks", "every": 1}),
    ("plan_movements_step_is_known", NEXT | {"step": "days", "every": 93}),
    ("plan_movements_policy_is_known", NEXT | {"policy": "none"}),
    ("plan_movements_reference_length", NEXT | {"reference": ""}),
    ("plan_movements_reference_length", NEXT | {"reference": "r" * 101}),
    ("plan_movements_undone_once", UNDONE | NEXT),
    ("plan_books_pkey", {}),
    ("plan_books_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_books_held_not_negative", BOOKS_2 | {"held_kopecks": -1}),
    ("plan_books_reserved_not_negative", BOOKS_2 | {"reserved_kopecks": -1}),
    ("plan_books_recognised_not_negative", BOOKS_2 | {"fee_recognised_kopecks": -1}),
    ("plan_books_waived_within_accrued", BOOKS_2 | {"penalty_waived_kopecks": 1}),
    ("plan_books_waived_within_accrued", BOOKS_2 | {"penalty_waived_kopecks": -1}),
    ("plan_books_written_off_not_negative", BOOKS_2 | {"written_off_kopecks": -1}),
    ("plan_books_recovered_not_negative", BOOKS_2 | {"recovered_kopecks": -1}),
    ("plan_nights_pkey", {}),
    ("plan_nights_step_is_known", {"step": "tea"}),
    ("plan_nights_counts_not_negative", NIGHT_2 | {"batches": -1}),
    ("plan_nights_counts_not_negative", NIGHT_2 | {"plans": -1}),
    ("plan_setbacks_pkey", {}),
    ("plan_setbacks_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_setbacks_step_is_known", {"step": "tea"}),
    ("plan_setbacks_code_length", {"step": "fees", "code": ""}),
    ("plan_setbacks_code_length", {"step": "fees", "code": "c" * 101}),
    ("plan_setbacks_tries_positive", {"step": "fees", "tries": 0}),
    ("plan_loss_rates_pkey", {}),
    ("plan_loss_rates_bucket_is_known", {"bucket": "late"}),
    ("plan_loss_rates_in_range", RATE_2 | {"basis_points": -1}),
    ("plan_loss_rates_in_range", RATE_2 | {"basis_points": 10_001}),
    ("plan_loss_rates_grade_is_known", RATE_2 | {"grade": "guessed"}),
    ("plan_loss_rates_source_given", RATE_2 | {"source": ""}),
]


def table_of(name: str) -> str:
    return max((table for table in GOOD if name.startswith(table)), key=len)


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table, and an undone movement."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        insert(connection, "installment_plans", PLAN_ROW)
        insert(connection, "installment_plans", PLAN_ROW | {"id": OTHER, "order_number": "A-2", "link_code": "link-2"})
        for table, row in GOOD.items():
            insert(connection, table, row)
        insert(connection, "plan_movements", UNDONE)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_the_books_of_plans_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    found = [(name, refused_by(filled, table_of(name), GOOD[table_of(name)] | change)) for name, change in VIOLATIONS]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_the_books_of_plans_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint
            WHERE conrelid = ANY(CAST(%(tables)s AS regclass[])) AND contype <> 'n'
            UNION SELECT i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
            WHERE x.indrelid = ANY(CAST(%(tables)s AS regclass[])) AND x.indisunique""",
        {"tables": list(GOOD)},
    )
    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS}


@pytest.mark.parametrize("change", ["UPDATE plan_movements SET amount_kopecks = 2", "DELETE FROM plan_movements"])
def test_a_movement_is_never_changed(filled: psycopg.Connection[Any], change: str) -> None:
    assert refusal_of(filled, change) == "plan_movements_append_only"


@pytest.mark.parametrize("table", GOOD)
def test_the_application_deletes_nothing_of_the_books_of_plans(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}".encode())


@pytest.mark.parametrize("change", ["plan_movements SET kind = 'waiver'", "plan_loss_rates SET basis_points = 1"])
def test_the_application_rewrites_no_facts_of_plans(database: Any, change: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"UPDATE {change}".encode())
