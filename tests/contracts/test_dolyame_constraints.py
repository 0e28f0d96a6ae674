"""PostgreSQL holds every truth of the contract by itself: each constraint, index and grant of 0018 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import EVENT, MERCHANT, NOW, ROWS, insert, refused_by, shown
from tests.installments.test_collection_constraints import BUYER, PLAN, PLAN_ROW

OTHER = shown("pln", 2)
GOOD: dict[str, dict[str, Any]] = {
    "dolyame_shops": {"login": "shop-1", "merchant_id": MERCHANT, "product_code": "dolyame", "created_at": NOW},
    "dolyame_credentials": {
        "id": shown("dlc"), "login": "shop-1", "password_hash": b"1" * 32, "certificate_fingerprint": b"2" * 32,
        "created_at": NOW,
    },
    "dolyame_orders": {
        "plan_id": PLAN, "merchant_id": MERCHANT, "login": "shop-1", "client_info": "{}", "created_at": NOW,
    },
    "dolyame_refunds": {
        "id": shown("dlr"), "plan_id": PLAN, "operation": "refund", "body_digest": b"3" * 32, "created_at": NOW,
    },
    "dolyame_notifications": {
        "event_id": EVENT, "plan_id": PLAN, "status": "approved", "body": b"{}", "created_at": NOW,
    },
}  # fmt: skip
SHOP_2 = {"login": "shop-2"}
CREDENTIALS_2 = {"id": shown("dlc", 2), "password_hash": b"4" * 32}
ORDER_2 = {"plan_id": OTHER}
REFUND_2 = {"id": shown("dlr", 2), "body_digest": b"5" * 32}
EVENT_2 = {"event_id": shown("evt", 2)}
LONG = "https://" + "u" * 2048
VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("dolyame_shops_pkey", {}),
    ("dolyame_shops_merchant_fkey", SHOP_2 | {"merchant_id": shown("mer", 9)}),
    ("dolyame_shops_login_form", {"login": "a/b"}),
    ("dolyame_shops_login_form", {"login": "ab"}),
    ("dolyame_shops_profile_is_known", SHOP_2 | {"profile": "lenient"}),
    ("dolyame_credentials_pkey", {"password_hash": b"4" * 32}),
    ("dolyame_credentials_login_fkey", CREDENTIALS_2 | {"login": "nobody"}),
    ("dolyame_credentials_password_key", {"id": shown("dlc", 2)}),
    ("dolyame_credentials_id_is_shown", CREDENTIALS_2 | {"id": "dlc_1"}),
    ("dolyame_credentials_password_is_sha256", CREDENTIALS_2 | {"password_hash": b"secret"}),
    ("dolyame_credentials_fingerprint_is_sha256", CREDENTIALS_2 | {"certificate_fingerprint": b"f"}),
    ("dolyame_orders_pkey", {}),
    ("dolyame_orders_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("dolyame_orders_login_fkey", ORDER_2 | {"login": "nobody"}),
    ("dolyame_orders_merchant_fkey", ORDER_2 | {"merchant_id": shown("mer", 9)}),
    ("dolyame_orders_urls_are_http", ORDER_2 | {"notification_url": "ftp://shop.example/"}),
    ("dolyame_orders_urls_are_http", ORDER_2 | {"success_url": "javascript:alert(1)"}),
    ("dolyame_orders_urls_are_http", ORDER_2 | {"fail_url": LONG}),
    ("dolyame_orders_client_is_object", ORDER_2 | {"client_info": "[]"}),
    ("dolyame_orders_fiscalization_is_known", ORDER_2 | {"fiscalization": "maybe"}),
    ("dolyame_refunds_pkey", {"body_digest": b"5" * 32}),
    ("dolyame_refunds_plan_fkey", REFUND_2 | {"plan_id": shown("pln", 9)}),
    ("dolyame_refunds_id_is_shown", REFUND_2 | {"id": "dlr_1"}),
    ("dolyame_refunds_operation_is_known", REFUND_2 | {"operation": "gift"}),
    ("dolyame_refunds_digest_is_sha256", REFUND_2 | {"body_digest": b"d"}),
    ("dolyame_refunds_one_in_flight", {"id": shown("dlr", 2)}),
    ("dolyame_notifications_pkey", {}),
    ("dolyame_notifications_event_fkey", {"event_id": shown("evt", 9)}),
    ("dolyame_notifications_plan_fkey", EVENT_2 | {"plan_id": shown("pln", 9)}),
    ("dolyame_notifications_status_is_known", EVENT_2 | {"status": "new"}),
]


def table_of(name: str) -> str:
    return next(table for table in GOOD if name.startswith(table))


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of the contract."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        insert(connection, "events", ROWS["events"])
        insert(connection, "events", ROWS["events"] | {"id": shown("evt", 2), "sequence": 2})
        insert(connection, "buyers", {"id": BUYER, "phone": "+79160000001", "created_at": NOW})
        for number, plan_id in enumerate((PLAN, OTHER)):
            own = {"id": plan_id, "order_number": f"A-{number}", "link_code": f"link-{number}"}
            insert(connection, "installment_plans", PLAN_ROW | own)
        for table, row in GOOD.items():
            insert(connection, table, row)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_the_contract_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    found = [(name, refused_by(filled, table_of(name), GOOD[table_of(name)] | change)) for name, change in VIOLATIONS]

    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_the_contract_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY(CAST(%s AS regclass[])) AND contype <> 'n'
            UNION SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = ANY(CAST(%s AS regclass[])) AND i.indisunique""",
        [list(GOOD), list(GOOD)],
    )

    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS}


def test_an_answered_refund_may_be_made_again(filled: psycopg.Connection[Any]) -> None:
    filled.execute("UPDATE dolyame_refunds SET answered_at = %s", [NOW])

    insert(filled, "dolyame_refunds", GOOD["dolyame_refunds"] | {"id": shown("dlr", 2)})


@pytest.mark.parametrize("table", GOOD)
def test_the_application_deletes_nothing_of_the_contract(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_what_was_told_is_not_rewritten(database: Any) -> None:
    with (
        psycopg.connect(database.app_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE dolyame_notifications SET body = ''")
