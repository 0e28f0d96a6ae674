"""PostgreSQL holds every truth of plans by itself: each constraint, index and grant of their tables says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_card_payment_constraints import BACK, ROW
from tests.api.test_rail_constraints import MERCHANT, NOW, ROWS, insert, refused_by, shown
from tests.api.test_refund_constraints import refusal_of

BUYER, PLAN, OTHER = shown("byr"), shown("pln"), shown("pln", 2)
PAYMENT, PAYMENT_2, REFUND = shown("cpy"), shown("cpy", 2), shown("ref")
PAYMENT_ROW = ROW | {"attempt_id": None}
PAYMENT_2_ROW = PAYMENT_ROW | {
    "id": PAYMENT_2, "status": "refused", "captured_kopecks": 0, "refund_kopecks": 0, "captured_at": None,
    "entry_id": None, "acquirer_id": None, "ended_at": NOW,
}  # fmt: skip
PRODUCT = {
    "code": "four", "version": 1, "name": "Четыре", "effective_on": "2026-01-01", "installments": 4, "step": "days",
    "every": 14, "first_share_basis_points": 2500, "rounding": "kopeck_first", "price_min_kopecks": 100,
    "price_max_kopecks": 200, "order_lifetime_seconds": 60, "hold_lifetime_seconds": 60,
    "refund_policy": "proportional", "penalty_basis_points": 2000, "penalty_grace_days": 0,
    "is_committed_at_once": False, "is_fee_returned": True,
}  # fmt: skip
PRODUCT_2 = {"version": 2, "effective_on": "2026-02-01"}
TERMS = {
    "merchant_id": MERCHANT, "product_code": "dolyame", "effective_on": "2026-01-01", "fee_basis_points": 690,
    "price_min_kopecks": 100, "price_max_kopecks": 200,
}  # fmt: skip
TERMS_2 = {"effective_on": "2026-02-01"}
LICENCE = {"effective_on": "2026-04-01", "register_number": "1", "is_active": True, "capital_kopecks": 0}
LICENCE_2 = {"effective_on": "2026-05-01"}
PLAN_ROW = {
    "id": PLAN, "merchant_id": MERCHANT, "order_number": "A-1", "product_code": "dolyame", "product_version": 1,
    "price_kopecks": 400_00, "status": "completed", "standing": "current", "link_code": "link-1", "buyer_id": BUYER,
    "contract_on": "2026-11-22", "fee_basis_points": 690, "outstanding_kopecks": 300_00, "next_due_on": "2026-12-06",
    "first_payment_id": PAYMENT, "collector": "card", "card_token": "tok_0000000000000000000000001",
    "created_at": NOW, "committed_at": NOW,
}  # fmt: skip
PLAN_2 = {"id": OTHER, "order_number": "A-2", "link_code": "link-2"}
OWES_NOTHING = {"outstanding_kopecks": 0, "next_due_on": None}
NOTHING_OWED = OWES_NOTHING | {"standing": "none", "committed_at": None}
MOVEMENT = {
    "id": shown("mov"), "plan_id": PLAN, "kind": "credit_refund", "amount_kopecks": 60, "happened_at": NOW,
    "recorded_at": NOW, "reference": "one",
}  # fmt: skip
FIRST = {"payment_id": PAYMENT, "plan_id": PLAN, "number": 1, "created_at": NOW}
FIRST_2 = {"payment_id": PAYMENT_2, "number": 2}
RETURN = {
    "plan_id": PLAN, "refund_id": "r1", "kind": "return", "amount_kopecks": 1, "total_kopecks": 0, "created_at": NOW,
}  # fmt: skip
RETURN_2 = {"refund_id": "r2"}
CREDIT = {
    "card_refund_id": REFUND, "plan_id": PLAN, "payment_id": PAYMENT, "amount_kopecks": 60,
    "movement_id": shown("mov"), "created_at": NOW,
}  # fmt: skip
CHANGE = {
    "payment_id": PAYMENT, "plan_id": PLAN, "card_token": "tok_0000000000000000000000001", "consent": "by phone",
    "asked_by": "caller:key_1", "created_at": NOW,
}  # fmt: skip
CHANGE_2 = {"payment_id": PAYMENT_2, "plan_id": PLAN, "status": "replaced", "ended_at": NOW}
SENT_BACK = {
    "bank_reference": "out-1", "plan_id": PLAN, "amount_kopecks": 60, "refused_kopecks": 60, "created_at": NOW,
}  # fmt: skip
SENT_BACK_2 = {"bank_reference": "out-2"}
CREDIT_2 = {"card_refund_id": shown("ref", 2)}
URLS = {"plan_id": PLAN, "success_url": "https://shop.test/yes", "fail_url": "https://shop.test/no"}
URLS_2 = {"plan_id": OTHER}
SALE = {"id": shown("dsl"), "to_inn": "7707083893", "contract_number": "1", "proceeds_kopecks": 0, "sold_at": NOW}
SALE_2 = {"id": shown("dsl", 2), "contract_number": "2"}
GOOD: dict[str, dict[str, Any]] = {
    "installment_products": PRODUCT, "installment_merchant_terms": TERMS, "operator_licences": LICENCE,
    "plan_operator": {"merchant_id": MERCHANT}, "installment_plans": PLAN_ROW, "plan_first_payments": FIRST,
    "plan_refunds": RETURN, "plan_credit_refunds": CREDIT, "plan_return_urls": URLS,
    "plan_card_changes": CHANGE, "plan_bank_returns": SENT_BACK,
    "debt_sales": SALE, "debt_sale_plans": {"plan_id": PLAN, "sale_id": shown("dsl"), "amount_kopecks": 1},
}  # fmt: skip

VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("installment_products_pkey", {"effective_on": "2026-02-01"}),
    ("installment_products_effective_key", {"version": 2}),
    ("installment_products_code_form", PRODUCT_2 | {"code": "Four"}),
    ("installment_products_version_positive", PRODUCT_2 | {"version": 0}),
    ("installment_products_installments_in_range", PRODUCT_2 | {"installments": 1}),
    ("installment_products_installments_in_range", PRODUCT_2 | {"installments": 25}),
    ("installment_products_step_is_known", PRODUCT_2 | {"step": "weeks"}),
    ("installment_products_every_in_range", PRODUCT_2 | {"every": 0}),
    ("installment_products_every_in_range", PRODUCT_2 | {"every": 93}),
    ("installment_products_first_share_in_range", PRODUCT_2 | {"first_share_basis_points": -1}),
    ("installment_products_first_share_in_range", PRODUCT_2 | {"first_share_basis_points": 10_000}),
    ("installment_products_rounding_is_known", PRODUCT_2 | {"rounding": "up"}),
    ("installment_products_prices_in_order", PRODUCT_2 | {"price_min_kopecks": 0}),
    ("installment_products_prices_in_order", PRODUCT_2 | {"price_min_kopecks": 201}),
    ("installment_products_lifetimes_positive", PRODUCT_2 | {"order_lifetime_seconds": 0}),
    ("installment_products_lifetimes_positive", PRODUCT_2 | {"hold_lifetime_seconds": 0}),
    ("installment_products_policy_is_known", PRODUCT_2 | {"refund_policy": "none"}),
    ("installment_products_penalty_in_range", PRODUCT_2 | {"penalty_basis_points": 2001}),
    ("installment_products_penalty_in_range", PRODUCT_2 | {"penalty_grace_days": -1}),
    ("installment_merchant_terms_pkey", {}),
    ("installment_merchant_terms_merchant_fkey", TERMS_2 | {"merchant_id": shown("mer", 9)}),
    ("installment_merchant_terms_fee_in_range", TERMS_2 | {"fee_basis_points": -1}),
    ("installment_merchant_terms_fee_in_range", TERMS_2 | {"fee_basis_points": 10_000}),
    ("installment_merchant_terms_prices_in_order", TERMS_2 | {"price_min_kopecks": 0}),
    ("installment_merchant_terms_prices_in_order", TERMS_2 | {"price_min_kopecks": 201}),
    ("operator_licences_pkey", {}),
    ("operator_licences_number_given", LICENCE_2 | {"register_number": ""}),
    ("operator_licences_capital_not_negative", LICENCE_2 | {"capital_kopecks": -1}),
    ("plan_operator_pkey", {}),
    ("plan_operator_is_one", {"is_only": False}),
    ("installment_plans_pkey", PLAN_2 | {"id": PLAN}),
    ("installment_plans_merchant_fkey", PLAN_2 | {"merchant_id": shown("mer", 9)}),
    ("installment_plans_product_fkey", PLAN_2 | {"product_version": 9}),
    ("installment_plans_buyer_fkey", PLAN_2 | {"buyer_id": shown("byr", 9)}),
    ("installment_plans_payment_fkey", PLAN_2 | {"first_payment_id": shown("cpy", 9)}),
    ("installment_plans_order_key", PLAN_2 | {"order_number": "A-1"}),
    ("installment_plans_link_key", PLAN_2 | {"link_code": "link-1"}),
    ("installment_plans_id_is_shown", PLAN_2 | {"id": "pln_1"}),
    ("installment_plans_order_number_length", PLAN_2 | {"order_number": ""}),
    ("installment_plans_order_number_length", PLAN_2 | {"order_number": "n" * 45}),
    ("installment_plans_price_in_range", PLAN_2 | {"price_kopecks": 0}),
    ("installment_plans_price_in_range", PLAN_2 | {"price_kopecks": 100_000_001}),
    ("installment_plans_prepaid_not_negative", PLAN_2 | {"prepaid_kopecks": -1}),
    ("installment_plans_status_is_known", PLAN_2 | NOTHING_OWED | {"status": "lost"}),
    ("installment_plans_standing_is_known", PLAN_2 | OWES_NOTHING | {"standing": "lost"}),
    ("installment_plans_debt_after_commit", PLAN_2 | {"standing": "none"} | OWES_NOTHING),
    ("installment_plans_debt_after_commit", PLAN_2 | {"committed_at": None}),
    ("installment_plans_debt_after_commit", PLAN_2 | {"status": "canceled"}),
    ("installment_plans_terms_fixed_at_commit", PLAN_2 | {"buyer_id": None}),
    ("installment_plans_terms_fixed_at_commit", PLAN_2 | {"contract_on": None}),
    ("installment_plans_terms_fixed_at_commit", PLAN_2 | {"fee_basis_points": None}),
    ("installment_plans_outstanding_not_negative", PLAN_2 | {"outstanding_kopecks": -1, "next_due_on": None}),
    ("installment_plans_owed_while_open", PLAN_2 | {"standing": "repaid"}),
    ("installment_plans_due_while_owed", PLAN_2 | {"next_due_on": None}),
    ("installment_plans_due_while_owed", PLAN_2 | {"outstanding_kopecks": 0}),
    ("installment_plans_fee_not_negative", PLAN_2 | {"fee_kopecks": -1}),
    ("installment_plans_refunded_within_price", PLAN_2 | {"refunded_kopecks": 400_01}),
    ("installment_plans_refunded_within_price", PLAN_2 | {"refunded_kopecks": -1}),
    ("installment_plans_overpaid_not_negative", PLAN_2 | {"overpaid_kopecks": -1}),
    ("installment_plans_penalty_not_negative", PLAN_2 | {"penalty_kopecks": -1}),
    ("installment_plans_collector_is_known", PLAN_2 | {"collector": "cash"}),
    ("installment_plans_token_form", PLAN_2 | {"card_token": "2200000000000004"}),
    ("installment_plans_token_form", PLAN_2 | {"card_token": "tok"}),
    ("installment_plans_expire_before_commit", PLAN_2 | {"expires_at": NOW}),
    ("installment_plans_version_positive", PLAN_2 | {"version": 0}),
    ("plan_card_changes_pkey", CHANGE_2 | {"payment_id": PAYMENT}),
    ("plan_card_changes_payment_fkey", CHANGE_2 | {"payment_id": shown("cpy", 9)}),
    ("plan_card_changes_plan_fkey", CHANGE_2 | {"plan_id": shown("pln", 9)}),
    ("plan_card_changes_status_is_known", CHANGE_2 | {"status": "lost"}),
    ("plan_card_changes_consent_given", CHANGE_2 | {"consent": ""}),
    ("plan_card_changes_consent_given", CHANGE_2 | {"consent": "c" * 501}),
    ("plan_card_changes_ended_when_over", CHANGE_2 | {"ended_at": None}),
    ("plan_card_changes_settled_when_over", {"payment_id": PAYMENT_2, "settled_at": NOW}),
    ("plan_card_changes_reason_of_refusal", CHANGE_2 | {"status": "refused"}),
    ("plan_card_changes_reason_of_refusal", CHANGE_2 | {"reason": "declined"}),
    ("plan_card_changes_one_asked", {"payment_id": PAYMENT_2}),
    ("plan_first_payments_pkey", {"number": 2}),
    ("plan_first_payments_payment_fkey", {"payment_id": shown("cpy", 9), "number": 2}),
    ("plan_first_payments_plan_fkey", FIRST_2 | {"plan_id": shown("pln", 9)}),
    ("plan_first_payments_number_key", FIRST_2 | {"number": 1}),
    ("plan_first_payments_number_in_range", FIRST_2 | {"number": 0}),
    ("plan_first_payments_number_in_range", FIRST_2 | {"number": 6}),
    ("plan_refunds_pkey", {}),
    ("plan_refunds_plan_fkey", RETURN_2 | {"plan_id": shown("pln", 9)}),
    ("plan_refunds_id_length", {"refund_id": ""}),
    ("plan_refunds_id_length", {"refund_id": "r" * 65}),
    ("plan_refunds_kind_is_known", RETURN_2 | {"kind": "gift", "new_items": "[]"}),
    ("plan_refunds_amounts_not_negative", RETURN_2 | {"amount_kopecks": -1}),
    ("plan_refunds_amounts_not_negative", RETURN_2 | {"prepaid_kopecks": -1}),
    ("plan_refunds_amounts_not_negative", RETURN_2 | {"total_kopecks": -1}),
    ("plan_refunds_basket_of_correction", RETURN_2 | {"kind": "correction"}),
    ("plan_refunds_basket_of_correction", RETURN_2 | {"new_items": "[]"}),
    ("plan_credit_refunds_pkey", {}),
    ("plan_credit_refunds_refund_fkey", {"card_refund_id": shown("ref", 9)}),
    ("plan_credit_refunds_amount_positive", CREDIT_2 | {"amount_kopecks": 0}),
    ("plan_credit_refunds_refused_ended", CREDIT_2 | {"is_refused": True}),
    ("plan_bank_returns_pkey", {}),
    ("plan_bank_returns_plan_fkey", SENT_BACK_2 | {"plan_id": shown("pln", 9)}),
    ("plan_bank_returns_reference_form", {"bank_reference": ""}),
    ("plan_bank_returns_reference_form", {"bank_reference": "o" * 65}),
    ("plan_bank_returns_reference_form", {"bank_reference": "out 2"}),
    ("plan_bank_returns_amount_positive", SENT_BACK_2 | {"amount_kopecks": 0, "refused_kopecks": 0}),
    ("plan_bank_returns_refused_is_part", SENT_BACK_2 | {"refused_kopecks": -1}),
    ("plan_bank_returns_refused_is_part", SENT_BACK_2 | {"refused_kopecks": 61}),
    ("plan_return_urls_pkey", {}),
    ("plan_return_urls_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_return_urls_form", URLS_2 | {"success_url": "javascript:alert(1)"}),
    ("plan_return_urls_form", URLS_2 | {"fail_url": "https://shop.test/a b"}),
    ("debt_sales_pkey", SALE_2 | {"id": shown("dsl")}),
    ("debt_sales_contract_key", SALE_2 | {"contract_number": "1"}),
    ("debt_sales_id_is_shown", SALE_2 | {"id": "dsl_1"}),
    ("debt_sales_inn_form", SALE_2 | {"to_inn": "12345678901"}),
    ("debt_sales_contract_length", SALE_2 | {"contract_number": ""}),
    ("debt_sales_proceeds_not_negative", SALE_2 | {"proceeds_kopecks": -1}),
    ("debt_sale_plans_pkey", {}),
    ("debt_sale_plans_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("debt_sale_plans_amount_not_negative", {"plan_id": OTHER, "amount_kopecks": -1}),
]

UPDATES = {
    "plan_operator_merchant_fkey": f"UPDATE plan_operator SET merchant_id = '{shown('mer', 9)}'",
    "plan_credit_refunds_plan_fkey": f"UPDATE plan_credit_refunds SET plan_id = '{shown('pln', 9)}'",
    "plan_credit_refunds_payment_fkey": f"UPDATE plan_credit_refunds SET payment_id = '{shown('cpy', 9)}'",
    "plan_credit_refunds_movement_fkey": f"UPDATE plan_credit_refunds SET movement_id = '{shown('mov', 9)}'",
    "debt_sale_plans_sale_fkey": f"UPDATE debt_sale_plans SET sale_id = '{shown('dsl', 9)}'",
}
"""What a second row would be refused for by another key first."""


def table_of(name: str) -> str:
    return max((table for table in GOOD if name.startswith(table)), key=len)


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        insert(connection, "buyers", {"id": BUYER, "phone": "+79160000001", "created_at": NOW})
        for payment in (PAYMENT_ROW, PAYMENT_2_ROW):
            insert(connection, "card_payments", payment)
        insert(connection, "card_refunds", BACK)
        for table, row in GOOD.items():
            if table == "plan_credit_refunds":
                insert(connection, "plan_movements", MOVEMENT)
            insert(connection, table, row)
        insert(connection, "installment_plans", PLAN_ROW | PLAN_2 | {"first_payment_id": None})
        connection.execute("DELETE FROM installment_plans WHERE id = %s", [OTHER])
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_plans_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    found = [(name, refused_by(filled, table_of(name), GOOD[table_of(name)] | change)) for name, change in VIOLATIONS]
    wrong = [pair for pair in found if pair[0] != pair[1]]
    assert wrong == [], wrong


def test_no_constraint_of_plans_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY(CAST(%s AS regclass[])) AND contype <> 'n'
            UNION SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = ANY(CAST(%s AS regclass[])) AND i.indisunique""",
        [list(GOOD), list(GOOD)],
    )
    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS} | set(UPDATES)


@pytest.mark.parametrize("name", UPDATES)
def test_a_row_names_only_what_there_is(filled: psycopg.Connection[Any], name: str) -> None:
    assert refusal_of(filled, UPDATES[name]) == name


@pytest.mark.parametrize("table", GOOD)
def test_the_application_deletes_nothing_of_plans(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("installment_products", "name"), ("installment_merchant_terms", "fee_basis_points"),
        ("operator_licences", "is_active"), ("plan_operator", "merchant_id"), ("plan_refunds", "amount_kopecks"),
    ],
)  # fmt: skip
def test_the_application_rewrites_no_offer_and_no_refund(database: Any, table: str, column: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"UPDATE {table} SET {column} = {column}")  # type: ignore[arg-type]
