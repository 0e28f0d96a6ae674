"""PostgreSQL holds every truth of charges by itself: each constraint and grant of v006 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import NOW, insert, refused_by
from tests.api.test_refund_constraints import refusal_of
from tests.conftest import VaultDatabase

ONE, TWO, NINE = (f"cpy_{number:026}" for number in (1, 2, 9))
REFUND, REFUND_2 = f"ref_{1:026}", f"ref_{2:026}"
CHARGE = {
    "id": ONE, "merchant_id": "mer_1", "card_token": "tok_1", "card_mask": "220000******0004", "amount_kopecks": 100,
    "captured_kopecks": 100, "is_captured_at_once": True, "initiator": "buyer", "is_credential_kept": True,
    "status": "captured", "created_at": NOW, "changed_at": NOW, "refund_kopecks": 60,
}  # fmt: skip
NEW = CHARGE | {
    "id": TWO, "captured_kopecks": 0, "refund_kopecks": 0, "is_credential_kept": False, "status": "requested",
    "next_look_at": NOW,
}  # fmt: skip
BACK = {
    "id": REFUND, "charge_id": ONE, "amount_kopecks": 60, "next_look_at": NOW, "created_at": NOW, "changed_at": NOW,
}  # fmt: skip
ASKED = {
    "charge_id": ONE, "operation": "purchase", "terminal_id": "KPK00001", "stan": 1, "transmitted_at": NOW,
    "amount_kopecks": 100,
}  # fmt: skip
ADVICE = ASKED | {"operation": "reversal", "original_id": 1, "stan": 2}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("charges", "pkey", {"id": ONE}),
    ("charges", "first_fkey", {"initiator": "merchant", "first_charge_id": NINE}),
    ("charges", "id_form", {"id": "cpy_1"}),
    ("charges", "mask_hides", {"card_mask": "2200000000000004"}),
    ("charges", "amount_in_range", {"amount_kopecks": 0}),
    ("charges", "captured_within_amount", {"status": "captured", "captured_kopecks": 101}),
    ("charges", "refunds_within_captured", {"status": "captured", "captured_kopecks": 1, "refund_kopecks": 2}),
    ("charges", "initiator_is_known", {"initiator": "bank"}),
    ("charges", "merchant_names_first", {"initiator": "merchant"}),
    ("charges", "consent_is_the_buyers", {"initiator": "merchant", "first_charge_id": ONE, "is_credential_kept": True}),
    ("charges", "status_is_known", {"status": "lost"}),
    ("charges", "captured_when_captured", {"status": "captured"}),
    ("charges", "captured_when_captured", {"status": "authorised", "captured_kopecks": 1}),
    ("charges", "rrn_form", {"rrn": "1"}),
    ("charges", "watched_while_unsure", {"next_look_at": None}),
    ("charges", "looks_not_negative", {"looks": -1}),
    ("charges", "version_positive", {"version": 0}),
    ("charge_refunds", "pkey", {"id": REFUND}),
    ("charge_refunds", "charge_fkey", {"charge_id": NINE}),
    ("charge_refunds", "id_form", {"id": "ref_1"}),
    ("charge_refunds", "amount_positive", {"amount_kopecks": 0}),
    ("charge_refunds", "status_is_known", {"status": "lost", "next_look_at": None}),
    ("charge_refunds", "watched_while_open", {"next_look_at": None}),
    ("charge_refunds", "looks_not_negative", {"looks": -1}),
    ("charge_attempts", "charge_fkey", {"charge_id": NINE}),
    ("charge_attempts", "refund_fkey", {"operation": "refund", "refund_id": REFUND_2}),
    ("charge_attempts", "original_fkey", {"original_id": 9}),
    ("charge_attempts", "number_key", {"stan": 1}),
    ("charge_attempts", "one_request", {"operation": "purchase", "original_id": None}),
    ("charge_attempts", "operation_is_known", {"operation": "inquiry"}),
    ("charge_attempts", "refund_named", {"operation": "refund"}),
    ("charge_attempts", "original_named", {"original_id": None}),
    ("charge_attempts", "stan_in_range", {"stan": 1_000_000}),
    ("charge_attempts", "amount_positive", {"amount_kopecks": 0}),
    ("charge_attempts", "tries_positive", {"tries": 0}),
    ("charge_attempts", "status_is_known", {"status": "lost"}),
    ("charge_attempts", "answer_when_answered", {"status": "answered"}),
    ("charge_attempts", "answer_when_answered", {"response_code": "00"}),
]
GOOD = {"charges": NEW, "charge_refunds": BACK | {"id": REFUND_2}, "charge_attempts": ADVICE}
NEVER_VIOLATED = {"charge_attempts_pkey", "charge_refunds_agree", "charges_refunds_agree"}
"""The number is the database's own; what is of two rows is violated in a test below."""


@pytest.fixture
def charged(vault_database: VaultDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a vault with one charge, its message and a refund."""
    with psycopg.connect(vault_database.superuser_url) as connection:
        for table, row in (("charges", CHARGE), ("charge_refunds", BACK), ("charge_attempts", ASKED)):
            insert(connection, table, row)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_charges_refuses_what_it_must(charged: psycopg.Connection[Any]) -> None:
    found = [
        (f"{table}_{name}", refused_by(charged, table, GOOD[table] | change)) for table, name, change in VIOLATIONS
    ]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_charges_goes_untested(charged: psycopg.Connection[Any]) -> None:
    rows = charged.execute(
        """SELECT conname FROM pg_constraint WHERE contype <> 'n' AND conrelid IN
           ('charges'::regclass, 'charge_refunds'::regclass, 'charge_attempts'::regclass)"""
    )
    tested = {f"{table}_{name}" for table, name, _ in VIOLATIONS} - {"charge_attempts_one_request"}
    assert {row[0] for row in rows} == tested | NEVER_VIOLATED


def test_the_counter_of_a_charge_is_the_sum_of_its_refunds(charged: psycopg.Connection[Any]) -> None:
    assert refusal_of(charged, "UPDATE charges SET refund_kopecks = 61") == "charge_refunds_agree"
    assert refusal_of(charged, "UPDATE charge_refunds SET amount_kopecks = 59") == "charge_refunds_agree"


def test_what_has_ended_stays_as_it_ended(charged: psycopg.Connection[Any]) -> None:
    insert(charged, "charges", NEW | {"status": "reversed"})
    reopened = f"UPDATE charges SET status = 'unknown' WHERE id = '{TWO}'"
    assert refusal_of(charged, reopened) == "charges_final"
    charged.execute("UPDATE charge_refunds SET status = 'succeeded', next_look_at = NULL")
    again = "UPDATE charge_refunds SET status = 'unknown', next_look_at = now()"
    assert refusal_of(charged, again) == "charge_refunds_final"


def test_no_column_of_charges_could_hold_a_number_or_a_code(charged: psycopg.Connection[Any]) -> None:
    rows = charged.execute("SELECT column_name FROM information_schema.columns WHERE table_name LIKE 'charge%'")
    assert not [row[0] for row in rows if any(word in row[0] for word in ("pan", "cvc", "cvv", "track", "pin"))]


@pytest.mark.parametrize("table", ["charges", "charge_refunds", "charge_attempts"])
def test_the_vault_deletes_no_charge(vault_database: VaultDatabase, table: str) -> None:
    with psycopg.connect(vault_database.vault_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
