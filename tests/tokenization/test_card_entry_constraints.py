"""Every CHECK, UNIQUE and FOREIGN KEY of card entry is broken once, and a CVC has one place only."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.conftest import VaultDatabase
from tests.tokenization.entry_world import MERCHANT
from tokenization.ids import new_id

NOW = datetime.fromisoformat("2026-11-22T09:00:00+00:00")
HOUR = timedelta(hours=1)
TOKEN = "tok_" + "a" * 25
FORM: dict[str, Any] = {
    "id": "cse_" + "a" * 25, "merchant_id": MERCHANT, "request_key": "order-1", "buyer_id": "b",
    "origin": "https://shop.example", "wants_cvc": True, "terms": Jsonb({}), "status": "open", "attempts": 0,
    "token": None, "created_at": NOW, "expires_at": NOW + HOUR, "used_at": None,
}  # fmt: skip
SEEN: dict[str, Any] = {
    "jti": "a" * 16, "merchant_id": MERCHANT, "request_key": "order-1", "digest": b"d" * 32, "token": TOKEN,
    "seen_at": NOW, "expires_at": NOW + HOUR,
}  # fmt: skip
SAD: dict[str, Any] = {"token": TOKEN, "sealed": b"s" * 37, "kept_at": NOW, "expires_at": NOW + HOUR}
BUYER: dict[str, Any] = {"merchant_id": MERCHANT, "buyer_id": "b", "token": TOKEN, "added_at": NOW}
ROWS = {"card_sessions": FORM, "seen_sealed_cards": SEEN, "sad_volatile": SAD, "buyer_cards": BUYER}

BROKEN = [
    ("card_sessions", {"id": "cse_1"}, "card_sessions_id_form"),
    ("card_sessions", {"merchant_id": "a b"}, "card_sessions_merchant_form"),
    ("card_sessions", {"request_key": ""}, "card_sessions_request_key_length"),
    ("card_sessions", {"buyer_id": "a b"}, "card_sessions_buyer_form"),
    ("card_sessions", {"buyer_id": "4242424242424242"}, "card_sessions_buyer_form"),
    ("card_sessions", {"origin": "https://shop.example/path"}, "card_sessions_origin_form"),
    ("card_sessions", {"origin": "'none' *"}, "card_sessions_origin_form"),
    ("card_sessions", {"terms": Jsonb([])}, "card_sessions_terms_are_an_object"),
    ("card_sessions", {"status": "lost"}, "card_sessions_status_is_known"),
    ("card_sessions", {"attempts": 51}, "card_sessions_attempts_in_range"),
    ("card_sessions", {"attempts": -1}, "card_sessions_attempts_in_range"),
    ("card_sessions", {"status": "used"}, "card_sessions_used_says_token"),
    ("card_sessions", {"token": TOKEN, "used_at": NOW}, "card_sessions_used_says_token"),
    ("card_sessions", {"expires_at": NOW}, "card_sessions_open_for_an_hour_at_most"),
    ("card_sessions", {"expires_at": NOW + 2 * HOUR}, "card_sessions_open_for_an_hour_at_most"),
    ("seen_sealed_cards", {"jti": "short"}, "seen_sealed_cards_jti_form"),
    ("seen_sealed_cards", {"merchant_id": ""}, "seen_sealed_cards_merchant_form"),
    ("seen_sealed_cards", {"request_key": "k" * 256}, "seen_sealed_cards_request_key_length"),
    ("seen_sealed_cards", {"digest": b"d"}, "seen_sealed_cards_digest_length"),
    ("seen_sealed_cards", {"expires_at": NOW}, "seen_sealed_cards_expire_later"),
    ("sad_volatile", {"token": "4242424242424242"}, "sad_volatile_token_form"),
    ("sad_volatile", {"sealed": b"731"}, "sad_volatile_is_sealed"),
    ("sad_volatile", {"expires_at": NOW}, "sad_volatile_an_hour_at_most"),
    ("sad_volatile", {"expires_at": NOW + HOUR + timedelta(seconds=1)}, "sad_volatile_an_hour_at_most"),
    ("buyer_cards", {"buyer_id": ""}, "buyer_cards_buyer_form"),
    ("buyer_cards", {}, "buyer_cards_token_fkey"),
]


def insert(connection: psycopg.Connection[Any], table: str, values: dict[str, Any]) -> None:
    places = ", ".join(f"%({name})s" for name in values)
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", values)  # type: ignore[arg-type]


@pytest.fixture
def connection(vault_database: VaultDatabase) -> Any:
    with psycopg.connect(vault_database.vault_url) as connection:
        yield connection
        connection.rollback()


def test_each_check_and_reference_refuses_its_breach(connection: psycopg.Connection[Any]) -> None:
    for table, wrong, constraint in BROKEN:
        with pytest.raises(psycopg.IntegrityError) as refused, connection.transaction():
            insert(connection, table, ROWS[table] | wrong)

        assert refused.value.diag.constraint_name == constraint, wrong


def test_each_key_refuses_its_second_row(connection: psycopg.Connection[Any]) -> None:
    twice = [
        ("card_sessions", FORM, {"request_key": "order-2"}, "card_sessions_pkey"),
        ("card_sessions", FORM, {"id": new_id("cse")}, "card_sessions_request_key"),
        ("seen_sealed_cards", SEEN, {"request_key": "order-2"}, "seen_sealed_cards_pkey"),
        ("seen_sealed_cards", SEEN, {"jti": "b" * 16}, "seen_sealed_cards_request_key"),
        ("sad_volatile", SAD, {}, "sad_volatile_pkey"),
    ]
    for table, row, other, constraint in twice:
        with connection.transaction(force_rollback=True):
            insert(connection, table, row)
            with pytest.raises(psycopg.errors.UniqueViolation) as refused:
                insert(connection, table, row | other)

        assert refused.value.diag.constraint_name == constraint


def test_a_buyer_keeps_a_card_once(vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")  # the card itself is not what this is about
        insert(connection, "buyer_cards", BUYER)
        with pytest.raises(psycopg.errors.UniqueViolation) as refused:
            insert(connection, "buyer_cards", BUYER)

    assert refused.value.diag.constraint_name == "buyer_cards_pkey"


def test_a_cvc_has_one_place_in_the_whole_vault_and_it_is_never_logged(vault_database: VaultDatabase) -> None:
    named = re.compile(r"(^|_)(cvc|cvv|cvn|cid|csc|track[12]?|pin|pinblock|pin_block|sad)[0-9]?($|_)", re.IGNORECASE)
    flags = {("card_sessions", "wants_cvc")}
    """Whether one is asked for: a truth, not a code."""
    with psycopg.connect(vault_database.superuser_url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        kind = connection.execute("SELECT relpersistence FROM pg_class WHERE relname = 'sad_volatile'").fetchone()

    assert len(columns) > 50
    assert [one for one in columns if named.search(one[1]) and one not in flags] == []
    assert {table for table, _ in columns if named.search(table)} == {"sad_volatile"}
    assert kind == ("u",)
