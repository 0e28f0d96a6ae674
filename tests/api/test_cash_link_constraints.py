"""PostgreSQL holds every truth of plates, stickers and unmatched money by itself: each constraint of 0006 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import (
    ATTEMPT,
    ATTEMPT_2,
    LATER,
    MERCHANT,
    NOW,
    ONE,
    ORDER,
    PAYMENT_2,
    STORE,
    TERMINAL,
    TWO,
    insert,
    refused_by,
    shown,
)
from tests.api.test_rail_constraints import ROWS as RAIL_ROWS

LINK, ACTIVATION, STICKER, UNMATCHED, BINDING = (shown(prefix) for prefix in ("csh", "acv", "stk", "ump", "bnd"))
PLACE = {"merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL}
ACCOUNT = "40702810000000000001"

ROWS: dict[str, dict[str, Any]] = {
    "cash_link_reservations": {"qrc_id": "R" * 32, "merchant_id": MERCHANT, "reserved_at": NOW},
    "cash_links": {
        "id": LINK, **PLACE, "bank_account": ACCOUNT, "status": "registered", "qrc_id": "C" * 32,
        "payload": "https://", "requested_at": NOW,
    },
    "cash_link_activations": {
        "id": ACTIVATION, "cash_link_id": LINK, "attempt_id": ATTEMPT, "merchant_id": MERCHANT, "amount_kopecks": 100,
        "purpose": "p", "status": "waiting", "params_id": "p1", "requested_at": NOW, "expires_at": LATER,
        "next_poll_at": NOW,
    },
    "sbp_stickers": {
        "id": STICKER, **PLACE, "purpose": "p", "qrc_id": "S" * 32, "payload": "https://", "created_at": NOW,
    },
    "sbp_unmatched_payments": {
        "id": UNMATCHED, "merchant_id": MERCHANT, "sticker_id": STICKER, "reason": "sticker", "trx_id": "U" * 32,
        "amount_kopecks": 100, "settlement_mode": "collected", "entry_id": ONE, "paid_at": NOW, "recorded_at": NOW,
    },
    "account_bindings": {
        "id": BINDING, "merchant_id": MERCHANT, "buyer_reference": "b", "purpose": "p", "status": "bound",
        "qrc_id": "E" * 32, "payload": "https://", "subscription_id": "s", "payer_member_id": "1" * 12,
        "requested_at": NOW, "expires_at": LATER,
    },
    "binding_charges": {
        "attempt_id": ATTEMPT, "binding_id": BINDING, "requested_at": NOW, "next_try_at": NOW,
    },
}  # fmt: skip
"""One good row of each table, in the order of their dependence."""

LINK_2 = {"id": shown("csh", 2), "qrc_id": "D" * 32}
REQUESTED_LINK = {"status": "requested", "payload": None, "next_try_at": NOW}
ACTIVATION_2 = {"id": shown("acv", 2), "attempt_id": shown("att", 9), "params_id": "p2"}
OVER = {"status": "deactivated", "next_poll_at": None}
STICKER_2 = {"id": shown("stk", 2), "qrc_id": "T" * 32, "terminal_id": shown("ter", 9)}
UNMATCHED_2 = {"id": shown("ump", 2), "trx_id": "V" * 32, "entry_id": TWO}
BINDING_2 = {"id": shown("bnd", 2), "qrc_id": "F" * 32}
WAITING = {"status": "waiting", "subscription_id": None, "payer_member_id": None, "next_poll_at": NOW}
RETURNED = {"status": "returned", "returned_at": NOW}
MATCHED = {"status": "matched", "order_id": ORDER, "matched_at": NOW}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("cash_link_reservations_pkey", "cash_link_reservations", {}),
    ("cash_link_reservations_merchant_id_fkey", "cash_link_reservations", {"qrc_id": "X" * 32, "merchant_id": "m"}),
    ("cash_link_reservations_qrc_id_form", "cash_link_reservations", {"qrc_id": "x"}),
    ("cash_links_pkey", "cash_links", LINK_2 | {"id": LINK}),
    ("cash_links_terminal_fkey", "cash_links", LINK_2 | {"terminal_id": shown("ter", 9)}),
    ("cash_links_id_is_shown", "cash_links", LINK_2 | {"id": "csh_1"}),
    ("cash_links_bank_account_is_digits", "cash_links", LINK_2 | {"bank_account": "1"}),
    ("cash_links_status_is_known", "cash_links", LINK_2 | {"status": "lost", "payload": None}),
    ("cash_links_qrc_id_form", "cash_links", LINK_2 | {"qrc_id": "c"}),
    ("cash_links_qrc_id_key", "cash_links", {"id": shown("csh", 2)}),
    ("cash_links_link_when_registered", "cash_links", LINK_2 | {"payload": None}),
    ("cash_links_link_when_registered", "cash_links", LINK_2 | {"qrc_id": None}),
    ("cash_links_link_when_registered", "cash_links", LINK_2 | REQUESTED_LINK | {"payload": "https://"}),
    ("cash_links_tried_while_requested", "cash_links", LINK_2 | REQUESTED_LINK | {"next_try_at": None}),
    ("cash_links_tried_while_requested", "cash_links", LINK_2 | {"next_try_at": NOW}),
    ("cash_link_activations_pkey", "cash_link_activations", ACTIVATION_2 | OVER | {"id": ACTIVATION}),
    ("cash_link_activations_cash_link_id_fkey", "cash_link_activations", ACTIVATION_2 | {"cash_link_id": "c"}),
    ("cash_link_activations_attempt_id_fkey", "cash_link_activations", ACTIVATION_2 | OVER),
    ("cash_link_activations_attempt_key", "cash_link_activations", ACTIVATION_2 | OVER | {"attempt_id": ATTEMPT}),
    ("cash_link_activations_sale_key", "cash_link_activations", ACTIVATION_2 | OVER | {"params_id": "p1"}),
    ("cash_link_activations_one_live", "cash_link_activations", ACTIVATION_2),
    ("cash_link_activations_id_is_shown", "cash_link_activations", ACTIVATION_2 | OVER | {"id": "acv_1"}),
    ("cash_link_activations_amount_in_range", "cash_link_activations", ACTIVATION_2 | OVER | {"amount_kopecks": 0}),
    (
        "cash_link_activations_amount_in_range",
        "cash_link_activations",
        ACTIVATION_2 | OVER | {"amount_kopecks": 100_000_001},
    ),
    ("cash_link_activations_status_is_known", "cash_link_activations", ACTIVATION_2 | OVER | {"status": "lost"}),
    ("cash_link_activations_params_id_form", "cash_link_activations", ACTIVATION_2 | OVER | {"params_id": "a/b"}),
    (
        "cash_link_activations_params_when_live",
        "cash_link_activations",
        ACTIVATION_2 | OVER | {"status": "paid", "params_id": None},
    ),
    ("cash_link_activations_params_when_live", "cash_link_activations", ACTIVATION_2 | OVER | {"status": "refused"}),
    ("cash_link_activations_lives_a_while", "cash_link_activations", ACTIVATION_2 | OVER | {"expires_at": NOW}),
    (
        "cash_link_activations_lives_a_while",
        "cash_link_activations",
        ACTIVATION_2 | OVER | {"expires_at": "2026-11-22T09:20:01Z"},
    ),
    ("cash_link_activations_watched_while_live", "cash_link_activations", ACTIVATION_2 | {"next_poll_at": None}),
    ("cash_link_activations_watched_while_live", "cash_link_activations", ACTIVATION_2 | {"status": "deactivated"}),
    ("cash_link_activations_arms_positive", "cash_link_activations", ACTIVATION_2 | OVER | {"arms": 0}),
    ("cash_link_activations_polls_not_negative", "cash_link_activations", ACTIVATION_2 | OVER | {"polls": -1}),
    ("sbp_stickers_pkey", "sbp_stickers", STICKER_2 | {"id": STICKER}),
    ("sbp_stickers_terminal_fkey", "sbp_stickers", STICKER_2),
    ("sbp_stickers_one_of_terminal", "sbp_stickers", STICKER_2 | {"terminal_id": TERMINAL}),
    ("sbp_stickers_qrc_id_key", "sbp_stickers", STICKER_2 | {"qrc_id": "S" * 32}),
    ("sbp_stickers_id_is_shown", "sbp_stickers", STICKER_2 | {"id": "stk_1"}),
    ("sbp_stickers_qrc_id_form", "sbp_stickers", STICKER_2 | {"qrc_id": "s"}),
    ("sbp_stickers_amount_in_range", "sbp_stickers", STICKER_2 | {"amount_kopecks": 0}),
    ("sbp_unmatched_payments_pkey", "sbp_unmatched_payments", UNMATCHED_2 | {"id": UNMATCHED}),
    ("sbp_unmatched_payments_merchant_id_fkey", "sbp_unmatched_payments", UNMATCHED_2 | {"merchant_id": "m"}),
    ("sbp_unmatched_payments_sticker_id_fkey", "sbp_unmatched_payments", UNMATCHED_2 | {"sticker_id": "s"}),
    (
        "sbp_unmatched_payments_cash_link_id_fkey",
        "sbp_unmatched_payments",
        UNMATCHED_2 | {"sticker_id": None, "cash_link_id": "c"},
    ),
    ("sbp_unmatched_payments_registration_id_fkey", "sbp_unmatched_payments", UNMATCHED_2 | {"registration_id": "r"}),
    (
        "sbp_unmatched_payments_qr_id_fkey",
        "sbp_unmatched_payments",
        UNMATCHED_2 | {"sticker_id": None, "qr_id": "q"},
    ),
    ("sbp_unmatched_payments_order_id_fkey", "sbp_unmatched_payments", UNMATCHED_2 | MATCHED | {"order_id": "o"}),
    ("sbp_unmatched_payments_trx_id_key", "sbp_unmatched_payments", UNMATCHED_2 | {"trx_id": "U" * 32}),
    ("sbp_unmatched_payments_entry_key", "sbp_unmatched_payments", UNMATCHED_2 | {"entry_id": ONE}),
    ("sbp_unmatched_payments_id_is_shown", "sbp_unmatched_payments", UNMATCHED_2 | {"id": "ump_1"}),
    ("sbp_unmatched_payments_of_one_link", "sbp_unmatched_payments", UNMATCHED_2 | {"sticker_id": None}),
    ("sbp_unmatched_payments_of_one_link", "sbp_unmatched_payments", UNMATCHED_2 | {"cash_link_id": LINK}),
    (
        "sbp_unmatched_payments_of_one_link",
        "sbp_unmatched_payments",
        UNMATCHED_2 | {"qr_id": RAIL_ROWS["qr_codes"]["id"]},
    ),
    ("sbp_unmatched_payments_reason_is_known", "sbp_unmatched_payments", UNMATCHED_2 | {"reason": "luck"}),
    ("sbp_unmatched_payments_trx_id_form", "sbp_unmatched_payments", UNMATCHED_2 | {"trx_id": "1"}),
    ("sbp_unmatched_payments_amount_positive", "sbp_unmatched_payments", UNMATCHED_2 | {"amount_kopecks": 0}),
    (
        "sbp_unmatched_payments_settlement_mode_is_known",
        "sbp_unmatched_payments",
        UNMATCHED_2 | {"settlement_mode": "netted"},
    ),
    ("sbp_unmatched_payments_status_is_known", "sbp_unmatched_payments", UNMATCHED_2 | {"status": "lost"}),
    ("sbp_unmatched_payments_order_when_matched", "sbp_unmatched_payments", UNMATCHED_2 | {"status": "matched"}),
    ("sbp_unmatched_payments_order_when_matched", "sbp_unmatched_payments", UNMATCHED_2 | {"matched_at": NOW}),
    (
        "sbp_unmatched_payments_order_when_matched",
        "sbp_unmatched_payments",
        UNMATCHED_2 | RETURNED | {"order_id": ORDER},
    ),
    ("sbp_unmatched_payments_dated_when_returned", "sbp_unmatched_payments", UNMATCHED_2 | {"status": "returned"}),
    ("sbp_unmatched_payments_dated_when_returned", "sbp_unmatched_payments", UNMATCHED_2 | {"returned_at": NOW}),
    ("account_bindings_pkey", "account_bindings", BINDING_2 | {"id": BINDING}),
    ("account_bindings_merchant_id_fkey", "account_bindings", BINDING_2 | {"merchant_id": "m"}),
    ("account_bindings_qrc_id_key", "account_bindings", BINDING_2 | {"qrc_id": "E" * 32}),
    ("account_bindings_id_is_shown", "account_bindings", BINDING_2 | {"id": "bnd_1"}),
    ("account_bindings_qrc_id_form", "account_bindings", BINDING_2 | {"qrc_id": "e"}),
    ("account_bindings_reference_length", "account_bindings", BINDING_2 | {"buyer_reference": ""}),
    ("account_bindings_reference_length", "account_bindings", BINDING_2 | {"buyer_reference": "b" * 65}),
    ("account_bindings_status_is_known", "account_bindings", BINDING_2 | WAITING | {"status": "lost"}),
    ("account_bindings_consent_when_bound", "account_bindings", BINDING_2 | {"subscription_id": None}),
    ("account_bindings_consent_when_bound", "account_bindings", BINDING_2 | {"payer_member_id": None}),
    ("account_bindings_consent_when_bound", "account_bindings", BINDING_2 | WAITING | {"subscription_id": "s"}),
    ("account_bindings_lives_a_while", "account_bindings", BINDING_2 | {"expires_at": NOW}),
    ("account_bindings_watched_while_waiting", "account_bindings", BINDING_2 | {"next_poll_at": NOW}),
    ("account_bindings_watched_while_waiting", "account_bindings", BINDING_2 | WAITING | {"next_poll_at": None}),
    ("account_bindings_polls_not_negative", "account_bindings", BINDING_2 | {"polls": -1}),
    ("binding_charges_pkey", "binding_charges", {}),
    ("binding_charges_attempt_id_fkey", "binding_charges", {"attempt_id": shown("att", 9)}),
    ("binding_charges_refused_is_over", "binding_charges", {"attempt_id": shown("att", 9), "refusal": "RQ05041"}),
]
APART = {
    "cash_links_merchant_id_fkey", "sbp_stickers_merchant_id_fkey", "cash_link_activations_merchant_id_fkey",
    "sbp_unmatched_payments_one_of_order", "binding_charges_binding_id_fkey", "sbp_stickers_registration_id_fkey",
}  # fmt: skip
"""Violated in tests of their own below."""


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in (RAIL_ROWS | ROWS).items():
            insert(connection, table, row)
        connection.commit()
        yield connection


@pytest.mark.parametrize("table", ROWS)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, ROWS[table] | change) == name


def test_a_link_and_a_sticker_are_of_a_merchant_that_nspk_knows(filled: psycopg.Connection[Any]) -> None:
    place = {"merchant_id": shown("mer", 2), "store_id": shown("sto", 2), "terminal_id": shown("ter", 2)}
    insert(filled, "merchants", RAIL_ROWS["merchants"] | {"id": place["merchant_id"]})
    insert(filled, "stores", RAIL_ROWS["stores"] | {"id": place["store_id"], "merchant_id": place["merchant_id"]})
    insert(filled, "terminals", RAIL_ROWS["terminals"] | {"id": place["terminal_id"]} | {
        "store_id": place["store_id"], "merchant_id": place["merchant_id"],
    })  # fmt: skip
    insert(filled, "attempts", RAIL_ROWS["attempts"] | ATTEMPT_2)
    stranger = ACTIVATION_2 | OVER | {"attempt_id": ATTEMPT_2["id"], "merchant_id": place["merchant_id"]}

    assert refused_by(filled, "cash_links", ROWS["cash_links"] | LINK_2 | place) == "cash_links_merchant_id_fkey"
    assert refused_by(filled, "sbp_stickers", ROWS["sbp_stickers"] | STICKER_2 | place) == (
        "sbp_stickers_merchant_id_fkey"
    )
    another_till = {"id": shown("ter", 3)}
    insert(filled, "terminals", RAIL_ROWS["terminals"] | another_till)
    unregistered = STICKER_2 | {"terminal_id": another_till["id"], "registration_id": "r"}
    assert refused_by(filled, "sbp_stickers", ROWS["sbp_stickers"] | unregistered) == (
        "sbp_stickers_registration_id_fkey"
    )
    assert refused_by(filled, "cash_link_activations", ROWS["cash_link_activations"] | stranger) == (
        "cash_link_activations_merchant_id_fkey"
    )


def test_a_charge_is_by_a_known_binding(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "attempts", RAIL_ROWS["attempts"] | ATTEMPT_2)
    charge = ROWS["binding_charges"] | {"attempt_id": ATTEMPT_2["id"], "binding_id": "b"}
    assert refused_by(filled, "binding_charges", charge) == "binding_charges_binding_id_fkey"


def test_an_order_takes_one_unmatched_payment(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "sbp_unmatched_payments", ROWS["sbp_unmatched_payments"] | UNMATCHED_2 | MATCHED)
    third = {"id": shown("ump", 3), "trx_id": "W" * 32, "entry_id": TWO.replace("2", "3")}
    row = ROWS["sbp_unmatched_payments"] | third | MATCHED
    assert refused_by(filled, "sbp_unmatched_payments", row) == "sbp_unmatched_payments_one_of_order"


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        pytest.param("activation_id", ACTIVATION, "sbp_payments_activation_key", id="an activation"),
        pytest.param("unmatched_payment_id", UNMATCHED, "sbp_payments_unmatched_payment_key", id="unmatched money"),
    ],
)
def test_what_was_paid_once_is_not_paid_again(
    filled: psycopg.Connection[Any], column: str, value: str, name: str
) -> None:
    payment = RAIL_ROWS["sbp_payments"] | PAYMENT_2 | {"qr_id": None, column: value}
    insert(filled, "sbp_payments", payment)
    another = {"id": shown("pay", 3), "trx_id": "C" * 32, "entry_id": TWO.replace("2", "3")}
    assert refused_by(filled, "sbp_payments", payment | another) == name


def test_only_money_that_goes_back_has_no_attempt(filled: psycopg.Connection[Any]) -> None:
    payment = RAIL_ROWS["sbp_payments"] | PAYMENT_2 | {"attempt_id": None, "fee_kopecks": 0}
    returned = payment | {"qr_id": None, "unmatched_payment_id": UNMATCHED}
    taken = payment | {"qr_id": None, "activation_id": ACTIVATION, "is_late": True}

    for row in (returned | {"is_late": False}, taken):
        assert refused_by(filled, "sbp_payments", row) == "sbp_payments_of_an_attempt"
    insert(filled, "sbp_payments", returned | {"is_late": True})


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )
    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | APART


def test_the_application_deletes_nothing(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in ROWS:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        for table in ("cash_link_reservations", "sbp_stickers"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET qrc_id = qrc_id")
