"""PostgreSQL holds every truth of the contract by itself: each constraint, index and grant of 0026 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import ATTEMPT, EVENT, MERCHANT, NOW, ORDER, ROWS, insert, refused_by, shown

EARLIER = "2026-11-22T08:00:00Z"
REFUND = shown("itr")
CODE = "t=20261122T1200&s=480.00&fn=9289000100000000&i=17&fp=1234567890&n=1"
OWN: dict[str, dict[str, Any]] = {
    "koshelek_pay_partners": {
        "name": "lenta", "merchant_id": MERCHANT, "postback_url": "https://till.example/", "created_at": NOW,
        "changed_at": NOW,
    },
    "koshelek_pay_payments": {
        "order_id": ORDER, "attempt_id": ATTEMPT, "merchant_id": MERCHANT, "payment_type": "SBP", "total_kopecks": 100,
        "created_at": NOW,
    },
    "koshelek_pay_refunds": {
        "refund_id": REFUND, "order_id": ORDER, "request_id": "r-1", "items": "[]", "created_at": NOW,
        "total_kopecks": 10,
    },
    "koshelek_pay_receipts": {"order_id": ORDER, "code": CODE, "sent_at": NOW},
    "koshelek_pay_postbacks": {"event_id": EVENT, "order_id": ORDER, "body": b"{}", "created_at": NOW},
}  # fmt: skip
ORDER_2, ATTEMPT_2 = {"order_id": shown("ord", 2)}, {"attempt_id": shown("att", 2)}
PARTNER_2, EVENT_2 = {"name": "okey", "merchant_id": shown("mer", 2)}, {"event_id": shown("evt", 2)}
REFUND_2 = {"refund_id": shown("itr", 2), "request_id": "r-2"}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("koshelek_pay_partners_pkey", "koshelek_pay_partners", {"merchant_id": shown("mer", 2)}),
    ("koshelek_pay_partners_merchant_fkey", "koshelek_pay_partners", PARTNER_2 | {"merchant_id": shown("mer", 9)}),
    ("koshelek_pay_partners_merchant_key", "koshelek_pay_partners", {"name": "okey"}),
    ("koshelek_pay_partners_name_form", "koshelek_pay_partners", PARTNER_2 | {"name": "mer_1"}),
    ("koshelek_pay_partners_postback_is_http", "koshelek_pay_partners", PARTNER_2 | {"postback_url": "ftp://x/"}),
    ("koshelek_pay_partners_changed_later", "koshelek_pay_partners", PARTNER_2 | {"changed_at": EARLIER}),
    ("koshelek_pay_payments_pkey", "koshelek_pay_payments", ATTEMPT_2),
    ("koshelek_pay_payments_attempt_key", "koshelek_pay_payments", ORDER_2),
    ("koshelek_pay_payments_order_fkey", "koshelek_pay_payments", ATTEMPT_2 | {"order_id": shown("ord", 9)}),
    ("koshelek_pay_payments_attempt_fkey", "koshelek_pay_payments", ORDER_2 | {"attempt_id": shown("att", 9)}),
    ("koshelek_pay_payments_merchant_fkey", "koshelek_pay_payments", ORDER_2 | ATTEMPT_2 | {"merchant_id": "m"}),
    ("koshelek_pay_payments_type_form", "koshelek_pay_payments", ORDER_2 | ATTEMPT_2 | {"payment_type": "sbp"}),
    ("koshelek_pay_payments_session_is_shown", "koshelek_pay_payments", ORDER_2 | ATTEMPT_2 | {"session_id": "s"}),
    ("koshelek_pay_payments_total_positive", "koshelek_pay_payments", ORDER_2 | ATTEMPT_2 | {"total_kopecks": 0}),
    ("koshelek_pay_refunds_pkey", "koshelek_pay_refunds", {"request_id": "r-2"}),
    ("koshelek_pay_refunds_request_key", "koshelek_pay_refunds", {"refund_id": shown("itr", 2)}),
    ("koshelek_pay_refunds_payment_fkey", "koshelek_pay_refunds", REFUND_2 | {"order_id": shown("ord", 9)}),
    ("koshelek_pay_refunds_refund_fkey", "koshelek_pay_refunds", REFUND_2 | {"refund_id": shown("itr", 9)}),
    ("koshelek_pay_refunds_request_is_printable", "koshelek_pay_refunds", REFUND_2 | {"request_id": "я"}),
    ("koshelek_pay_refunds_items_are_a_list", "koshelek_pay_refunds", REFUND_2 | {"items": "{}"}),
    ("koshelek_pay_refunds_total_positive", "koshelek_pay_refunds", REFUND_2 | {"total_kopecks": 0}),
    ("koshelek_pay_receipts_pkey", "koshelek_pay_receipts", {}),
    ("koshelek_pay_receipts_payment_fkey", "koshelek_pay_receipts", {"order_id": shown("ord", 9)}),
    ("koshelek_pay_receipts_code_form", "koshelek_pay_receipts", ORDER_2 | {"code": "t=1"}),
    ("koshelek_pay_postbacks_pkey", "koshelek_pay_postbacks", {}),
    ("koshelek_pay_postbacks_event_fkey", "koshelek_pay_postbacks", {"event_id": shown("evt", 9)}),
    ("koshelek_pay_postbacks_payment_fkey", "koshelek_pay_postbacks", EVENT_2 | {"order_id": shown("ord", 9)}),
    ("koshelek_pay_postbacks_body_length", "koshelek_pay_postbacks", EVENT_2 | {"body": b""}),
]  # fmt: skip
BASKET = {
    "order_id": ORDER, "lines": "[1]", "gross_kopecks": 100, "amount_kopecks": 100, "created_at": NOW,
    "expires_at": "2026-11-22T10:00:00Z", "status": "confirmed", "ended_at": NOW, "refund_kopecks": 2,
}  # fmt: skip


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of the contract."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        insert(connection, "order_baskets", BASKET)
        for number in (1, 2):
            insert(connection, "item_refunds", {
                "id": shown("itr", number), "order_id": ORDER, "refund_id": shown("ref", number), "lines": "[1]",
                "amount_kopecks": 1, "created_at": NOW,
            })  # fmt: skip
        for table, row in OWN.items():
            insert(connection, table, row)
        insert(connection, "merchants", ROWS["merchants"] | {"id": shown("mer", 2)})
        insert(connection, "orders", ROWS["orders"] | {"id": shown("ord", 2), "number": "A-2"})
        insert(connection, "attempts", ROWS["attempts"] | {"id": shown("att", 2), "status": "expired"})
        insert(connection, "events", ROWS["events"] | {"id": shown("evt", 2), "sequence": 2})
        connection.commit()
        yield connection


@pytest.mark.parametrize("table", OWN)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, OWN[table] | change) == name
    known = filled.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'n'", [table]
    )
    assert {row[0] for row in known} - {name for name, of_table, _ in VIOLATIONS if of_table == table} == set()


@pytest.mark.parametrize("table", OWN)
def test_the_application_deletes_nothing_and_rewrites_no_money(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"UPDATE {table} SET created_at = now()"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
                connection.execute(statement)
