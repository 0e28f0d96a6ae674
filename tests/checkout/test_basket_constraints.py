"""PostgreSQL holds every truth of baskets by itself: each constraint, trigger and grant of 0021 says no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from checkout.barcode import number_of
from tests.api.test_rail_constraints import LATER, MERCHANT, NOW, ORDER, STORE, TERMINAL, insert, refused_by, shown
from tests.api.test_rail_constraints import ROWS as OF_THE_RAIL

CARD, SCAN, REDEMPTION, BACK, OFFER = (shown(prefix) for prefix in ("lcd", "prs", "rdm", "itr", "rof"))
ORDER_2, ORDER_3 = shown("ord", 2), shown("ord", 3)
LINES = json.dumps([{}])
ROWS: dict[str, dict[str, Any]] = {
    "order_baskets": {
        "order_id": ORDER, "lines": LINES, "gross_kopecks": 200, "discount_kopecks": 20, "promo_kopecks": 30,
        "points_kopecks": 40, "offer_kopecks": 10, "amount_kopecks": 100, "points": 4, "loyalty_card_id": CARD,
        "presentment_id": SCAN, "redemption_id": REDEMPTION, "offer_rail": "sbp", "refund_kopecks": 60,
        "points_back": 2, "status": "confirmed", "created_at": NOW, "expires_at": LATER, "ended_at": NOW,
    },
    "order_offers": {"order_id": ORDER, "rail": "sbp", "discount_kopecks": 10, "note": "n"},
    "rail_offers": {
        "id": OFFER, "merchant_id": MERCHANT, "rail": "sbp", "basis_points": 200, "note": "n", "valid_from": NOW,
        "created_at": NOW,
    },
    "item_refunds": {
        "id": BACK, "order_id": ORDER, "refund_id": shown("ref"), "lines": LINES, "amount_kopecks": 60,
        "points_back": 2, "status": "succeeded", "created_at": NOW, "ended_at": NOW,
    },
}  # fmt: skip
BASKET_2 = {
    "order_id": ORDER_2, "presentment_id": None, "redemption_id": shown("rdm", 2), "refund_kopecks": 0,
    "points_back": 0, "status": "reserved", "ended_at": None,
}  # fmt: skip
OFFER_2 = {"id": shown("rof", 2), "rail": "card"}
BACK_2 = {
    "id": shown("itr", 2), "refund_id": shown("ref", 2), "status": "requested", "ended_at": None,
}  # fmt: skip
OPEN = {"status": "reserved", "ended_at": None}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("order_baskets_pkey", "order_baskets", BASKET_2 | {"order_id": ORDER}),
    ("order_baskets_order_fkey", "order_baskets", BASKET_2 | {"order_id": shown("ord", 9)}),
    ("order_baskets_card_fkey", "order_baskets", BASKET_2 | {"loyalty_card_id": shown("lcd", 9)}),
    ("order_baskets_presentment_fkey", "order_baskets", BASKET_2 | {"presentment_id": shown("prs", 9)}),
    ("order_baskets_presentment_key", "order_baskets", BASKET_2 | {"presentment_id": SCAN}),
    ("order_baskets_redemption_key", "order_baskets", BASKET_2 | {"redemption_id": REDEMPTION}),
    ("order_baskets_lines_in_range", "order_baskets", BASKET_2 | {"lines": "[]"}),
    ("order_baskets_lines_in_range", "order_baskets", BASKET_2 | {"lines": json.dumps([{}] * 501)}),
    ("order_baskets_sums_not_negative", "order_baskets", BASKET_2 | {"discount_kopecks": -1, "gross_kopecks": 179}),
    ("order_baskets_amount_in_range", "order_baskets", BASKET_2 | {"amount_kopecks": 0, "gross_kopecks": 100}),
    ("order_baskets_tenders_add_up", "order_baskets", BASKET_2 | {"gross_kopecks": 201}),
    ("order_baskets_points_have_a_card", "order_baskets", BASKET_2 | {"loyalty_card_id": None}),
    ("order_baskets_points_have_a_value", "order_baskets", BASKET_2 | {"points": 0}),
    ("order_baskets_promo_is_redeemed", "order_baskets", BASKET_2 | {"redemption_id": None}),
    ("order_baskets_offer_is_of_a_rail", "order_baskets", BASKET_2 | {"offer_rail": None}),
    ("order_baskets_refunds_within_amount", "order_baskets", {"order_id": ORDER_2, "refund_kopecks": 101}),
    ("order_baskets_points_back_within_points", "order_baskets", {"order_id": ORDER_2, "points_back": 5}),
    ("order_baskets_refunds_when_confirmed", "order_baskets", BASKET_2 | {"refund_kopecks": 1}),
    ("order_baskets_status_is_known", "order_baskets", BASKET_2 | {"status": "lost", "ended_at": NOW}),
    ("order_baskets_ended_when_over", "order_baskets", BASKET_2 | {"ended_at": NOW}),
    ("order_baskets_expires_later", "order_baskets", BASKET_2 | {"expires_at": NOW}),
    ("order_offers_pkey", "order_offers", {}),
    ("order_offers_basket_fkey", "order_offers", {"order_id": ORDER_2}),
    ("order_offers_rail_is_known", "order_offers", {"rail": "cash"}),
    ("order_offers_discount_positive", "order_offers", {"rail": "card", "discount_kopecks": 0}),
    ("order_offers_note_length", "order_offers", {"rail": "card", "note": ""}),
    ("rail_offers_pkey", "rail_offers", {"rail": "card"}),
    ("rail_offers_merchant_fkey", "rail_offers", OFFER_2 | {"merchant_id": shown("mer", 9)}),
    ("rail_offers_from_key", "rail_offers", {"id": shown("rof", 2)}),
    ("rail_offers_id_is_shown", "rail_offers", OFFER_2 | {"id": "rof_2"}),
    ("rail_offers_rail_is_known", "rail_offers", OFFER_2 | {"rail": "cash"}),
    ("rail_offers_share_in_range", "rail_offers", OFFER_2 | {"basis_points": 5_001}),
    ("rail_offers_note_length", "rail_offers", OFFER_2 | {"note": "n" * 141}),
    ("rail_offers_days_in_order", "rail_offers", OFFER_2 | {"valid_until": NOW}),
    ("item_refunds_pkey", "item_refunds", BACK_2 | {"id": BACK}),
    ("item_refunds_basket_fkey", "item_refunds", BACK_2 | {"order_id": ORDER_2}),
    ("item_refunds_refund_key", "item_refunds", BACK_2 | {"refund_id": shown("ref")}),
    ("item_refunds_id_is_shown", "item_refunds", BACK_2 | {"id": "itr_2"}),
    ("item_refunds_lines_in_range", "item_refunds", BACK_2 | {"lines": "[]"}),
    ("item_refunds_sums_not_negative", "item_refunds", BACK_2 | {"points_back": -1}),
    ("item_refunds_money_goes_by_a_refund", "item_refunds", BACK_2 | {"refund_id": None}),
    ("item_refunds_reason_length", "item_refunds", BACK_2 | {"reason": ""}),
    ("item_refunds_status_is_known", "item_refunds", BACK_2 | {"status": "lost", "ended_at": NOW}),
    ("item_refunds_ended_when_over", "item_refunds", BACK_2 | {"ended_at": NOW}),
]
AT_THE_END = {
    "order_baskets_agree": "UPDATE order_baskets SET amount_kopecks = 99, gross_kopecks = 199 WHERE order_id = %s",
    "item_refunds_agree": "INSERT INTO item_refunds (id, order_id, lines, amount_kopecks, points_back, created_at)"
    f" VALUES ('{shown('itr', 3)}', %s, '[1]', 0, 1, now())",
    "order_baskets_refunds_agree": "UPDATE order_baskets SET refund_kopecks = 61 WHERE order_id = %s",
}
"""Refused at the end of their transaction."""
FINAL = {
    "order_baskets_final": "UPDATE order_baskets SET status = 'reserved' WHERE order_id = %s",
    "item_refunds_final": "UPDATE item_refunds SET points_back = 1 WHERE order_id = %s",
}


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with a paid basket of which a part came back, and two bare orders."""
    with psycopg.connect(database.superuser_url) as connection:
        for table in ("merchants", "stores", "terminals", "orders"):
            insert(connection, table, OF_THE_RAIL[table])
        for number, order_id in enumerate((ORDER_2, ORDER_3), 2):
            insert(connection, "orders", OF_THE_RAIL["orders"] | {"id": order_id, "number": f"A-{number}"})
        card = {"id": CARD, "merchant_id": MERCHANT, "programme": "p", "number": number_of("000000001")}
        insert(connection, "loyalty_cards", card | {"issued_at": NOW})
        scan = {
            "id": SCAN, "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL, "loyalty_card_id": CARD,
            "is_payment_available": False, "rails": [], "unavailable_reason": "static_barcode", "presented_at": NOW,
        }  # fmt: skip
        insert(connection, "presentments", scan)
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    for name, table, change in VIOLATIONS:
        scan = {"presentment_id": None, "redemption_id": None, "promo_kopecks": 0, "gross_kopecks": 170}
        alone = scan if change.get("order_id") == ORDER_2 and len(change) == 2 and table == "order_baskets" else {}
        assert refused_by(filled, table, ROWS[table] | alone | change) == name, change


def refusal_at_the_end(connection: psycopg.Connection[Any], statement: str) -> str | None:
    with pytest.raises(psycopg.IntegrityError) as refusal, connection.transaction():
        connection.execute(statement.encode(), [ORDER])
    return refusal.value.diag.constraint_name


def test_what_has_ended_stays(filled: psycopg.Connection[Any]) -> None:
    assert {name: refusal_at_the_end(filled, statement) for name, statement in FINAL.items()} == {n: n for n in FINAL}


def test_what_belongs_together_agrees(filled: psycopg.Connection[Any]) -> None:
    filled.execute("ALTER TABLE order_baskets DISABLE TRIGGER order_baskets_final")
    filled.commit()
    together = AT_THE_END | {"orders_basket_agrees": "UPDATE orders SET amount_kopecks = 101 WHERE id = %s"}

    told = {name: refusal_at_the_end(filled, statement) for name, statement in together.items()}

    assert told == {name: name for name in together}


def test_no_constraint_of_baskets_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | AT_THE_END.keys() | FINAL.keys()


def test_the_application_neither_deletes_nor_rewrites(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (
            *(f"DELETE FROM {table}" for table in ROWS),
            "UPDATE order_offers SET discount_kopecks = 1",
            "UPDATE rail_offers SET basis_points = 1",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
