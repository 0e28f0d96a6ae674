"""PostgreSQL holds the truths of points by itself: each constraint, trigger and grant of 0022 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, ORDER, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as RAIL_ROWS

LATER = "2027-11-22T09:00:00Z"
CARD, RULE, LOT = shown("lcd"), shown("prl"), shown("lot")
BEFORE = {name: RAIL_ROWS[name] for name in ("merchants", "stores", "terminals", "orders")} | {
    "loyalty_cards": {
        "id": CARD, "merchant_id": MERCHANT, "programme": "coffee", "number": "290000000001", "issued_at": NOW,
    }
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "points_programmes": {
        "code": "coffee", "merchant_id": MERCHANT, "name": "n", "point_kopecks": 100, "thresholds": [600],
        "created_at": NOW,
    },
    "points_rules": {
        "id": RULE, "programme": "coffee", "valid_from_on": "2026-11-22", "earn_basis_points": 500,
        "line_basis_points": 5000, "basket_basis_points": 5000, "earn_from_kopecks": 0, "lot_days": 365,
        "delay_days": 0, "return_days": 30, "excluded_articles": [], "created_at": NOW,
    },
    "points_purses": {"card_id": CARD, "programme": "coffee", "opened_at": NOW},
    "points_lots": {
        "id": LOT, "card_id": CARD, "programme": "coffee", "rule_id": RULE, "reason": "earned", "order_id": ORDER,
        "points": 10, "points_left": 5, "earned_at": NOW, "spendable_at": NOW, "expires_at": LATER,
    },
    "points_spendings": {
        "order_id": ORDER, "card_id": CARD, "programme": "coffee", "points": 5, "amount_kopecks": 500,
        "reserved_at": NOW,
    },
    "points_uses": {"order_id": ORDER, "lot_id": LOT, "points": 5},
    "points_returns": {
        "refund_id": shown("ref"), "order_id": ORDER, "card_id": CARD, "points_back": 1, "accrued_back": 1,
        "accrued_owed": 0, "returned_at": NOW,
    },
}  # fmt: skip
"""One good row of each table, in the order of their dependence."""
PROGRAMME_2 = {"code": "tea"}
RULE_2 = {"id": shown("prl", 2), "valid_from_on": "2026-11-23"}
LOT_2 = {"id": shown("lot", 2), "reason": "returned"}
SPENDING_2 = {"order_id": shown("ord", 2)}
RETURN_2 = {"refund_id": shown("ref", 2)}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("points_programmes_pkey", "points_programmes", {}),
    ("points_programmes_merchant_id_fkey", "points_programmes", PROGRAMME_2 | {"merchant_id": shown("mer", 9)}),
    ("points_programmes_code_is_a_word", "points_programmes", {"code": "Tea"}),
    ("points_programmes_code_is_a_word", "points_programmes", {"code": "-tea"}),
    ("points_programmes_name_length", "points_programmes", PROGRAMME_2 | {"name": ""}),
    ("points_programmes_point_in_range", "points_programmes", PROGRAMME_2 | {"point_kopecks": 0}),
    ("points_programmes_point_in_range", "points_programmes", PROGRAMME_2 | {"point_kopecks": 10_001}),
    ("points_programmes_thresholds_are_few", "points_programmes", PROGRAMME_2 | {"thresholds": [0]}),
    ("points_programmes_thresholds_are_few", "points_programmes", PROGRAMME_2 | {"thresholds": list(range(1, 12))}),
    ("points_rules_pkey", "points_rules", RULE_2 | {"id": RULE}),
    ("points_rules_programme_fkey", "points_rules", RULE_2 | {"programme": "tea"}),
    ("points_rules_day_key", "points_rules", {"id": shown("prl", 2)}),
    ("points_rules_id_is_shown", "points_rules", RULE_2 | {"id": "prl_1"}),
    ("points_rules_shares_in_range", "points_rules", RULE_2 | {"earn_basis_points": 10_001}),
    ("points_rules_shares_in_range", "points_rules", RULE_2 | {"line_basis_points": -1}),
    ("points_rules_shares_in_range", "points_rules", RULE_2 | {"basket_basis_points": 10_001}),
    ("points_rules_earn_from_in_range", "points_rules", RULE_2 | {"earn_from_kopecks": -1}),
    ("points_rules_days_in_range", "points_rules", RULE_2 | {"lot_days": 0}),
    ("points_rules_days_in_range", "points_rules", RULE_2 | {"delay_days": 365}),
    ("points_rules_days_in_range", "points_rules", RULE_2 | {"return_days": 0}),
    ("points_rules_excluded_are_few", "points_rules", RULE_2 | {"excluded_articles": ["a"] * 501}),
    ("points_purses_pkey", "points_purses", {}),
    ("points_purses_card_id_fkey", "points_purses", {"card_id": shown("lcd", 9)}),
    ("points_purses_programme_fkey", "points_purses", {"card_id": shown("lcd", 2), "programme": "tea"}),
    ("points_purses_owed_not_negative", "points_purses", {"owed_points": -1}),
    ("points_lots_pkey", "points_lots", LOT_2 | {"id": LOT}),
    ("points_lots_purse_fkey", "points_lots", LOT_2 | {"card_id": shown("lcd", 2)}),
    ("points_lots_rule_fkey", "points_lots", LOT_2 | {"rule_id": shown("prl", 9)}),
    ("points_lots_order_id_fkey", "points_lots", LOT_2 | {"order_id": shown("ord", 9)}),
    ("points_lots_id_is_shown", "points_lots", LOT_2 | {"id": "lot_1"}),
    ("points_lots_reason_is_known", "points_lots", LOT_2 | {"reason": "found"}),
    ("points_lots_of_an_order", "points_lots", LOT_2 | {"order_id": None}),
    ("points_lots_left_in_range", "points_lots", LOT_2 | {"points": 0, "points_left": 0}),
    ("points_lots_left_in_range", "points_lots", LOT_2 | {"points_left": 11}),
    ("points_lots_left_in_range", "points_lots", LOT_2 | {"points_left": -1}),
    ("points_lots_live_a_while", "points_lots", LOT_2 | {"expires_at": NOW}),
    ("points_lots_live_a_while", "points_lots", LOT_2 | {"spendable_at": "2026-11-21T00:00:00Z"}),
    ("points_lots_one_earned", "points_lots", {"id": shown("lot", 2)}),
    ("points_spendings_pkey", "points_spendings", {}),
    ("points_spendings_order_id_fkey", "points_spendings", {"order_id": shown("ord", 9)}),
    ("points_spendings_purse_fkey", "points_spendings", SPENDING_2 | {"card_id": shown("lcd", 2)}),
    ("points_spendings_points_positive", "points_spendings", SPENDING_2 | {"points": 0}),
    ("points_spendings_points_positive", "points_spendings", SPENDING_2 | {"amount_kopecks": 0}),
    ("points_spendings_status_is_known", "points_spendings", SPENDING_2 | {"status": "lost", "ended_at": NOW}),
    ("points_spendings_ended_when_over", "points_spendings", SPENDING_2 | {"status": "spent"}),
    ("points_spendings_ended_when_over", "points_spendings", SPENDING_2 | {"ended_at": NOW}),
    ("points_spendings_returned_of_spent", "points_spendings", SPENDING_2 | {"points_returned": 1}),
    (
        "points_spendings_returned_of_spent",
        "points_spendings",
        SPENDING_2 | {"status": "spent", "ended_at": NOW, "points_returned": 6},
    ),
    ("points_uses_pkey", "points_uses", {}),
    ("points_uses_order_id_fkey", "points_uses", {"order_id": shown("ord", 2)}),
    ("points_uses_lot_id_fkey", "points_uses", {"lot_id": shown("lot", 9)}),
    ("points_uses_points_positive", "points_uses", {"lot_id": shown("lot", 9), "points": 0}),
    ("points_returns_pkey", "points_returns", {}),
    ("points_returns_order_id_fkey", "points_returns", RETURN_2 | {"order_id": shown("ord", 9)}),
    ("points_returns_card_id_fkey", "points_returns", RETURN_2 | {"card_id": shown("lcd", 2)}),
    ("points_returns_are_of_something", "points_returns", RETURN_2 | {"points_back": 0, "accrued_back": 0}),
    ("points_returns_are_of_something", "points_returns", RETURN_2 | {"accrued_owed": 2}),
    ("points_returns_are_of_something", "points_returns", RETURN_2 | {"points_back": -1}),
]
NEVER_ALONE = {"points_rules_of_programme_key", "points_purses_programme_key"}
"""Unique because the id is; there for foreign keys to point at."""
APPEND_ONLY = ("points_programmes", "points_rules", "points_uses", "points_returns")


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table, a second order and a second card."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in BEFORE.items():
            insert(connection, table, row)
        insert(connection, "orders", BEFORE["orders"] | {"id": shown("ord", 2), "number": "A-2"})
        other = {"id": shown("lcd", 2), "number": "290000000010"}
        insert(connection, "loyalty_cards", BEFORE["loyalty_cards"] | other)
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


@pytest.mark.parametrize("table", ROWS)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, ROWS[table] | change) == name


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )
    guards = {f"{table}_append_only" for table in APPEND_ONLY}
    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | NEVER_ALONE | guards


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_promised_is_never_rewritten(filled: psycopg.Connection[Any], table: str) -> None:
    column = next(iter(ROWS[table]))
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)


def test_the_application_deletes_nothing_and_moves_only_what_moves(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table, row in ROWS.items():
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")
            for column in set(row) - {"points_left"}:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"UPDATE {table} SET {column} = {column}")
