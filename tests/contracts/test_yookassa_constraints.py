"""PostgreSQL holds every truth of the contract by itself: each constraint, index and grant of 0009 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import (
    ACCOUNT,
    ATTEMPT,
    MERCHANT,
    NOW,
    ORDER,
    ROWS,
    STORE,
    TERMINAL,
    insert,
    refused_by,
    shown,
)
from tests.api.test_refund_constraints import REFUND, REFUSED

LINK, WEBHOOK = shown("csh"), shown("whk")
CASH_LINK = {
    "id": LINK, "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL, "bank_account": ACCOUNT,
    "status": "registered", "qrc_id": "A" * 32, "payload": "https://", "requested_at": NOW,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "yookassa_tills": {
        "merchant_id": MERCHANT, "gateway_id": "till-7", "terminal_id": TERMINAL, "created_at": NOW,
    },
    "yookassa_pos_links": {
        "cash_link_id": LINK, "merchant_id": MERCHANT, "gateway_id": "till-7", "is_active": True, "created_at": NOW,
    },
    "yookassa_payments": {
        "order_id": ORDER, "attempt_id": ATTEMPT, "merchant_id": MERCHANT, "gateway_id": "till-7",
        "confirmation_type": "qr", "metadata": "{}", "created_at": NOW,
    },
    "yookassa_refunds": {
        "refund_id": REFUND["id"], "order_id": ORDER, "merchant_id": MERCHANT, "metadata": "{}", "created_at": NOW,
    },
    "yookassa_webhooks": {
        "id": WEBHOOK, "merchant_id": MERCHANT, "event": "payment.succeeded", "url": "https://shop.example/",
        "created_at": NOW,
    },
}  # fmt: skip
TILL_2 = {"gateway_id": "till-8"}
PAYMENT_2 = {"order_id": shown("ord", 9), "attempt_id": shown("att", 9)}
REFUND_2 = {"refund_id": shown("ref", 9)}
WEBHOOK_2 = {"id": shown("whk", 2), "event": "payment.canceled"}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("yookassa_tills_pkey", "yookassa_tills", {"terminal_id": shown("ter", 9)}),
    ("yookassa_tills_merchant_id_fkey", "yookassa_tills", {"merchant_id": "m", "terminal_id": shown("ter", 8)}),
    ("yookassa_tills_terminal_id_fkey", "yookassa_tills", TILL_2 | {"terminal_id": shown("ter", 9)}),
    ("yookassa_tills_terminal_key", "yookassa_tills", TILL_2),
    ("yookassa_tills_gateway_is_printable", "yookassa_tills", {"gateway_id": "till 8"}),
    ("yookassa_pos_links_pkey", "yookassa_pos_links", {}),
    ("yookassa_pos_links_cash_link_id_fkey", "yookassa_pos_links", {"cash_link_id": shown("csh", 9)}),
    ("yookassa_pos_links_till_fkey", "yookassa_pos_links", {"cash_link_id": shown("csh", 2), "gateway_id": "x"}),
    ("yookassa_payments_pkey", "yookassa_payments", {"attempt_id": shown("att", 9)}),
    ("yookassa_payments_attempt_key", "yookassa_payments", {"order_id": shown("ord", 9)}),
    ("yookassa_payments_order_id_fkey", "yookassa_payments", PAYMENT_2 | {"attempt_id": shown("att", 2)}),
    ("yookassa_payments_attempt_id_fkey", "yookassa_payments", PAYMENT_2 | {"order_id": shown("ord", 2)}),
    ("yookassa_payments_till_fkey", "yookassa_payments",
     {"order_id": shown("ord", 2), "attempt_id": shown("att", 2), "gateway_id": "x"}),
    ("yookassa_payments_pos_link_id_fkey", "yookassa_payments",
     {"order_id": shown("ord", 2), "attempt_id": shown("att", 2), "confirmation_type": "external",
      "pos_link_id": "c"}),
    ("yookassa_payments_confirmation_is_known", "yookassa_payments", PAYMENT_2 | {"confirmation_type": "embedded"}),
    ("yookassa_payments_external_by_pos_link", "yookassa_payments", PAYMENT_2 | {"confirmation_type": "external"}),
    ("yookassa_payments_external_by_pos_link", "yookassa_payments", PAYMENT_2 | {"pos_link_id": LINK}),
    ("yookassa_payments_return_url_length", "yookassa_payments", PAYMENT_2 | {"return_url": "u" * 2049}),
    ("yookassa_payments_customer_id_length", "yookassa_payments", PAYMENT_2 | {"customer_id": ""}),
    ("yookassa_payments_metadata_is_object", "yookassa_payments", PAYMENT_2 | {"metadata": "[]"}),
    ("yookassa_refunds_pkey", "yookassa_refunds", {}),
    ("yookassa_refunds_refund_id_fkey", "yookassa_refunds", REFUND_2),
    ("yookassa_refunds_order_id_fkey", "yookassa_refunds", {"refund_id": shown("ref", 2), "order_id": "o"}),
    ("yookassa_refunds_merchant_id_fkey", "yookassa_refunds", {"refund_id": shown("ref", 2), "merchant_id": "m"}),
    ("yookassa_refunds_description_length", "yookassa_refunds", REFUND_2 | {"description": ""}),
    ("yookassa_refunds_metadata_is_object", "yookassa_refunds", REFUND_2 | {"metadata": "1"}),
    ("yookassa_webhooks_pkey", "yookassa_webhooks", {"event": "payment.canceled"}),
    ("yookassa_webhooks_merchant_id_fkey", "yookassa_webhooks", WEBHOOK_2 | {"merchant_id": "m"}),
    ("yookassa_webhooks_id_is_shown", "yookassa_webhooks", WEBHOOK_2 | {"id": "wh-1"}),
    ("yookassa_webhooks_event_is_known", "yookassa_webhooks", WEBHOOK_2 | {"event": "payment.failed"}),
    ("yookassa_webhooks_url_is_http", "yookassa_webhooks", WEBHOOK_2 | {"url": "ftp://shop.example/"}),
    ("yookassa_webhooks_one_live", "yookassa_webhooks", {"id": shown("whk", 2)}),
]  # fmt: skip


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of the contract."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in {**ROWS, "sbp_refunds": REFUND, "cash_links": CASH_LINK, **OWN}.items():
            insert(connection, table, row)
        insert(connection, "orders", ROWS["orders"] | {"id": shown("ord", 2), "number": "A-2"})
        insert(connection, "attempts", ROWS["attempts"] | {"id": shown("att", 2), "status": "expired"})
        insert(connection, "cash_links", CASH_LINK | {"id": shown("csh", 2), "qrc_id": "C" * 32})
        again = {"id": shown("ref", 2), "agent_request_id": "1" * 32, "hold_id": None, "fee_hold_id": None}
        insert(connection, "sbp_refunds", REFUND | again | REFUSED)
        connection.execute("UPDATE sbp_payments SET refund_kopecks = 60")
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


def test_a_removed_webhook_may_be_added_again(filled: psycopg.Connection[Any]) -> None:
    filled.execute("UPDATE yookassa_webhooks SET removed_at = %s", [NOW])

    insert(filled, "yookassa_webhooks", OWN["yookassa_webhooks"] | {"id": shown("whk", 2)})


@pytest.mark.parametrize("table", OWN)
def test_the_application_deletes_nothing(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
