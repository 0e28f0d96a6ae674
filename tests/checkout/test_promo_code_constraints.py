"""PostgreSQL holds every truth of promo codes by itself: each constraint, trigger and grant of 0023 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import LATER, MERCHANT, NOW, ORDER, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as OF_THE_RAIL

CODE, REDEMPTION, CARD = shown("pmc"), shown("rdm"), "lcd_1"
ROWS: dict[str, dict[str, Any]] = {
    "promo_codes": {
        "id": CODE, "merchant_id": MERCHANT, "code": "DRUG-200", "kind": "referral", "discount_kopecks": 200,
        "redemptions_max": 3, "buyer_redemptions_max": 1, "owner_key": CARD, "reward_kopecks": 300,
        "is_returnable": True, "valid_from": NOW, "created_at": NOW, "taken": 1,
    },
    "promo_redemptions": {
        "id": REDEMPTION, "promo_code_id": CODE, "merchant_id": MERCHANT, "kind": "referral", "order_id": ORDER,
        "buyer_key": "lcd_2", "buyer_use": 1, "discount_kopecks": 200, "reserved_at": NOW,
    },
}  # fmt: skip
CODE_2 = {"id": shown("pmc", 2), "code": "DRUG-300"}
DISCOUNT = CODE_2 | {
    "kind": "discount", "owner_key": None, "reward_kopecks": None, "redemptions_max": None, "taken": 0,
    "buyer_redemptions_max": None,
}  # fmt: skip
ORDER_2, ORDER_3 = shown("ord", 2), shown("ord", 3)
REDEMPTION_2 = {"id": shown("rdm", 2), "order_id": ORDER_2, "buyer_use": 2}
REWARDED = {"reward_code_id": CODE}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("promo_codes_pkey", "promo_codes", {"code": "DRUG-300"}),
    ("promo_codes_code_key", "promo_codes", {"id": shown("pmc", 2)}),
    ("promo_codes_merchant_fkey", "promo_codes", CODE_2 | {"merchant_id": shown("mer", 9)}),
    ("promo_codes_reward_fkey", "promo_codes", CODE_2 | {"reward_code_id": shown("pmc", 9)}),
    ("promo_codes_id_is_shown", "promo_codes", CODE_2 | {"id": "pmc_2"}),
    ("promo_codes_code_form", "promo_codes", CODE_2 | {"code": "drug"}),
    ("promo_codes_code_form", "promo_codes", CODE_2 | {"code": "AB"}),
    ("promo_codes_kind_is_known", "promo_codes", DISCOUNT | {"kind": "gift"}),
    ("promo_codes_one_discount", "promo_codes", CODE_2 | {"discount_basis_points": 100}),
    ("promo_codes_one_discount", "promo_codes", CODE_2 | {"discount_kopecks": None}),
    ("promo_codes_discount_in_range", "promo_codes", CODE_2 | {"discount_kopecks": 0}),
    ("promo_codes_discount_in_range", "promo_codes", CODE_2 | {"discount_kopecks_max": 100}),
    (
        "promo_codes_discount_in_range",
        "promo_codes",
        CODE_2 | {"discount_kopecks": None, "discount_basis_points": 10_001},
    ),
    ("promo_codes_basket_in_range", "promo_codes", CODE_2 | {"basket_kopecks_min": -1}),
    ("promo_codes_limits_in_range", "promo_codes", CODE_2 | {"redemptions_max": 1_000_001}),
    ("promo_codes_limits_in_range", "promo_codes", CODE_2 | {"buyer_redemptions_max": 0}),
    ("promo_codes_referral_has_owner", "promo_codes", CODE_2 | {"owner_key": None}),
    ("promo_codes_referral_has_owner", "promo_codes", CODE_2 | {"redemptions_max": None, "taken": 0}),
    ("promo_codes_referral_has_owner", "promo_codes", DISCOUNT | {"owner_key": CARD}),
    ("promo_codes_trial_once", "promo_codes", DISCOUNT | {"kind": "trial"}),
    ("promo_codes_trial_once", "promo_codes", DISCOUNT | {"kind": "trial", "buyer_redemptions_max": 2}),
    ("promo_codes_reward_of_referral", "promo_codes", DISCOUNT | {"reward_kopecks": 100}),
    ("promo_codes_reward_of_referral", "promo_codes", CODE_2 | {"reward_kopecks": 0}),
    ("promo_codes_reward_of_referral", "promo_codes", CODE_2 | REWARDED | {"reward_kopecks": None}),
    ("promo_codes_buyers_are_keys", "promo_codes", CODE_2 | {"owner_key": ""}),
    ("promo_codes_buyers_are_keys", "promo_codes", DISCOUNT | {"only_for": "l" * 65}),
    ("promo_codes_valid_a_while", "promo_codes", CODE_2 | {"valid_until": NOW}),
    ("promo_codes_taken_within_limit", "promo_codes", CODE_2 | {"taken": 4}),
    ("promo_codes_taken_within_limit", "promo_codes", DISCOUNT | {"taken": 1}),
    ("promo_codes_confirmed_are_taken", "promo_codes", CODE_2 | {"confirmed": 2}),
    ("promo_redemptions_pkey", "promo_redemptions", REDEMPTION_2 | {"id": REDEMPTION}),
    ("promo_redemptions_order_key", "promo_redemptions", REDEMPTION_2 | {"order_id": ORDER}),
    ("promo_redemptions_order_fkey", "promo_redemptions", REDEMPTION_2 | {"order_id": shown("ord", 9)}),
    ("promo_redemptions_code_fkey", "promo_redemptions", REDEMPTION_2 | {"promo_code_id": shown("pmc", 9)}),
    ("promo_redemptions_code_fkey", "promo_redemptions", REDEMPTION_2 | {"kind": "trial"}),
    ("promo_redemptions_id_is_shown", "promo_redemptions", REDEMPTION_2 | {"id": "rdm_2"}),
    ("promo_redemptions_buyer_is_key", "promo_redemptions", REDEMPTION_2 | {"buyer_key": ""}),
    ("promo_redemptions_use_of_buyer", "promo_redemptions", REDEMPTION_2 | {"buyer_use": 0}),
    ("promo_redemptions_use_of_buyer", "promo_redemptions", REDEMPTION_2 | {"buyer_key": None}),
    ("promo_redemptions_discount_in_range", "promo_redemptions", REDEMPTION_2 | {"discount_kopecks": 0}),
    ("promo_redemptions_status_is_known", "promo_redemptions", REDEMPTION_2 | {"status": "used"}),
    ("promo_redemptions_confirmed_at_when_confirmed", "promo_redemptions", REDEMPTION_2 | {"status": "confirmed"}),
    ("promo_redemptions_confirmed_at_when_confirmed", "promo_redemptions", REDEMPTION_2 | {"confirmed_at": NOW}),
    ("promo_redemptions_ended_at_when_ended", "promo_redemptions", REDEMPTION_2 | {"status": "released"}),
    ("promo_redemptions_ended_at_when_ended", "promo_redemptions", REDEMPTION_2 | {"ended_at": NOW}),
    ("promo_redemptions_one_buyer_use", "promo_redemptions", REDEMPTION_2 | {"buyer_use": 1}),
]
BELOW = {"promo_codes_reward_key", "promo_redemptions_one_trial", "promo_redemptions_forward"}
"""Violated in tests of their own."""
NEVER_ALONE = {"promo_codes_kind_key"}
"""Unique because the id is; there for the foreign key to point at."""


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with a code, its redemption, and two orders that have none."""
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("merchants", "stores", "terminals", "orders"):
            insert(connection, table, OF_THE_RAIL[table])
        for number, order_id in enumerate((ORDER_2, ORDER_3), 2):
            insert(connection, "orders", OF_THE_RAIL["orders"] | {"id": order_id, "number": f"A-{number}"})
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        assert refused_by(filled, table, ROWS[table] | change) == name, change


def test_a_reward_is_of_one_referral(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "promo_codes", ROWS["promo_codes"] | CODE_2 | REWARDED)
    third = ROWS["promo_codes"] | {"id": shown("pmc", 3), "code": "DRUG-400"} | REWARDED
    assert refused_by(filled, "promo_codes", third) == "promo_codes_reward_key"


def test_a_buyer_takes_one_trial_of_a_merchant(filled: psycopg.Connection[Any]) -> None:
    for number in (2, 3):
        trial = {"id": shown("pmc", number), "code": f"TRIAL-{number}", "kind": "trial", "buyer_redemptions_max": 1}
        insert(filled, "promo_codes", ROWS["promo_codes"] | DISCOUNT | trial)
    use = ROWS["promo_redemptions"] | REDEMPTION_2 | {"kind": "trial", "promo_code_id": shown("pmc", 2), "buyer_use": 1}
    insert(filled, "promo_redemptions", use)
    another = use | {"id": shown("rdm", 3), "order_id": ORDER_3, "promo_code_id": shown("pmc", 3)}
    assert refused_by(filled, "promo_redemptions", another) == "promo_redemptions_one_trial"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'returned', confirmed_at = now(), ended_at = now()",
        "status = 'reserved'",
        "status = 'confirmed', confirmed_at = now(), discount_kopecks = 1",
        "status = 'confirmed', confirmed_at = now(), buyer_key = 'lcd_3'",
    ],
)
def test_a_redemption_goes_forward_and_keeps_what_it_is(filled: psycopg.Connection[Any], change: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="does not go"):
        filled.execute(f"UPDATE promo_redemptions SET {change}".encode())


def test_no_constraint_of_promo_codes_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | BELOW | NEVER_ALONE


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM promo_codes",
        "DELETE FROM promo_redemptions",
        "UPDATE promo_codes SET redemptions_max = 4",
        "UPDATE promo_codes SET discount_kopecks = 1",
        "UPDATE promo_redemptions SET discount_kopecks = 1",
    ],
)
def test_the_application_neither_deletes_nor_rewrites_terms(database: Any, statement: str) -> None:
    with (
        psycopg.connect(database.app_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_a_code_may_be_ended_later_than_it_begins(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "promo_codes", ROWS["promo_codes"] | CODE_2 | {"valid_until": LATER, "ended_at": LATER})
