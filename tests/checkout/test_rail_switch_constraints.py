"""PostgreSQL holds the truths of 0027 by itself: each constraint, trigger and grant says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import ATTEMPT, MERCHANT, NOW, ORDER, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as RAIL_ROWS

CARD = shown("lcd")
BEFORE: dict[str, dict[str, Any]] = {
    name: RAIL_ROWS[name] for name in ("merchants", "stores", "terminals", "orders", "attempts")
} | {
    "loyalty_cards": {
        "id": CARD, "merchant_id": MERCHANT, "programme": "p", "number": "290000000002", "issued_at": NOW,
    }
}  # fmt: skip
SWITCH, RULE = shown("rsw"), shown("frl")
ROWS: dict[str, dict[str, Any]] = {
    "rail_switches": {
        "id": SWITCH, "rail": "dolyame", "is_on": False, "reason": "r", "switched_by": "k", "switched_at": NOW,
    },
    "failover_rules": {
        "id": RULE, "merchant_id": MERCHANT, "rail": "dolyame", "next_rail": "sbp", "decided_by": "k",
        "created_at": NOW,
    },
    "attempt_failovers": {
        "attempt_id": ATTEMPT, "asked_rail": "dolyame", "rail": "sbp", "switch_id": SWITCH, "created_at": NOW,
    },
    "preferred_rails": {"loyalty_card_id": CARD, "rail": "sbp", "chosen_at": NOW},
    "unanswered_attempts": {"attempt_id": ATTEMPT, "tries": 3, "ended_at": NOW},
    "slip_issues": {"order_id": ORDER, "issue": 1, "issued_by": "k", "issued_at": NOW},
}  # fmt: skip
"""One good row of each table."""
SWITCH_2, RULE_2 = {"id": shown("rsw", 2)}, {"id": shown("frl", 2)}
ELSE = {"attempt_id": shown("att", 9)}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("rail_switches_pkey", "rail_switches", {}),
    ("rail_switches_id_is_shown", "rail_switches", {"id": "rsw_1"}),
    ("rail_switches_rail_is_known", "rail_switches", SWITCH_2 | {"rail": "barter"}),
    ("rail_switches_provider_form", "rail_switches", SWITCH_2 | {"provider": "Bank!"}),
    ("rail_switches_reason_length", "rail_switches", SWITCH_2 | {"reason": ""}),
    ("failover_rules_pkey", "failover_rules", {}),
    ("failover_rules_id_is_shown", "failover_rules", {"id": "frl_1"}),
    ("failover_rules_merchant_fkey", "failover_rules", RULE_2 | {"merchant_id": shown("mer", 9)}),
    ("failover_rules_rail_is_known", "failover_rules", RULE_2 | {"rail": "barter"}),
    ("failover_rules_next_asks_nothing", "failover_rules", RULE_2 | {"next_rail": "card"}),
    ("failover_rules_leads_elsewhere", "failover_rules", RULE_2 | {"next_rail": "dolyame"}),
    ("attempt_failovers_pkey", "attempt_failovers", {}),
    ("attempt_failovers_attempt_fkey", "attempt_failovers", ELSE),
    ("attempt_failovers_went_elsewhere", "attempt_failovers", ELSE | {"rail": "dolyame"}),
    ("preferred_rails_pkey", "preferred_rails", {}),
    ("preferred_rails_card_fkey", "preferred_rails", {"loyalty_card_id": shown("lcd", 9)}),
    ("preferred_rails_rail_is_known", "preferred_rails", {"loyalty_card_id": shown("lcd", 9), "rail": "barter"}),
    ("preferred_rails_version_positive", "preferred_rails", {"loyalty_card_id": shown("lcd", 9), "version": 0}),
    ("unanswered_attempts_pkey", "unanswered_attempts", {}),
    ("unanswered_attempts_attempt_fkey", "unanswered_attempts", ELSE),
    ("unanswered_attempts_tries_positive", "unanswered_attempts", ELSE | {"tries": 0}),
    ("slip_issues_pkey", "slip_issues", {}),
    ("slip_issues_order_fkey", "slip_issues", {"order_id": shown("ord", 9)}),
    ("slip_issues_in_range", "slip_issues", {"issue": 0}),
    ("slip_issues_in_range", "slip_issues", {"issue": 101}),
]
IN_A_TEST_OF_ITS_OWN = {
    "attempt_failovers_switch_fkey", "plan_attempts_pkey", "plan_attempts_plan_key", "plan_attempts_attempt_fkey",
    "plan_attempts_plan_fkey", "plan_attempts_settled_after_begun",
}  # fmt: skip
APPEND_ONLY = tuple(table for table in ROWS if table != "preferred_rails")
TABLES = (*ROWS, "plan_attempts")


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in {**BEFORE, **ROWS}.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


@pytest.mark.parametrize("table", ROWS)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, ROWS[table] | change) == name


def test_a_failover_names_a_switch(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "attempts", BEFORE["attempts"] | {"id": shown("att", 2), "status": "expired"})
    another = ROWS["attempt_failovers"] | {"attempt_id": shown("att", 2), "switch_id": shown("rsw", 9)}
    assert refused_by(filled, "attempt_failovers", another) == "attempt_failovers_switch_fkey"


def test_a_plan_pays_one_attempt_and_an_attempt_is_paid_by_one_plan(filled: psycopg.Connection[Any]) -> None:
    plan, other = shown("pln"), shown("pln", 2)
    filled.execute("SET session_replication_role = replica")  # a plan needs a product, terms and a schedule
    for number, plan_id in enumerate((plan, other), 1):
        filled.execute(
            """INSERT INTO installment_plans (id, merchant_id, order_number, product_code, product_version,
                   price_kopecks, prepaid_kopecks, items, link_code, created_at, expires_at)
               VALUES (%s, %s, %s, 'dolyame', 1, 1000, 0, '[]', %s, %s, %s)""",
            (plan_id, MERCHANT, f"A-{number}", f"link{number}".ljust(32, "x"), NOW, "2026-11-23T09:00:00Z"),
        )
    filled.execute("SET session_replication_role = DEFAULT")
    insert(filled, "attempts", BEFORE["attempts"] | {"id": shown("att", 2), "status": "expired"})
    row = {"attempt_id": ATTEMPT, "plan_id": plan, "created_at": NOW}
    insert(filled, "plan_attempts", row)

    assert refused_by(filled, "plan_attempts", row | {"plan_id": other}) == "plan_attempts_pkey"
    second = row | {"attempt_id": shown("att", 2)}
    assert refused_by(filled, "plan_attempts", second) == "plan_attempts_plan_key"
    assert refused_by(filled, "plan_attempts", second | {"plan_id": "p"}) == "plan_attempts_plan_fkey"
    lost = row | {"attempt_id": shown("att", 9), "plan_id": other}
    assert refused_by(filled, "plan_attempts", lost) == "plan_attempts_attempt_fkey"
    early = second | {"plan_id": other, "settled_at": "2026-11-22T08:59:59Z"}
    assert refused_by(filled, "plan_attempts", early) == "plan_attempts_settled_after_begun"


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(TABLES)},
    )

    guards = {f"{table}_append_only" for table in APPEND_ONLY}
    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | IN_A_TEST_OF_ITS_OWN | guards


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_decided_is_never_rewritten(filled: psycopg.Connection[Any], table: str) -> None:
    column = next(iter(ROWS[table]))
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)


def test_the_application_deletes_nothing(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")
        for table in APPEND_ONLY:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET {next(iter(ROWS[table]))} = NULL")
