"""PostgreSQL holds every truth of refunds by itself: each constraint, trigger and grant of 0005 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import LATER, NOW, ONE, PAYMENT, ROWS, TWO, insert, refused_by, shown

REFUND = {
    "id": shown("ref"), "payment_id": PAYMENT, "merchant_id": ROWS["merchants"]["id"], "amount_kopecks": 60,
    "is_automatic": False, "agent_request_id": "0" * 32, "hold_id": ONE, "fee_hold_id": ONE, "next_look_at": NOW,
    "created_at": NOW,
}  # fmt: skip
TRY = {"payment_id": PAYMENT, "number": 1, "refund_id": REFUND["id"], "asked_at": NOW}
REFUND_2 = {"id": shown("ref", 2), "agent_request_id": "1" * 32, "hold_id": TWO, "fee_hold_id": TWO}
TRY_2 = {"number": 2, "asked_at": "2026-11-22T10:00:00Z"}
ENDED = {"ended_at": NOW, "next_look_at": None}
KNOWN = {"opkc_request_id": "AR2"}
MOVED = {"status": "succeeded", "trx_id": "B" * 32, "entry_id": TWO} | ENDED | KNOWN
REFUSED = {"status": "refused", "refusal_code": "RQ05040"} | ENDED

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("sbp_refunds_pkey", "sbp_refunds", {"id": REFUND["id"]}),
    ("sbp_refunds_payment_id_fkey", "sbp_refunds", {"payment_id": shown("pay", 9)}),
    ("sbp_refunds_merchant_id_fkey", "sbp_refunds", {"merchant_id": shown("mer", 9)}),
    ("sbp_refunds_agent_request_key", "sbp_refunds", {"agent_request_id": "0" * 32}),
    ("sbp_refunds_hold_key", "sbp_refunds", {"hold_id": ONE}),
    ("sbp_refunds_fee_hold_key", "sbp_refunds", {"fee_hold_id": ONE}),
    ("sbp_refunds_id_is_shown", "sbp_refunds", {"id": "ref_1"}),
    ("sbp_refunds_amount_positive", "sbp_refunds", {"amount_kopecks": 0}),
    ("sbp_refunds_fee_within_amount", "sbp_refunds", {"fee_returned_kopecks": 61}),
    ("sbp_refunds_fee_within_amount", "sbp_refunds", {"fee_returned_kopecks": -1}),
    ("sbp_refunds_fee_within_amount", "sbp_refunds", {"fee_billed_kopecks": 61}),
    ("sbp_refunds_fee_one_way", "sbp_refunds", {"fee_returned_kopecks": 1, "fee_billed_kopecks": 1}),
    ("sbp_refunds_reason_length", "sbp_refunds", {"reason": ""}),
    ("sbp_refunds_reason_length", "sbp_refunds", {"reason": "r" * 141}),
    ("sbp_refunds_status_is_known", "sbp_refunds", {"status": "lost", "next_look_at": None}),
    ("sbp_refunds_agent_request_form", "sbp_refunds", {"agent_request_id": "G" * 32}),
    ("sbp_refunds_opkc_request_form", "sbp_refunds", {"opkc_request_id": "a/b"}),
    ("sbp_refunds_trx_id_form", "sbp_refunds", MOVED | {"trx_id": "b" * 32}),
    ("sbp_refunds_payee_is_masked", "sbp_refunds", {"payee_mask": "0079161234567"}),
    ("sbp_refunds_known_to_nspk", "sbp_refunds", {"status": "asked"}),
    ("sbp_refunds_moved_when_succeeded", "sbp_refunds", MOVED | {"trx_id": None}),
    ("sbp_refunds_moved_when_succeeded", "sbp_refunds", MOVED | {"entry_id": None}),
    ("sbp_refunds_moved_when_succeeded", "sbp_refunds", {"trx_id": "B" * 32}),
    ("sbp_refunds_refusal_is_said", "sbp_refunds", REFUSED | {"refusal_code": None}),
    ("sbp_refunds_ended_when_final", "sbp_refunds", REFUSED | {"ended_at": None}),
    ("sbp_refunds_ended_when_final", "sbp_refunds", {"ended_at": NOW}),
    ("sbp_refunds_looked_at_while_open", "sbp_refunds", {"next_look_at": None}),
    ("sbp_refunds_looked_at_while_open", "sbp_refunds", REFUSED | {"next_look_at": NOW}),
    ("sbp_refunds_counters_not_negative", "sbp_refunds", {"tries": -1}),
    ("sbp_refunds_counters_not_negative", "sbp_refunds", {"looks": -1}),
    ("sbp_refund_tries_pkey", "sbp_refund_tries", {"number": 1}),
    ("sbp_refund_tries_number_positive", "sbp_refund_tries", {"number": 0}),
    ("sbp_refund_tries_refund_id_fkey", "sbp_refund_tries", {"refund_id": shown("ref", 9)}),
    ("sbp_refund_tries_payment_id_fkey", "sbp_refund_tries", {"payment_id": shown("pay", 9)}),
    ("sbp_refund_tries_limits", "sbp_refund_tries", {"asked_at": LATER}),
]
OF_TWO_ROWS = {
    "sbp_refunds_opkc_request_key", "sbp_refunds_trx_id_key", "sbp_refunds_entry_key", "sbp_refunds_agree",
    "sbp_refunds_final",
}  # fmt: skip
"""Violated in tests of their own below."""


@pytest.fixture
def refunded(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one payment, 60 of its 100 kopecks under way back."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        insert(connection, "sbp_refunds", REFUND)
        insert(connection, "sbp_refund_tries", TRY)
        connection.execute("UPDATE sbp_payments SET refund_kopecks = 60")
        connection.commit()
        yield connection
        connection.rollback()


def refusal_of(connection: psycopg.Connection[Any], statement: str) -> str | None:
    with pytest.raises(psycopg.IntegrityError) as refusal, connection.transaction():
        connection.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}".encode())
    return refusal.value.diag.constraint_name


def test_every_constraint_of_refunds_refuses_what_it_must(refunded: psycopg.Connection[Any]) -> None:
    good = {"sbp_refunds": REFUND | REFUND_2, "sbp_refund_tries": TRY | TRY_2}
    found = [(name, refused_by(refunded, table, good[table] | change)) for name, table, change in VIOLATIONS]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_refunds_goes_untested(refunded: psycopg.Connection[Any]) -> None:
    rows = refunded.execute(
        """SELECT conname FROM pg_constraint
            WHERE conrelid IN ('sbp_refunds'::regclass, 'sbp_refund_tries'::regclass) AND contype <> 'n'
            UNION SELECT tgname FROM pg_trigger
            WHERE NOT tgisinternal AND tgrelid IN ('sbp_refunds'::regclass, 'sbp_refund_tries'::regclass)"""
    )
    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | OF_TWO_ROWS


@pytest.mark.parametrize("same", [{"opkc_request_id": "AR2"}, {"trx_id": "B" * 32}, {"entry_id": TWO}])
def test_nspks_ids_and_entries_are_of_one_refund(refunded: psycopg.Connection[Any], same: dict[str, str]) -> None:
    insert(refunded, "sbp_refunds", REFUND | REFUND_2 | MOVED)
    another = {"id": shown("ref", 3), "agent_request_id": "2" * 32, "hold_id": None, "fee_hold_id": None}
    ids = {"opkc_request_id": "AR3", "trx_id": "C" * 32, "entry_id": ONE}
    name = {"opkc_request_id": "opkc_request_key", "trx_id": "trx_id_key", "entry_id": "entry_key"}[next(iter(same))]
    assert refused_by(refunded, "sbp_refunds", REFUND | MOVED | another | ids | same) == f"sbp_refunds_{name}"


def test_the_counter_of_a_payment_is_the_sum_of_its_refunds(refunded: psycopg.Connection[Any]) -> None:
    assert refusal_of(refunded, "UPDATE sbp_payments SET refund_kopecks = 61") == "sbp_refunds_agree"
    assert refusal_of(refunded, "UPDATE sbp_refunds SET amount_kopecks = 59") == "sbp_refunds_agree"
    refused = "status = 'refused', refusal_code = 'RQ05040', ended_at = now(), next_look_at = NULL"
    assert refusal_of(refunded, f"UPDATE sbp_refunds SET {refused}") == "sbp_refunds_agree"
    with refunded.transaction():
        refunded.execute(f"UPDATE sbp_refunds SET {refused}".encode())
        refunded.execute("UPDATE sbp_payments SET refund_kopecks = 0")


def test_no_more_goes_back_than_came(refunded: psycopg.Connection[Any]) -> None:
    assert refusal_of(refunded, "UPDATE sbp_payments SET refund_kopecks = 101") == "sbp_payments_refunds_within_amount"
    assert refusal_of(refunded, "UPDATE sbp_payments SET refund_kopecks = -1") == "sbp_payments_refunds_within_amount"


def test_a_payment_keeps_a_mask_and_a_member_and_only_late_money_is_planned(refunded: psycopg.Connection[Any]) -> None:
    whole = "UPDATE sbp_payments SET payer_mask = '0079161234512'"
    assert refusal_of(refunded, whole) == "sbp_payments_payer_is_masked"
    assert refusal_of(refunded, "UPDATE sbp_payments SET member_id = '1'") == "sbp_payments_member_is_digits"
    assert refusal_of(refunded, "UPDATE sbp_payments SET next_refund_at = now()") == "sbp_payments_late_is_refunded"


def test_an_ended_refund_is_never_touched_again(refunded: psycopg.Connection[Any]) -> None:
    with refunded.transaction():
        refunded.execute(
            """UPDATE sbp_refunds SET status = 'refused', refusal_code = 'RQ05040', ended_at = now(),
                      next_look_at = NULL"""
        )
        refunded.execute("UPDATE sbp_payments SET refund_kopecks = 0")
    assert refusal_of(refunded, "UPDATE sbp_refunds SET looks = 1") == "sbp_refunds_final"


def test_five_tries_a_day_are_the_most_without_those_never_heard(refunded: psycopg.Connection[Any]) -> None:
    for number in range(2, 6):
        heard, unheard = f"2026-11-22T{number * 2 + 8}:00:00Z", f"2026-11-22T{number * 2 + 7}:30:00Z"
        insert(refunded, "sbp_refund_tries", TRY | {"number": number + 10, "asked_at": unheard, "is_unheard": True})
        insert(refunded, "sbp_refund_tries", TRY | {"number": number, "asked_at": heard})
    sixth = TRY | {"number": 6, "asked_at": "2026-11-22T21:00:00Z"}
    assert refused_by(refunded, "sbp_refund_tries", sixth) == "sbp_refund_tries_limits"
    insert(refunded, "sbp_refund_tries", sixth | {"asked_at": "2026-11-23T09:00:00Z"})


def test_the_application_deletes_no_refund_and_rewrites_no_try(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (
            "DELETE FROM sbp_refunds", "DELETE FROM sbp_refund_tries", "TRUNCATE sbp_refund_tries",
            "UPDATE sbp_refund_tries SET asked_at = now()", "UPDATE sbp_payments SET amount_kopecks = 1",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
