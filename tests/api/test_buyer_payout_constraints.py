"""PostgreSQL holds every truth of payouts to buyers by itself: each constraint and grant of 0010 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, ONE, ROWS, TWO, insert, refused_by, shown

GOOD = {
    "id": shown("bpo"), "merchant_id": MERCHANT, "member_id": "100000000999", "phone": "79123456789",
    "phone_mask": "0079******89", "bank_member_id": "100000000004", "amount_kopecks": 100, "purpose": "p",
    "hold_id": ONE, "next_try_at": NOW, "created_at": NOW,
}  # fmt: skip
SECOND = {"id": shown("bpo", 2), "hold_id": TWO}
OVER = {"phone": None, "next_try_at": None, "finished_at": NOW}
SENT = OVER | {"status": "sent", "entry_id": ONE}
REJECTED = OVER | {"status": "rejected"}

VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("buyer_payouts_pkey", {"hold_id": TWO}),
    ("buyer_payouts_merchant_id_fkey", SECOND | {"merchant_id": shown("mer", 9)}),
    ("buyer_payouts_hold_key", SECOND | {"hold_id": ONE}),
    ("buyer_payouts_id_is_shown", SECOND | {"id": "bpo_1"}),
    ("buyer_payouts_members_are_digits", SECOND | {"member_id": "1"}),
    ("buyer_payouts_members_are_digits", SECOND | {"bank_member_id": "1"}),
    ("buyer_payouts_phone_form", SECOND | {"phone": "89123456789"}),
    ("buyer_payouts_mask_form", SECOND | {"phone_mask": "79123456789"}),
    ("buyer_payouts_amount_in_range", SECOND | {"amount_kopecks": 99}),
    ("buyer_payouts_amount_in_range", SECOND | {"amount_kopecks": 100_000_001}),
    ("buyer_payouts_purpose_length", SECOND | {"purpose": ""}),
    ("buyer_payouts_purpose_length", SECOND | {"purpose": "p" * 141}),
    ("buyer_payouts_status_is_known", SECOND | OVER | {"status": "lost", "finished_at": None}),
    ("buyer_payouts_phone_while_open", SECOND | {"phone": None}),
    ("buyer_payouts_phone_while_open", SECOND | REJECTED | {"phone": "79123456789"}),
    ("buyer_payouts_tried_while_open", SECOND | {"next_try_at": None}),
    ("buyer_payouts_finished_when_over", SECOND | REJECTED | {"finished_at": None}),
    ("buyer_payouts_finished_when_over", SECOND | {"finished_at": NOW}),
    ("buyer_payouts_booked_when_sent", SECOND | SENT | {"entry_id": None}),
    ("buyer_payouts_booked_when_sent", SECOND | REJECTED | {"entry_id": ONE}),
    ("buyer_payouts_tries_not_negative", SECOND | {"tries": -1}),
    ("buyer_payouts_entry_key", SECOND | SENT),
]


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with a merchant, an open payout and a sent one."""
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("merchants", "sbp_merchants"):
            insert(connection, table, ROWS[table])
        insert(connection, "buyer_payouts", GOOD)
        insert(connection, "buyer_payouts", GOOD | SENT | {"id": shown("bpo", 3), "hold_id": TWO.replace("2", "3")})
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, change in VIOLATIONS:
        assert refused_by(filled, "buyer_payouts", GOOD | change) == name, change


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'buyer_payouts'::regclass AND contype <> 'n'"
    )

    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS}


def test_the_application_deletes_no_payout(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in ("DELETE FROM buyer_payouts", "TRUNCATE buyer_payouts"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
