"""PostgreSQL holds every truth of buyers by itself: each constraint, index, trigger and grant of 0013 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import LATER, MERCHANT, NOW, ROWS, insert, refused_by, shown
from tests.api.test_refund_constraints import refusal_of

BUYER, PLAN, OTHER = shown("byr"), shown("pln"), shown("pln", 2)
DIGEST, SHORT = b"1" * 32, b"1" * 31
PLAN_ROW = {
    "id": PLAN, "merchant_id": MERCHANT, "order_number": "A-1", "product_code": "dolyame", "product_version": 1,
    "price_kopecks": 400_00, "status": "new", "link_code": "link-1", "created_at": NOW, "expires_at": LATER,
}  # fmt: skip
LIMIT = {
    "buyer_id": BUYER, "number": 1, "before_kopecks": 100, "limit_kopecks": 200, "reason": "r", "set_by": "p",
    "set_at": NOW,
}  # fmt: skip
LINE = {
    "id": shown("stp"), "kind": "phone", "digest": DIGEST, "reason": "r", "source": "s", "added_by": "p",
    "added_at": NOW,
}  # fmt: skip
CODE = {
    "id": shown("otc"), "buyer_id": BUYER, "purpose": "consent", "subject": PLAN, "digest": DIGEST, "tries_left": 5,
    "created_at": NOW, "expires_at": LATER,
}  # fmt: skip
CONSENT = {
    "id": shown("csn"), "buyer_id": BUYER, "plan_id": PLAN, "pack_digest": DIGEST, "text_version": "1",
    "code_id": shown("otc"), "given_at": NOW, "origin": "192.0.2.1",
}  # fmt: skip
POLICY = {
    "name": "house", "version": 2, "effective_on": "2027-01-01", "scoring": "history", "age_min": 18,
    "freeze_days_overdue": 3, "freeze_days_after": 14, "plans_max": 10, "first_plan_max_kopecks": 100,
    "share_after_arrears_basis_points": 5000,
}  # fmt: skip
DECISION = {
    "id": shown("dec"), "plan_id": PLAN, "buyer_id": BUYER, "policy": "house", "policy_version": 1,
    "outcome": "approved", "facts": "{}", "verdicts": '[{"rule": "age", "reason": null}]', "needs_bureau": False,
    "price_kopecks": 100, "used_kopecks": 100, "limit_kopecks": 200, "made_at": NOW,
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "buyers": {"id": BUYER, "phone": "+79160000001", "created_at": NOW},
    "buyer_limits": LIMIT,
    "stop_list_lines": LINE,
    "buyer_codes": CODE,
    "buyer_consents": CONSENT,
    "decision_policies": POLICY,
    "plan_bureau": {"is_ready": False},
    "plan_decisions": DECISION,
}
NEW = {"id": shown("byr", 2), "phone": "+79160000002"}
GONE = NEW | {"phone": None, "erased_at": NOW}
LINE_2 = {"id": shown("stp", 2), "kind": "document"}
CODE_2 = {"id": shown("otc", 2), "subject": OTHER}
USED = {"status": "used", "ended_at": NOW}
CONSENT_2 = {"id": shown("csn", 2), "plan_id": OTHER, "code_id": shown("otc", 3)}
POLICY_3 = {"version": 3, "effective_on": "2028-01-01"}
DECISION_2 = {"id": shown("dec", 2), "plan_id": OTHER}
VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("buyers_pkey", {"phone": "+79160000002"}),
    ("buyers_phone_key", {"id": shown("byr", 2)}),
    ("buyers_id_is_shown", NEW | {"id": "byr_1"}),
    ("buyers_phone_form", NEW | {"phone": "89160000001"}),
    ("buyers_phone_form", NEW | {"phone": "+0160000001"}),
    ("buyers_phone_until_erased", NEW | {"phone": None}),
    ("buyers_phone_until_erased", NEW | {"erased_at": NOW}),
    ("buyers_erased_wholly", GONE | {"first_name": "n"}),
    ("buyers_erased_wholly", GONE | {"last_name": "n"}),
    ("buyers_erased_wholly", GONE | {"middle_name": "n"}),
    ("buyers_erased_wholly", GONE | {"email": "a@b"}),
    ("buyers_erased_wholly", GONE | {"born_on": "1990-01-01"}),
    ("buyers_erased_wholly", GONE | {"phone_digest": DIGEST}),
    ("buyers_erased_wholly", GONE | {"document_digest": DIGEST}),
    ("buyers_erased_wholly", GONE | {"phone_verified_at": NOW}),
    ("buyers_names_length", NEW | {"first_name": ""}),
    ("buyers_names_length", NEW | {"last_name": "n" * 101}),
    ("buyers_names_length", NEW | {"middle_name": ""}),
    ("buyers_email_form", NEW | {"email": "no address"}),
    ("buyers_email_form", NEW | {"email": f"{'a' * 250}@b.ru"}),
    ("buyers_born_in_time", NEW | {"born_on": "1899-12-31"}),
    ("buyers_digest_length", NEW | {"phone_digest": SHORT}),
    ("buyers_digest_length", NEW | {"document_digest": SHORT}),
    ("buyers_identification_is_known", NEW | {"identification": "best", "identified_at": NOW, "identified_by": "b"}),
    ("buyers_identified_by_whom", NEW | {"identification": "full"}),
    ("buyers_identified_by_whom", NEW | {"identification": "full", "identified_at": NOW}),
    ("buyers_identified_by_whom", NEW | {"identified_by": "b"}),
    ("buyers_limit_in_range", NEW | {"limit_kopecks": -1}),
    ("buyers_limit_in_range", NEW | {"limit_kopecks": 100_000_001}),
    ("buyers_frozen_with_reason", NEW | {"frozen_at": NOW}),
    ("buyers_frozen_with_reason", NEW | {"frozen_reason": "r"}),
    ("buyers_version_positive", NEW | {"version": 0}),
    ("buyer_limits_pkey", {}),
    ("buyer_limits_buyer_fkey", {"buyer_id": shown("byr", 9)}),
    ("buyer_limits_number_positive", {"number": 0}),
    ("buyer_limits_limit_in_range", {"number": 2, "limit_kopecks": -1}),
    ("buyer_limits_limit_in_range", {"number": 2, "limit_kopecks": 100_000_001}),
    ("buyer_limits_limit_in_range", {"number": 2, "before_kopecks": -1}),
    ("buyer_limits_limit_changed", {"number": 2, "limit_kopecks": 100}),
    ("buyer_limits_reason_given", {"number": 2, "reason": ""}),
    ("buyer_limits_set_by_someone", {"number": 2, "set_by": ""}),
    ("stop_list_lines_pkey", {"kind": "document"}),
    ("stop_list_lines_in_force", {"id": shown("stp", 2)}),
    ("stop_list_lines_id_is_shown", LINE_2 | {"id": "stp_1"}),
    ("stop_list_lines_kind_is_known", LINE_2 | {"kind": "name"}),
    ("stop_list_lines_digest_length", LINE_2 | {"digest": SHORT}),
    ("stop_list_lines_reason_given", LINE_2 | {"reason": ""}),
    ("stop_list_lines_source_given", LINE_2 | {"source": ""}),
    ("stop_list_lines_added_by_someone", LINE_2 | {"added_by": ""}),
    ("stop_list_lines_removed_by_someone", LINE_2 | {"removed_at": NOW}),
    ("stop_list_lines_removed_by_someone", LINE_2 | {"removed_by": "p"}),
    ("stop_list_lines_removed_by_someone", LINE_2 | {"removed_by": "p", "removed_at": "2020-01-01T00:00:00Z"}),
    ("buyer_codes_pkey", {"subject": OTHER}),
    ("buyer_codes_one_open", {"id": shown("otc", 2)}),
    ("buyer_codes_buyer_fkey", CODE_2 | {"buyer_id": shown("byr", 9)}),
    ("buyer_codes_id_is_shown", CODE_2 | {"id": "otc_1"}),
    ("buyer_codes_purpose_is_known", CODE_2 | {"purpose": "fun"}),
    ("buyer_codes_subject_length", CODE_2 | {"subject": "s" * 65}),
    ("buyer_codes_digest_length", CODE_2 | {"digest": SHORT}),
    ("buyer_codes_status_is_known", CODE_2 | {"status": "lost", "ended_at": NOW}),
    ("buyer_codes_sending_is_known", CODE_2 | {"sending": "maybe"}),
    ("buyer_codes_tries_in_range", CODE_2 | {"tries_left": 11}),
    ("buyer_codes_no_tries_no_code", CODE_2 | {"tries_left": 0}),
    ("buyer_codes_no_tries_no_code", CODE_2 | USED | {"tries_left": 0}),
    ("buyer_codes_expire_later", CODE_2 | {"expires_at": NOW}),
    ("buyer_codes_ended_when_over", CODE_2 | {"ended_at": NOW}),
    ("buyer_codes_ended_when_over", CODE_2 | {"status": "over"}),
    ("buyer_consents_pkey", CONSENT_2 | {"id": shown("csn")}),
    ("buyer_consents_buyer_fkey", CONSENT_2 | {"buyer_id": shown("byr", 9)}),
    ("buyer_consents_plan_fkey", CONSENT_2 | {"plan_id": shown("pln", 9)}),
    ("buyer_consents_code_fkey", CONSENT_2 | {"code_id": shown("otc", 9)}),
    ("buyer_consents_plan_key", CONSENT_2 | {"plan_id": PLAN}),
    ("buyer_consents_code_key", CONSENT_2 | {"code_id": shown("otc")}),
    ("buyer_consents_id_is_shown", CONSENT_2 | {"id": "csn_1"}),
    ("buyer_consents_digest_length", CONSENT_2 | {"pack_digest": SHORT}),
    ("buyer_consents_version_given", CONSENT_2 | {"text_version": ""}),
    ("buyer_consents_origin_length", CONSENT_2 | {"origin": ""}),
    ("decision_policies_pkey", {"effective_on": "2028-01-01"}),
    ("decision_policies_effective_key", {"version": 3}),
    ("decision_policies_name_given", POLICY_3 | {"name": ""}),
    ("decision_policies_name_given", POLICY_3 | {"version": 0}),
    ("decision_policies_scoring_form", POLICY_3 | {"scoring": "Best!"}),
    ("decision_policies_age_of_majority", POLICY_3 | {"age_min": 17}),
    ("decision_policies_freeze_in_range", POLICY_3 | {"freeze_days_overdue": 0}),
    ("decision_policies_freeze_in_range", POLICY_3 | {"freeze_days_after": -1}),
    ("decision_policies_caps_in_range", POLICY_3 | {"plans_max": 0}),
    ("decision_policies_caps_in_range", POLICY_3 | {"first_plan_max_kopecks": 0}),
    ("decision_policies_caps_in_range", POLICY_3 | {"share_after_arrears_basis_points": 10_001}),
    ("plan_bureau_pkey", {}),
    ("plan_bureau_is_one", {"is_only": False}),
    ("plan_decisions_pkey", DECISION_2 | {"id": shown("dec")}),
    ("plan_decisions_plan_key", DECISION_2 | {"plan_id": PLAN}),
    ("plan_decisions_plan_fkey", DECISION_2 | {"plan_id": shown("pln", 9)}),
    ("plan_decisions_buyer_fkey", DECISION_2 | {"buyer_id": shown("byr", 9)}),
    ("plan_decisions_id_is_shown", DECISION_2 | {"id": "dec_1"}),
    ("plan_decisions_policy_given", DECISION_2 | {"policy": ""}),
    ("plan_decisions_policy_given", DECISION_2 | {"policy_version": 0}),
    ("plan_decisions_outcome_is_known", DECISION_2 | {"outcome": "maybe", "price_kopecks": 1, "used_kopecks": 0}),
    ("plan_decisions_rejected_with_reason", DECISION_2 | {"outcome": "rejected"}),
    ("plan_decisions_rejected_with_reason", DECISION_2 | {"reason": "r"}),
    ("plan_decisions_score_in_range", DECISION_2 | {"score": 1001}),
    ("plan_decisions_explained", DECISION_2 | {"verdicts": "[]"}),
    ("plan_decisions_explained", DECISION_2 | {"verdicts": "{}"}),
    ("plan_decisions_explained", DECISION_2 | {"facts": "[]"}),
    ("plan_decisions_sums_in_range", DECISION_2 | {"price_kopecks": 0}),
    ("plan_decisions_sums_in_range", DECISION_2 | {"used_kopecks": -1}),
    ("plan_decisions_sums_in_range", DECISION_2 | {"limit_kopecks": -1, "outcome": "rejected", "reason": "r"}),
    ("plan_decisions_within_limit", DECISION_2 | {"price_kopecks": 101}),
]


def table_of(name: str) -> str:
    return max((table for table in GOOD if name.startswith(table)), key=len)


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of buyers."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        for plan_id, number in ((PLAN, "A-1"), (OTHER, "A-2")):
            own = {"id": plan_id, "order_number": number, "link_code": number}
            insert(connection, "installment_plans", PLAN_ROW | own)
        for table, row in GOOD.items():
            if table != "plan_bureau":  # made with its table
                insert(connection, table, row)
        insert(connection, "buyer_codes", CODE | {"id": shown("otc", 3), "purpose": "phone"} | USED)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_buyers_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    found = [(name, refused_by(filled, table_of(name), GOOD[table_of(name)] | change)) for name, change in VIOLATIONS]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_buyers_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname AS name FROM pg_constraint
            WHERE conrelid = ANY(CAST(%(tables)s AS regclass[])) AND contype <> 'n'
           UNION SELECT indexrelid::regclass::text FROM pg_index
            WHERE indrelid = ANY(CAST(%(tables)s AS regclass[])) AND indisunique""",
        {"tables": list(GOOD)},
    )
    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("buyer_limits_append_only", "UPDATE buyer_limits SET reason = 'x'"),
        ("buyer_limits_append_only", "DELETE FROM buyer_limits"),
        ("plan_decisions_append_only", "UPDATE plan_decisions SET outcome = 'rejected', reason = 'x'"),
        ("plan_decisions_append_only", "DELETE FROM plan_decisions"),
        ("decision_policies_append_only", "UPDATE decision_policies SET age_min = 21"),
        ("decision_policies_append_only", "DELETE FROM decision_policies"),
        ("buyer_consents_only_forget", "UPDATE buyer_consents SET text_version = '2', origin = NULL"),
        ("buyer_consents_only_forget", "UPDATE buyer_consents SET pack_digest = sha256('x'), origin = NULL"),
        ("buyer_consents_only_forget", "UPDATE buyer_consents SET origin = '192.0.2.2'"),
        ("buyer_consents_append_only", "DELETE FROM buyer_consents"),
        ("buyer_codes_only_end", "UPDATE buyer_codes SET tries_left = tries_left + 1"),
        ("buyer_codes_only_end", "UPDATE buyer_codes SET digest = sha256('x')"),
        ("buyer_codes_only_end", "UPDATE buyer_codes SET expires_at = expires_at + interval '1 day'"),
        ("buyer_codes_only_end", "UPDATE buyer_codes SET status = 'open', ended_at = NULL WHERE status = 'used'"),
    ],
)
def test_what_was_said_of_a_buyer_stays_said(filled: psycopg.Connection[Any], name: str, change: str) -> None:
    assert refusal_of(filled, change) == name


def test_where_a_consent_came_from_may_be_forgotten(filled: psycopg.Connection[Any]) -> None:
    filled.execute("UPDATE buyer_consents SET origin = NULL")

    assert filled.execute("SELECT origin, text_version FROM buyer_consents").fetchall() == [(None, "1")]


@pytest.mark.parametrize("table", list(GOOD))
def test_the_application_deletes_nothing_of_buyers(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE buyer_limits SET reason = 'x'",
        "UPDATE plan_decisions SET outcome = 'approved'",
        "UPDATE decision_policies SET age_min = 21",
        "UPDATE buyer_codes SET digest = ''",
        "UPDATE buyer_codes SET expires_at = now()",
        "UPDATE buyer_consents SET text_version = ''",
        "UPDATE stop_list_lines SET digest = ''",
        "INSERT INTO plan_bureau (is_ready) VALUES (true)",
    ],
)
def test_the_application_rewrites_nothing_of_buyers(database: Any, change: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change.encode())
