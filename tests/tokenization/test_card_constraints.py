"""What the database itself refuses of cards and their files, one rule at a time, each by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.card_world import MIR, World

SQL = Path(__file__).parents[2] / "api" / "vault_migrations" / "sql" / "v003_tokens.sql"
CARD: dict[str, Any] = {
    "tokenized_at": "2026-11-22T09:00Z", "changed_at": "2026-11-22T09:00Z", "key_number": 1, "fingerprint_key": 1,
    "digits": 16, "merchant_id": "mer_shop", "token": "tok_" + "a" * 25, "first6": "220011", "last4": "9001",
    "scheme": "mir", "expires": "2028-12", "fingerprint_scope": "mer_shop", "fingerprint_id": "fpr_" + "a" * 25,
    "fingerprint": b"f" * 32, "pan_sealed": b"s" * 50,
}  # fmt: skip
IMPORT: dict[str, Any] = {
    "id": "imp_" + "a" * 25, "merchant_id": "mer_shop", "file_digest": b"d" * 32,
    "scope": "", "wants_digits": False, "started_at": "2026-11-22T09:00Z", "advanced_at": "2026-11-22T09:00Z",
}  # fmt: skip
REFUSAL: dict[str, Any] = {
    "import_id": IMPORT["id"],
    "line": 1,
    "code": "vault.card_expired",
    "mask": "220011******9001",
}
EXPORT: dict[str, Any] = {
    "id": "exp_" + "a" * 25, "merchant_id": "mer_shop", "recipient_key": '{"kty": "EC"}', "reason": "they move",
    "requested_by": "anna", "requested_at": "2026-11-22T09:00Z", "advanced_at": "2026-11-22T09:00Z",
}  # fmt: skip
BASE = {"cards": CARD, "card_imports": IMPORT, "card_import_refusals": REFUSAL, "card_exports": EXPORT}
OTHER = {"token": "tok_" + "b" * 25, "fingerprint": b"g" * 32}

BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("cards", "cards_merchant_form", {"merchant_id": "shop", "fingerprint_scope": "shop"}),
    ("cards", "cards_token_form", {"token": MIR}),
    ("cards", "cards_token_form", {"token": "tok_" + "a" * 24 + "-"}),
    ("cards", "cards_token_form", {"token": "dtk_" + "a" * 25}),
    ("cards", "cards_digits_token_form", {"digits_token": MIR}),
    ("cards", "cards_digits_token_form", {"digits_token": "9999" + "0" * 9}),
    ("cards", "cards_status_is_known", {"status": "lost", "ended_at": "2026-11-22T09:00Z", "pan_sealed": None,
                                        "key_number": None, "fingerprint": None, "fingerprint_key": None}),
    ("cards", "cards_first6_is_digits", {"first6": "22001"}),
    ("cards", "cards_first6_is_digits", {"first6": "22001x"}),
    ("cards", "cards_last4_is_digits", {"last4": "79001"}),
    ("cards", "cards_last4_is_digits", {"last4": "9 01"}),
    ("cards", "cards_digits_in_range", {"digits": 12}),
    ("cards", "cards_scheme_form", {"scheme": "МИР"}),
    ("cards", "cards_scheme_form", {"scheme": "m"}),
    *(
        ("cards", "cards_expires_is_a_month", {"expires": month})
        for month in ("2028-13", "2028-00", "2028-1-", "20-8-12", "2128-12", "2028/12", "2028-012", "2028-1", "")
    ),
    ("cards", "cards_scope_is_the_merchants", {"fingerprint_scope": "mer_other"}),
    ("cards", "cards_scope_is_the_merchants", {"fingerprint_scope": "mer_shop/../x"}),
    ("cards", "cards_fingerprint_id_form", {"fingerprint_id": "fpr_1"}),
    ("cards", "cards_fingerprint_id_form", {"fingerprint_id": "fpr_" + "a" * 24 + "_"}),
    ("cards", "cards_fingerprint_length", {"fingerprint": b"f" * 31}),
    ("cards", "cards_fingerprint_has_its_key", {"fingerprint_key": None}),
    ("cards", "cards_sealed_while_active", {"pan_sealed": None}),
    ("cards", "cards_sealed_while_active", {"status": "deleted", "ended_at": "2026-11-22T09:00Z"}),
    ("cards", "cards_ended_when_not_active", {"ended_at": "2026-11-22T09:00Z"}),
    ("cards", "cards_sealed_length", {"pan_sealed": MIR.encode()}),
    ("cards", "cards_sealed_length", {"holder_sealed": b"IVAN PETROV"}),
    ("cards", "cards_restrictions_are_known", {"restrictions": '{"colour": "red"}'}),
    ("cards", "cards_restrictions_are_known", {"restrictions": "{}"}),
    ("card_imports", "card_imports_id_form", {"id": "imp_1"}),
    ("card_imports", "card_imports_merchant_form", {"merchant_id": ""}),
    ("card_imports", "card_imports_digest_length", {"file_digest": b"d"}),
    ("card_imports", "card_imports_scope_form", {"scope": "My/club"}),
    ("card_imports", "card_imports_status_is_known", {"status": "stuck"}),
    ("card_imports", "card_imports_counts_add_up", {"lines_done": 1}),
    ("card_imports", "card_imports_counts_add_up", {"cards_new": -1, "refused": 1}),
    ("card_imports", "card_imports_finished_at_when_finished", {"status": "finished"}),
    ("card_import_refusals", "card_import_refusals_line_positive", {"line": 0}),
    ("card_import_refusals", "card_import_refusals_code_form", {"code": "no good"}),
    ("card_import_refusals", "card_import_refusals_mask_is_a_mask", {"mask": MIR}),
    ("card_import_refusals", "card_import_refusals_import_id_fkey", {"import_id": "imp_" + "z" * 25}),
    ("card_exports", "card_exports_id_form", {"id": "exp_1"}),
    ("card_exports", "card_exports_merchant_form", {"merchant_id": ""}),
    ("card_exports", "card_exports_status_is_known", {"status": "lost", "approved_by": "person:per_b"}),
    ("card_exports", "card_exports_key_is_public", {"recipient_key": '{"kty": "EC", "d": "x"}'}),
    ("card_exports", "card_exports_reason_length", {"reason": ""}),
    ("card_exports", "card_exports_two_people", {"status": "running"}),
    (
        "card_exports", "card_exports_two_people",
        {"status": "running", "requested_by": "person:per_a", "approved_by": "person:per_a"},
    ),
    ("card_exports", "card_exports_approved_by_a_person", {"status": "running", "approved_by": "operator:boris"}),
    ("card_exports", "card_exports_counts_not_negative", {"skipped": -1}),
    ("card_exports", "card_exports_finished_at_when_finished", {"status": "finished", "approved_by": "person:per_b"}),
]  # fmt: skip
TWICE: list[tuple[str, str, dict[str, Any]]] = [
    ("cards", "cards_token_key", {"fingerprint": b"g" * 32}),
    ("cards", "cards_fingerprint_key", {"token": OTHER["token"], "digits_token": None}),
    ("cards", "cards_digits_token_key", OTHER),
    ("card_imports", "card_imports_pkey", {"file_digest": b"e" * 32}),
    ("card_imports", "card_imports_file_key", {"id": "imp_" + "b" * 25}),
    ("card_import_refusals", "card_import_refusals_pkey", {}),
    ("card_exports", "card_exports_pkey", {}),
]


def insert(connection: psycopg.Connection, table: str, changed: dict[str, Any]) -> None:
    row = BASE[table] | changed
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))  # type: ignore[arg-type]


def with_import(connection: psycopg.Connection, table: str) -> None:
    if table == "card_import_refusals":
        insert(connection, "card_imports", {})


@pytest.fixture(scope="module")
def laid(server: Any, vault_template: str) -> Any:
    """One database for all: every refused row is rolled back."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE kopeyka_vault_rules OWNER kopeyka_owner TEMPLATE {vault_template}")
    yield server.url("postgres", "kopeyka_vault_rules")
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE kopeyka_vault_rules WITH (FORCE)")


@pytest.mark.parametrize(("table", "name", "changed"), BROKEN, ids=lambda part: part if isinstance(part, str) else "")
def test_a_row_that_breaks_a_rule_is_refused_by_its_name(
    laid: str, table: str, name: str, changed: dict[str, Any]
) -> None:
    with psycopg.connect(laid) as connection:
        with_import(connection, table)
        with pytest.raises(psycopg.IntegrityError) as refused:
            insert(connection, table, changed)
        connection.rollback()

    assert refused.value.diag.constraint_name == name


@pytest.mark.parametrize(("table", "name", "changed"), TWICE, ids=lambda part: part if isinstance(part, str) else "")
def test_what_must_be_one_is_one(laid: str, table: str, name: str, changed: dict[str, Any]) -> None:
    first = {"digits_token": "9999" + "0" * 12} if table == "cards" else {}
    with psycopg.connect(laid) as connection:
        with_import(connection, table)
        insert(connection, table, first)
        with pytest.raises(psycopg.errors.UniqueViolation) as refused:
            insert(connection, table, first | changed)
        connection.rollback()

    assert refused.value.diag.constraint_name == name


def test_a_number_in_a_merchants_row_is_one(laid: str) -> None:
    with psycopg.connect(laid) as connection:
        insert(connection, "cards", {})
        with pytest.raises(psycopg.errors.UniqueViolation) as refused:
            connection.execute(
                "INSERT INTO cards OVERRIDING SYSTEM VALUE SELECT number, tokenized_at, changed_at, expires_at,"
                " ended_at, key_number, NULL, digits, merchant_id, 'tok_' || repeat('c', 25), NULL, status, first6,"
                " last4, scheme, expires, fingerprint_scope, fingerprint_id, NULL, pan_sealed, holder_sealed,"
                " restrictions FROM cards"
            )
        connection.rollback()

    assert refused.value.diag.constraint_name == "cards_pkey"


def test_a_card_that_has_ended_does_not_come_back(laid: str) -> None:
    ended = {"status": "deleted", "ended_at": "2026-11-22T09:00Z", "pan_sealed": None, "key_number": None,
             "fingerprint": None, "fingerprint_key": None}  # fmt: skip
    with psycopg.connect(laid) as connection:
        insert(connection, "cards", ended)
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            connection.execute("UPDATE cards SET status = 'active', ended_at = NULL, pan_sealed = 'x'")
        connection.rollback()

    assert refused.value.diag.constraint_name == "cards_ended_is_final"


def test_every_rule_is_broken_here() -> None:
    named = set(re.findall(r"CONSTRAINT (\w+) (?:CHECK|UNIQUE|PRIMARY|FOREIGN)", SQL.read_text("utf-8")))

    assert named - {name for _, name, _ in BROKEN + TWICE} == {"cards_pkey"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM cards", "TRUNCATE cards", "UPDATE cards SET merchant_id = 'mer_other'",
        "UPDATE cards SET token = token", "UPDATE cards SET first6 = '000000'", "UPDATE cards SET fingerprint_id = 'x'",
        "UPDATE card_imports SET file_digest = file_digest", "DELETE FROM card_import_refusals",
        "UPDATE card_exports SET recipient_key = recipient_key", "ALTER TABLE cards DISABLE TRIGGER ALL",
    ],
)  # fmt: skip
async def test_the_vaults_own_role_may_not(world: World, statement: str) -> None:
    with (
        psycopg.connect(world.database.vault_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)  # type: ignore[arg-type]  # tests write their own SQL
