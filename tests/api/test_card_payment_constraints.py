"""PostgreSQL holds every truth of payments by card by itself: each constraint and grant of 0012 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import ATTEMPT, MERCHANT, NOW, ONE, ROWS, TWO, insert, refused_by, shown
from tests.api.test_refund_constraints import refusal_of

TOKEN = "tok_0000000000000000000000001"
PAYMENT, REFUND = shown("cpy"), shown("ref")
CAPTURED = {
    "status": "captured", "captured_kopecks": 100, "captured_at": NOW, "acquirer_id": "1", "next_look_at": None,
}  # fmt: skip
ROW = {
    "id": PAYMENT, "merchant_id": MERCHANT, "attempt_id": ATTEMPT, "card_token": TOKEN, "amount_kopecks": 100,
    "is_captured_at_once": True, "initiator": "buyer", "is_credential_kept": True, "created_at": NOW, "entry_id": ONE,
    "refund_kopecks": 60,
} | CAPTURED  # fmt: skip
NEW = {
    "id": shown("cpy", 2), "merchant_id": MERCHANT, "card_token": TOKEN, "amount_kopecks": 100,
    "is_captured_at_once": True, "initiator": "buyer", "is_credential_kept": False, "created_at": NOW,
    "next_look_at": NOW,
}  # fmt: skip
BACK = {
    "id": REFUND, "payment_id": PAYMENT, "merchant_id": MERCHANT, "amount_kopecks": 60, "hold_id": ONE,
    "fee_hold_id": ONE, "entry_id": ONE, "status": "succeeded", "created_at": NOW, "ended_at": NOW,
}  # fmt: skip
NEW_BACK = {
    "id": shown("ref", 2), "payment_id": PAYMENT, "merchant_id": MERCHANT, "amount_kopecks": 40, "hold_id": TWO,
    "created_at": NOW, "next_look_at": NOW,
}  # fmt: skip
OF_PAYMENTS: list[tuple[str, dict[str, Any]]] = [
    ("pkey", {"id": PAYMENT}),
    ("merchant_fkey", {"merchant_id": shown("mer", 9)}),
    ("attempt_fkey", {"attempt_id": shown("att", 9)}),
    ("first_fkey", {"initiator": "merchant", "first_payment_id": shown("cpy", 9)}),
    ("attempt_key", {"attempt_id": ATTEMPT}),
    ("entry_key", CAPTURED | {"entry_id": ONE}),
    ("id_is_shown", {"id": "cpy_1"}),
    ("token_form", {"card_token": "2200000000000004"}),
    ("token_form", {"card_token": "2200 0000-0000 0004"}),
    ("token_form", {"card_token": "tok"}),
    ("mask_hides", {"card_mask": "2200000000000004"}),
    ("amount_in_range", {"amount_kopecks": 0}),
    ("amount_in_range", {"amount_kopecks": 100_000_001}),
    ("capture_within_amount", {"capture_kopecks": 101}),
    ("captured_within_amount", CAPTURED | {"entry_id": TWO, "captured_kopecks": 101}),
    ("refunds_within_captured", CAPTURED | {"entry_id": TWO, "refund_kopecks": 101}),
    ("fee_within_captured", CAPTURED | {"entry_id": TWO, "fee_kopecks": 101}),
    ("initiator_is_known", {"initiator": "bank"}),
    ("merchant_names_first", {"initiator": "merchant"}),
    ("merchant_names_first", {"first_payment_id": PAYMENT}),
    ("consent_is_the_buyers", {"initiator": "merchant", "first_payment_id": PAYMENT, "is_credential_kept": True}),
    ("status_is_known", {"status": "lost", "next_look_at": None, "acquirer_id": "1"}),
    ("booked_when_captured", CAPTURED),
    ("booked_when_captured", {"entry_id": TWO}),
    ("booked_when_captured", CAPTURED | {"entry_id": TWO, "captured_at": None}),
    ("ended_when_over", {"status": "refused", "next_look_at": None}),
    ("ended_when_over", {"ended_at": NOW}),
    ("capture_named", {"status": "capturing", "acquirer_id": "1"}),
    ("acquirer_named", {"status": "voiding"}),
    ("watched_while_unsure", {"next_look_at": None}),
    ("watched_while_unsure", {"status": "authorised", "acquirer_id": "1"}),
    ("looks_not_negative", {"looks": -1}),
    ("version_positive", {"version": 0}),
]
OF_TWO_ROWS = {"card_refunds_agree", "card_payments_refunds_agree"}
"""Violated in a test of their own below."""
OF_REFUNDS: list[tuple[str, dict[str, Any]]] = [
    ("pkey", {"id": REFUND}),
    ("payment_fkey", {"payment_id": shown("cpy", 9)}),
    ("merchant_fkey", {"merchant_id": shown("mer", 9)}),
    ("hold_key", {"hold_id": ONE}),
    ("fee_hold_key", {"fee_hold_id": ONE}),
    ("entry_key", {"status": "succeeded", "entry_id": ONE, "ended_at": NOW, "next_look_at": None}),
    ("id_is_shown", {"id": "ref_1"}),
    ("amount_positive", {"amount_kopecks": 0}),
    ("fee_within_amount", {"fee_billed_kopecks": 41}),
    ("reason_length", {"reason": ""}),
    ("status_is_known", {"status": "lost", "next_look_at": None}),
    ("set_aside", {"hold_id": None}),
    ("booked_when_succeeded", {"status": "succeeded", "ended_at": NOW, "next_look_at": None}),
    ("booked_when_succeeded", {"entry_id": TWO}),
    ("ended_when_over", {"status": "refused", "next_look_at": None}),
    ("watched_while_open", {"next_look_at": None}),
    ("looks_not_negative", {"looks": -1}),
]


@pytest.fixture
def paid(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one payment by card and one refund of it."""
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("merchants", "stores", "terminals", "orders", "attempts"):
            insert(connection, table, ROWS[table] | ({"rail": "card"} if table == "attempts" else {}))
        insert(connection, "card_payments", ROW)
        insert(connection, "card_refunds", BACK)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_card_payments_refuses_what_it_must(paid: psycopg.Connection[Any]) -> None:
    found = [(f"card_payments_{name}", refused_by(paid, "card_payments", NEW | change)) for name, change in OF_PAYMENTS]
    found += [
        (f"card_refunds_{name}", refused_by(paid, "card_refunds", NEW_BACK | change)) for name, change in OF_REFUNDS
    ]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_card_payments_goes_untested(paid: psycopg.Connection[Any]) -> None:
    rows = paid.execute(
        """SELECT conname FROM pg_constraint
            WHERE conrelid IN ('card_payments'::regclass, 'card_refunds'::regclass) AND contype <> 'n'"""
    )
    tested = {f"card_payments_{name}" for name, _ in OF_PAYMENTS} | {f"card_refunds_{name}" for name, _ in OF_REFUNDS}
    assert {row[0] for row in rows} == tested | OF_TWO_ROWS


def test_the_counter_of_a_card_payment_is_the_sum_of_its_refunds(paid: psycopg.Connection[Any]) -> None:
    assert refusal_of(paid, "UPDATE card_payments SET refund_kopecks = 59") == "card_refunds_agree"
    insert(paid, "card_refunds", NEW_BACK)
    with pytest.raises(psycopg.IntegrityError) as refusal:
        paid.commit()
    assert refusal.value.diag.constraint_name == "card_refunds_agree"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("card_payments_final", "UPDATE card_payments SET status = 'voided', captured_kopecks = 0"),
        ("card_payments_final", "UPDATE card_payments SET captured_kopecks = 99"),
        ("card_refunds_final", "UPDATE card_refunds SET status = 'refused', entry_id = NULL"),
        ("card_refunds_final", "UPDATE card_refunds SET amount_kopecks = 1"),
    ],
)
def test_card_money_that_moved_never_moves_again(paid: psycopg.Connection[Any], name: str, change: str) -> None:
    assert refusal_of(paid, change) == name


@pytest.mark.parametrize("table", ["card_payments", "card_refunds"])
def test_the_application_deletes_no_card_money(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
