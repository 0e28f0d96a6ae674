"""Every constraint of loyalty cards, showings and presentments is violated here once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from checkout.barcode import number_of
from pci.luhn import check_digit

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def shown(prefix: str, number: int = 1) -> str:
    return f"{prefix}_{number:026}"


MERCHANT, STORE, TERMINAL = shown("mer"), shown("sto"), shown("ter")
CARD, SHOWING = shown("lcd"), shown("shw")
ROWS: dict[str, dict[str, Any]] = {
    "merchants": {
        "id": MERCHANT, "name": "Кофейня", "legal_name": "ООО «Кофейня»", "inn": "7707083893",
        "bank_account_bik": "044525225", "bank_account_number": "4" * 20, "tariff_group": "standard", "created_at": NOW,
    },
    "stores": {"id": STORE, "merchant_id": MERCHANT, "name": "На углу", "address": "Ленина, 1", "created_at": NOW},
    "terminals": {
        "id": TERMINAL, "store_id": STORE, "merchant_id": MERCHANT, "name": "Касса 1", "created_at": NOW,
    },
    "loyalty_cards": {
        "id": CARD, "merchant_id": MERCHANT, "programme": "kofeinya", "number": number_of("000000001"),
        "phone_digest": b"d" * 32, "status": "active", "blocked_reason": None, "issued_at": NOW, "version": 1,
    },
    "loyalty_showings": {"id": SHOWING, "card_id": CARD, "number": 1, "started_at": NOW, "ended_at": None},
    "presentments": {
        "id": shown("prs"), "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL,
        "loyalty_card_id": CARD, "showing_id": SHOWING, "time_step": 1, "is_payment_available": True,
        "rails": ["sbp"], "preferred_rail": None, "unavailable_reason": None, "presented_at": NOW,
    },
}  # fmt: skip
ROWS |= {
    "till_sessions": {
        "link_code": "a" * 26, "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL,
        "loyalty_card_id": CARD, "showing_id": SHOWING, "state": "{}", "version": 1, "created_at": NOW,
    },
    "till_session_messages": {
        "link_code": "a" * 26, "source": "till", "target": "kopeyka", "said": "GET /", "happened_at": NOW,
    },
}  # fmt: skip
SESSION_2 = {"link_code": "b" * 26}
CARD_2 = {"id": shown("lcd", 2), "number": number_of("000000002"), "phone_digest": b"e" * 32}
SHOWING_2 = {"id": shown("shw", 2), "number": 2}
SCAN_2 = {"id": shown("prs", 2), "time_step": 2}
PLASTIC = {"showing_id": None, "time_step": None, "is_payment_available": False, "rails": [],
           "unavailable_reason": "static_barcode"}  # fmt: skip
PAN_LIKE = "29000000000"
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("loyalty_cards_pkey", "loyalty_cards", CARD_2 | {"id": CARD}),
    ("loyalty_cards_merchant_fkey", "loyalty_cards", CARD_2 | {"merchant_id": shown("mer", 9)}),
    ("loyalty_cards_number_key", "loyalty_cards", CARD_2 | {"number": number_of("000000001")}),
    ("loyalty_cards_one_of_phone", "loyalty_cards", CARD_2 | {"phone_digest": b"d" * 32}),
    ("loyalty_cards_id_is_shown", "loyalty_cards", CARD_2 | {"id": "lcd_1"}),
    ("loyalty_cards_programme_form", "loyalty_cards", CARD_2 | {"programme": "Кофейня"}),
    ("loyalty_cards_number_form", "loyalty_cards", CARD_2 | {"number": "390000000001"}),
    ("loyalty_cards_number_is_no_pan", "loyalty_cards", CARD_2 | {"number": PAN_LIKE + check_digit(PAN_LIKE)}),
    ("loyalty_cards_digest_is_sha256", "loyalty_cards", CARD_2 | {"phone_digest": b"short"}),
    ("loyalty_cards_status_is_known", "loyalty_cards", CARD_2 | {"status": "lost"}),
    ("loyalty_cards_blocked_with_reason", "loyalty_cards", CARD_2 | {"status": "blocked"}),
    ("loyalty_cards_blocked_with_reason", "loyalty_cards", CARD_2 | {"blocked_reason": "lost"}),
    ("loyalty_cards_blocked_with_reason", "loyalty_cards", CARD_2 | {"status": "blocked", "blocked_reason": ""}),
    ("loyalty_cards_version_positive", "loyalty_cards", CARD_2 | {"version": 0}),
    ("loyalty_showings_pkey", "loyalty_showings", SHOWING_2 | {"id": SHOWING}),
    ("loyalty_showings_card_fkey", "loyalty_showings", SHOWING_2 | {"card_id": shown("lcd", 9)}),
    ("loyalty_showings_number_key", "loyalty_showings", SHOWING_2 | {"number": 1}),
    ("loyalty_showings_id_is_shown", "loyalty_showings", SHOWING_2 | {"id": "shw_1"}),
    ("loyalty_showings_number_in_range", "loyalty_showings", SHOWING_2 | {"number": 10_000}),
    ("loyalty_showings_ends_later", "loyalty_showings", SHOWING_2 | {"ended_at": NOW - timedelta(seconds=1)}),
    ("presentments_pkey", "presentments", SCAN_2 | {"id": shown("prs")}),
    ("presentments_terminal_fkey", "presentments", SCAN_2 | {"store_id": shown("sto", 9)}),
    ("presentments_card_fkey", "presentments", SCAN_2 | PLASTIC | {"loyalty_card_id": shown("lcd", 9)}),
    ("presentments_showing_fkey", "presentments", SCAN_2 | {"showing_id": shown("shw", 9)}),
    ("presentments_code_counts_once", "presentments", SCAN_2 | {"time_step": 1}),
    ("presentments_id_is_shown", "presentments", SCAN_2 | {"id": "prs_1"}),
    ("presentments_code_has_its_phone", "presentments", SCAN_2 | {"time_step": None}),
    ("presentments_step_positive", "presentments", SCAN_2 | {"time_step": 0}),
    ("presentments_payable_by_something", "presentments", SCAN_2 | {"rails": []}),
    ("presentments_payable_by_phone_only", "presentments",
     SCAN_2 | PLASTIC | {"is_payment_available": True, "rails": ["sbp"], "unavailable_reason": None}),
    ("presentments_rails_few", "presentments", SCAN_2 | {"rails": ["sbp"] * 17}),
    ("presentments_preferred_is_offered", "presentments", SCAN_2 | {"preferred_rail": "card"}),
    ("presentments_reason_when_not", "presentments", SCAN_2 | PLASTIC | {"unavailable_reason": None}),
    ("presentments_reason_when_not", "presentments", SCAN_2 | {"unavailable_reason": "no_rails"}),
    ("till_sessions_pkey", "till_sessions", {}),
    ("till_sessions_terminal_fkey", "till_sessions", SESSION_2 | {"store_id": shown("sto", 9)}),
    ("till_sessions_showing_fkey", "till_sessions", SESSION_2 | {"showing_id": shown("shw", 9)}),
    ("till_sessions_link_code_form", "till_sessions", {"link_code": "B" * 26}),
    ("till_sessions_state_is_object", "till_sessions", SESSION_2 | {"state": "[]"}),
    ("till_sessions_version_positive", "till_sessions", SESSION_2 | {"version": 0}),
    ("till_session_messages_session_fkey", "till_session_messages", SESSION_2),
    ("till_session_messages_ends_are_known", "till_session_messages", {"source": "moon"}),
    ("till_session_messages_ends_are_known", "till_session_messages", {"target": "till"}),
    ("till_session_messages_said_length", "till_session_messages", {"said": ""}),
    ("presentments_reason_is_known", "presentments", SCAN_2 | PLASTIC | {"unavailable_reason": "moon"}),
]  # fmt: skip
NEVER_ALONE = {"loyalty_cards_whose_key", "loyalty_showings_of_card_key"}
"""Unique because the id is; there for foreign keys to point at."""
OURS = ("loyalty_cards", "loyalty_showings", "presentments", "till_sessions", "till_session_messages")


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
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
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        with pytest.raises(psycopg.IntegrityError) as refusal, filled.transaction():
            insert(filled, table, ROWS[table] | change)
        assert refusal.value.diag.constraint_name == name


def test_the_rows_beside_them_are_taken(filled: psycopg.Connection[Any]) -> None:
    for table, change in (("loyalty_cards", CARD_2), ("loyalty_showings", SHOWING_2), ("presentments", SCAN_2)):
        insert(filled, table, ROWS[table] | change)
    insert(filled, "loyalty_cards", ROWS["loyalty_cards"] | CARD_2 | {"id": shown("lcd", 3), "programme": "other",
                                                                      "number": number_of("000000003")})  # fmt: skip
    for number in (4, 5):
        insert(filled, "presentments", ROWS["presentments"] | PLASTIC | {"id": shown("prs", number)})


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(OURS)},
    )

    elsewhere = NEVER_ALONE | {"presentments_append_only", "till_session_messages_pkey"}  # the last numbers itself
    tested = {name for name, _, _ in VIOLATIONS} | elsewhere
    assert {row[0] for row in rows} == tested


def test_a_scan_is_never_rewritten_and_a_number_never_changed(filled: psycopg.Connection[Any], database: Any) -> None:
    for statement in (
        "UPDATE presentments SET rails = rails",
        "DELETE FROM presentments",
        "TRUNCATE presentments CASCADE",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)  # type: ignore[call-overload]
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (
            "UPDATE loyalty_cards SET number = number", "UPDATE loyalty_showings SET number = number",
            "DELETE FROM loyalty_cards", "DELETE FROM loyalty_showings", "UPDATE presentments SET rails = rails",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
