"""PostgreSQL holds every truth of the rail by itself: each constraint, trigger and grant of 0003 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

NOW = "2026-11-22T09:00:00Z"
LATER = "2026-11-22T09:15:00Z"
ONE = "00000000-0000-7000-8000-000000000001"
TWO = "00000000-0000-7000-8000-000000000002"


def shown(prefix: str, number: int = 1) -> str:
    return f"{prefix}_{number:026}"


MERCHANT, STORE, TERMINAL, ORDER = shown("mer"), shown("sto"), shown("ter"), shown("ord")
ATTEMPT, QR, PAYMENT, EVENT, RUN, PAYOUT = (shown(p) for p in ("att", "qr", "pay", "evt", "run", "pyo"))
ACCOUNT = "40702810000000000001"

ROWS: dict[str, dict[str, Any]] = {
    "events": {"id": EVENT, "type": "order.paid", "object_id": ORDER, "sequence": 1, "data": "{}", "created_at": NOW},
    "relay_positions": {"destination": "d"},
    "deliveries": {
        "event_id": EVENT, "destination": "d", "object_id": ORDER, "sequence": 1, "next_attempt_at": NOW,
    },
    "merchants": {
        "id": MERCHANT, "name": "n", "legal_name": "l", "inn": "7707083893", "bank_account_bik": "044525225",
        "bank_account_number": ACCOUNT, "tariff_group": "everyday", "created_at": NOW,
    },
    "stores": {"id": STORE, "merchant_id": MERCHANT, "name": "n", "address": "a", "created_at": NOW},
    "terminals": {
        "id": TERMINAL, "store_id": STORE, "merchant_id": MERCHANT, "name": "n", "created_at": NOW,
    },
    "orders": {
        "id": ORDER, "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL, "number": "A-1",
        "amount_kopecks": 100, "placed_at": NOW, "created_at": NOW,
    },
    "attempts": {"id": ATTEMPT, "order_id": ORDER, "rail": "sbp", "amount_kopecks": 100, "created_at": NOW},
    "sbp_merchants": {
        "merchant_id": MERCHANT, "nspk_merchant_id": "MA0000000001", "member_id": "100000000999",
        "bank_account": ACCOUNT, "created_at": NOW,
    },
    "qr_codes": {
        "id": QR, "attempt_id": ATTEMPT, "merchant_id": MERCHANT, "amount_kopecks": 100, "purpose": "p",
        "status": "registered", "qrc_id": "A" * 32, "payload": "https://", "requested_at": NOW, "expires_at": LATER,
        "next_poll_at": NOW,
    },
    "sbp_payments": {
        "id": PAYMENT, "qr_id": QR, "attempt_id": ATTEMPT, "merchant_id": MERCHANT, "trx_id": "A" * 32,
        "amount_kopecks": 100, "fee_kopecks": 1, "is_late": False, "entry_id": ONE, "paid_at": NOW, "recorded_at": NOW,
    },
    "sbp_parked_notifications": {"qrc_id": "A", "trx_id": "B", "body": "{}", "received_at": NOW},
    "tariffs": {
        "tariff_group": "everyday", "rail": "sbp", "valid_from_on": "2027-01-01", "basis_points": 40,
        "rounding": "down", "source": "s",
    },
    "payout_runs": {"id": RUN, "payouts": 1, "amount_kopecks": 100, "created_at": NOW},
    "payouts": {
        "id": PAYOUT, "run_id": RUN, "merchant_id": MERCHANT, "amount_kopecks": 100, "bank_account_bik": "044525225",
        "bank_account_number": ACCOUNT, "hold_id": ONE, "next_try_at": NOW, "created_at": NOW,
    },
}  # fmt: skip
"""One good row of each table, in the order of their dependence."""

EVENT_2 = {"id": shown("evt", 2), "sequence": 2}
DELIVERY_2 = {"destination": "e"}
MERCHANT_2 = {"id": shown("mer", 2)}
STORE_2 = {"id": shown("sto", 2)}
TERMINAL_2 = {"id": shown("ter", 2)}
ORDER_2 = {"id": shown("ord", 2), "number": "A-2"}
ATTEMPT_2 = {"id": shown("att", 2), "status": "expired"}
PAID = {"status": "paid", "payment_id": "pay"}
SBP_2 = {"merchant_id": shown("mer", 9), "nspk_merchant_id": "MA0000000002"}
QR_2 = {"id": shown("qr", 2), "attempt_id": shown("att", 9), "qrc_id": "B" * 32}
REFUSED_QR = {"status": "refused", "qrc_id": None, "payload": None, "next_poll_at": None}
PAYMENT_2 = {"id": shown("pay", 2), "qr_id": shown("qr", 9), "trx_id": "B" * 32, "entry_id": TWO}
TARIFF_2 = {"valid_from_on": "2028-01-01"}
RUN_2 = {"id": shown("run", 2)}
PAYOUT_2 = {"id": shown("pyo", 2), "merchant_id": shown("mer", 9), "hold_id": TWO}
SENT = {"status": "sent", "sent_at": NOW, "entry_id": ONE, "next_try_at": None}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("events_pkey", "events", {"sequence": 2}),
    ("events_sequence_key", "events", EVENT_2 | {"sequence": 1}),
    ("events_sequence_positive", "events", EVENT_2 | {"sequence": 0}),
    ("events_type_is_a_name", "events", EVENT_2 | {"type": "paid"}),
    ("events_id_is_shown", "events", EVENT_2 | {"id": "evt_1"}),
    ("relay_positions_pkey", "relay_positions", {}),
    ("deliveries_pkey", "deliveries", {"sequence": 2}),
    ("deliveries_order", "deliveries", {"event_id": shown("evt", 9)}),
    ("deliveries_event_id_fkey", "deliveries", DELIVERY_2 | {"event_id": shown("evt", 9)}),
    ("deliveries_state_is_known", "deliveries", DELIVERY_2 | {"state": "lost"}),
    ("deliveries_attempts_not_negative", "deliveries", DELIVERY_2 | {"attempts": -1}),
    ("deliveries_delivered_at_when_delivered", "deliveries", DELIVERY_2 | {"state": "delivered"}),
    ("deliveries_delivered_at_when_delivered", "deliveries", DELIVERY_2 | {"delivered_at": NOW}),
    ("merchants_pkey", "merchants", {}),
    ("merchants_id_is_shown", "merchants", {"id": "mer_1"}),
    ("merchants_name_length", "merchants", MERCHANT_2 | {"name": ""}),
    ("merchants_name_length", "merchants", MERCHANT_2 | {"legal_name": "l" * 201}),
    ("merchants_inn_is_digits", "merchants", MERCHANT_2 | {"inn": "77070838931"}),
    ("merchants_bik_is_digits", "merchants", MERCHANT_2 | {"bank_account_bik": "04452522"}),
    ("merchants_bank_account_is_digits", "merchants", MERCHANT_2 | {"bank_account_number": "4" * 19}),
    ("merchants_ogrn_is_digits", "merchants", MERCHANT_2 | {"ogrn": "10277001321951"}),
    ("stores_pkey", "stores", {}),
    ("stores_merchant_id_fkey", "stores", STORE_2 | {"merchant_id": shown("mer", 9)}),
    ("stores_id_is_shown", "stores", {"id": "sto_1"}),
    ("stores_name_length", "stores", STORE_2 | {"name": ""}),
    ("stores_name_length", "stores", STORE_2 | {"address": ""}),
    ("terminals_pkey", "terminals", {}),
    ("terminals_store_fkey", "terminals", TERMINAL_2 | {"merchant_id": shown("mer", 9)}),
    ("terminals_id_is_shown", "terminals", {"id": "ter_1"}),
    ("terminals_name_length", "terminals", TERMINAL_2 | {"name": ""}),
    ("orders_pkey", "orders", {"number": "A-2"}),
    ("orders_number_key", "orders", {"id": shown("ord", 2)}),
    ("orders_terminal_fkey", "orders", ORDER_2 | {"merchant_id": shown("mer", 9)}),
    ("orders_id_is_shown", "orders", ORDER_2 | {"id": "ord_1"}),
    ("orders_number_is_printable", "orders", ORDER_2 | {"number": " A"}),
    ("orders_amount_in_range", "orders", ORDER_2 | {"amount_kopecks": 0}),
    ("orders_amount_in_range", "orders", ORDER_2 | {"amount_kopecks": 100_000_001}),
    ("orders_description_length", "orders", ORDER_2 | {"description": "d" * 141}),
    ("orders_status_is_known", "orders", ORDER_2 | {"status": "lost"}),
    ("orders_paid_at_when_paid", "orders", ORDER_2 | {"status": "paid"}),
    ("orders_paid_at_when_paid", "orders", ORDER_2 | {"paid_at": NOW}),
    ("orders_version_positive", "orders", ORDER_2 | {"version": 0}),
    ("attempts_pkey", "attempts", {"status": "expired"}),
    ("attempts_order_id_fkey", "attempts", ATTEMPT_2 | {"order_id": shown("ord", 9)}),
    ("attempts_one_live", "attempts", {"id": shown("att", 2), "status": "unknown"}),
    ("attempts_id_is_shown", "attempts", ATTEMPT_2 | {"id": "att_1"}),
    ("attempts_rail_is_known", "attempts", ATTEMPT_2 | {"rail": "barter"}),
    ("attempts_amount_positive", "attempts", ATTEMPT_2 | {"amount_kopecks": 0}),
    ("attempts_status_is_known", "attempts", ATTEMPT_2 | {"status": "lost"}),
    ("attempts_payment_when_paid", "attempts", ATTEMPT_2 | {"status": "paid"}),
    ("attempts_payment_when_paid", "attempts", ATTEMPT_2 | {"payment_id": "pay"}),
    ("attempts_version_positive", "attempts", ATTEMPT_2 | {"version": 0}),
    ("sbp_merchants_pkey", "sbp_merchants", {"nspk_merchant_id": "MA0000000002"}),
    ("sbp_merchants_merchant_id_fkey", "sbp_merchants", SBP_2),
    ("sbp_merchants_nspk_key", "sbp_merchants", SBP_2 | {"nspk_merchant_id": "MA0000000001"}),
    ("sbp_merchants_nspk_id_form", "sbp_merchants", SBP_2 | {"nspk_merchant_id": "1"}),
    ("sbp_merchants_member_is_digits", "sbp_merchants", SBP_2 | {"member_id": "1"}),
    ("sbp_merchants_bank_account_is_digits", "sbp_merchants", SBP_2 | {"bank_account": "1"}),
    ("sbp_merchants_settlement_mode_is_known", "sbp_merchants", SBP_2 | {"settlement_mode": "netted"}),
    ("qr_codes_pkey", "qr_codes", QR_2 | {"id": QR}),
    ("qr_codes_attempt_id_fkey", "qr_codes", QR_2),
    ("qr_codes_merchant_id_fkey", "qr_codes", QR_2 | REFUSED_QR | {"attempt_id": ATTEMPT, "merchant_id": "m"}),
    ("qr_codes_registration_id_fkey", "qr_codes", QR_2 | REFUSED_QR | {"attempt_id": ATTEMPT, "registration_id": "s"}),
    ("qr_codes_qrc_id_key", "qr_codes", QR_2 | {"qrc_id": "A" * 32}),
    ("qr_codes_one_shown", "qr_codes", QR_2 | {"attempt_id": ATTEMPT}),
    ("qr_codes_id_is_shown", "qr_codes", QR_2 | {"id": "qr_1"}),
    ("qr_codes_amount_in_range", "qr_codes", QR_2 | {"amount_kopecks": 0}),
    ("qr_codes_status_is_known", "qr_codes", QR_2 | REFUSED_QR | {"status": "lost"}),
    ("qr_codes_qrc_id_form", "qr_codes", QR_2 | {"qrc_id": "a" * 32}),
    ("qr_codes_link_when_registered", "qr_codes", QR_2 | {"qrc_id": None, "payload": None}),
    ("qr_codes_link_when_registered", "qr_codes", QR_2 | {"payload": None}),
    ("qr_codes_lives_a_while", "qr_codes", QR_2 | {"expires_at": NOW}),
    ("qr_codes_watched_while_open", "qr_codes", QR_2 | {"next_poll_at": None}),
    ("qr_codes_watched_while_open", "qr_codes", QR_2 | {"status": "paid"}),
    ("qr_codes_polls_not_negative", "qr_codes", QR_2 | {"polls": -1}),
    ("sbp_payments_pkey", "sbp_payments", PAYMENT_2 | {"id": PAYMENT}),
    ("sbp_payments_qr_id_fkey", "sbp_payments", PAYMENT_2),
    ("sbp_payments_trx_id_key", "sbp_payments", PAYMENT_2 | {"trx_id": "A" * 32}),
    ("sbp_payments_qr_key", "sbp_payments", PAYMENT_2 | {"qr_id": QR}),
    ("sbp_payments_entry_key", "sbp_payments", PAYMENT_2 | {"entry_id": ONE}),
    ("sbp_payments_id_is_shown", "sbp_payments", PAYMENT_2 | {"id": "pay_1"}),
    ("sbp_payments_trx_id_form", "sbp_payments", PAYMENT_2 | {"trx_id": "1"}),
    ("sbp_payments_amount_positive", "sbp_payments", PAYMENT_2 | {"amount_kopecks": 0, "fee_kopecks": 0}),
    ("sbp_payments_fee_within_amount", "sbp_payments", PAYMENT_2 | {"fee_kopecks": 101}),
    ("sbp_payments_fee_within_amount", "sbp_payments", PAYMENT_2 | {"fee_kopecks": -1}),
    ("sbp_payments_late_pays_no_fee", "sbp_payments", PAYMENT_2 | {"is_late": True}),
    ("sbp_payments_bank_fee_within_amount", "sbp_payments", PAYMENT_2 | {"bank_fee_kopecks": 101}),
    ("sbp_payments_bank_fee_within_amount", "sbp_payments", PAYMENT_2 | {"bank_fee_kopecks": -1}),
    (
        "sbp_payments_direct_costs_us_nothing",
        "sbp_payments",
        PAYMENT_2 | {"settlement_mode": "direct", "bank_fee_kopecks": 1},
    ),
    ("sbp_payments_settlement_mode_is_known", "sbp_payments", PAYMENT_2 | {"settlement_mode": "netted"}),
    ("sbp_payments_of_one_offer", "sbp_payments", PAYMENT_2 | {"qr_id": None}),
    ("sbp_payments_of_one_offer", "sbp_payments", PAYMENT_2 | {"activation_id": shown("acv")}),
    ("sbp_payments_activation_id_fkey", "sbp_payments", PAYMENT_2 | {"qr_id": None, "activation_id": shown("acv")}),
    (
        "sbp_payments_unmatched_payment_id_fkey",
        "sbp_payments",
        PAYMENT_2 | {"qr_id": None, "unmatched_payment_id": shown("ump")},
    ),
    ("sbp_parked_notifications_pkey", "sbp_parked_notifications", {}),
    ("tariffs_pkey", "tariffs", {}),
    ("tariffs_basis_points_in_range", "tariffs", TARIFF_2 | {"basis_points": 10_001}),
    ("tariffs_cap_not_negative", "tariffs", TARIFF_2 | {"cap_kopecks": -1}),
    ("tariffs_rounding_is_known", "tariffs", TARIFF_2 | {"rounding": "even"}),
    ("payout_runs_pkey", "payout_runs", {}),
    ("payout_runs_id_is_shown", "payout_runs", {"id": "run_1"}),
    ("payout_runs_totals_agree", "payout_runs", RUN_2 | {"amount_kopecks": 0}),
    ("payout_runs_totals_agree", "payout_runs", RUN_2 | {"payouts": 0}),
    ("payouts_pkey", "payouts", PAYOUT_2 | {"id": PAYOUT}),
    ("payouts_run_id_fkey", "payouts", PAYOUT_2 | {"run_id": shown("run", 9), "merchant_id": MERCHANT}),
    ("payouts_merchant_id_fkey", "payouts", PAYOUT_2),
    ("payouts_one_of_run", "payouts", PAYOUT_2 | {"merchant_id": MERCHANT}),
    ("payouts_hold_key", "payouts", PAYOUT_2 | {"hold_id": ONE}),
    ("payouts_id_is_shown", "payouts", PAYOUT_2 | {"id": "pyo_1"}),
    ("payouts_amount_positive", "payouts", PAYOUT_2 | {"amount_kopecks": 0}),
    ("payouts_bik_is_digits", "payouts", PAYOUT_2 | {"bank_account_bik": "1"}),
    ("payouts_bank_account_is_digits", "payouts", PAYOUT_2 | {"bank_account_number": "1"}),
    ("payouts_status_is_known", "payouts", PAYOUT_2 | {"status": "lost", "next_try_at": None}),
    ("payouts_booked_when_sent", "payouts", PAYOUT_2 | SENT | {"entry_id": None}),
    ("payouts_booked_when_sent", "payouts", PAYOUT_2 | {"sent_at": NOW}),
    ("payouts_tried_while_open", "payouts", PAYOUT_2 | {"next_try_at": None}),
    ("payouts_tries_not_negative", "payouts", PAYOUT_2 | {"tries": -1}),
]
NEEDS_A_SECOND_ROW = {"sbp_merchants_registration_fkey", "sbp_payments_registration_id_fkey",
                      "attempts_one_paid", "payouts_entry_key", "sbp_payments_attempt_id_fkey",
                      "sbp_payments_merchant_id_fkey"}  # fmt: skip
"""Violated in tests of their own below."""
OF_CASH_LINKS = {
    "sbp_payments_activation_key", "sbp_payments_unmatched_payment_key", "sbp_payments_of_an_attempt",
}  # fmt: skip
"""Violated in ``test_cash_link_constraints``."""
OF_REFUNDS = {"sbp_payments_member_is_digits", "sbp_payments_payer_is_masked", "sbp_payments_refunds_within_amount",
              "sbp_payments_late_is_refunded", "sbp_payments_refunds_agree"}  # fmt: skip
"""Violated in ``test_refund_constraints``."""
OF_WEBHOOKS = {"deliveries_replayed_within_attempts"}
"""Violated in ``test_webhook_constraints``."""
NEVER_ALONE = {"stores_merchant_key", "terminals_place_key"}
"""Unique because the id is; there for foreign keys to point at."""
OF_BASKETS = {"orders_basket_agrees"}
"""Violated in tests/checkout/test_basket_constraints.py."""
APPEND_ONLY = ("events", "tariffs")


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of the rail."""
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


def refused_by(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> str | None:
    with pytest.raises(psycopg.IntegrityError) as refusal, connection.transaction():
        insert(connection, table, row)
    return refusal.value.diag.constraint_name


@pytest.mark.parametrize("table", ROWS)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, ROWS[table] | change) == name


def test_an_order_is_paid_by_one_attempt(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "attempts", ROWS["attempts"] | {"id": shown("att", 3)} | PAID)
    assert refused_by(filled, "attempts", ROWS["attempts"] | {"id": shown("att", 4)} | PAID) == "attempts_one_paid"


def test_an_entry_books_one_payout(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "payout_runs", ROWS["payout_runs"] | RUN_2)
    insert(filled, "payout_runs", ROWS["payout_runs"] | {"id": shown("run", 3)})
    sent = ROWS["payouts"] | SENT
    insert(filled, "payouts", sent | {"id": shown("pyo", 2), "run_id": RUN_2["id"], "hold_id": TWO})
    another = sent | {"id": shown("pyo", 3), "run_id": shown("run", 3), "hold_id": TWO.replace("2", "3")}
    assert refused_by(filled, "payouts", another) == "payouts_entry_key"


def test_payments_are_taken_by_a_known_registration_of_the_merchant(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "merchants", ROWS["merchants"] | MERCHANT_2)
    another = ROWS["sbp_merchants"] | SBP_2 | {"merchant_id": MERCHANT_2["id"], "registration_id": shown("sbr", 9)}
    assert refused_by(filled, "sbp_merchants", another) == "sbp_merchants_registration_fkey"
    insert(filled, "attempts", ROWS["attempts"] | ATTEMPT_2)
    insert(filled, "qr_codes", ROWS["qr_codes"] | QR_2 | {"attempt_id": ATTEMPT_2["id"]})
    payment = ROWS["sbp_payments"] | PAYMENT_2 | {"qr_id": QR_2["id"], "registration_id": "s"}
    assert refused_by(filled, "sbp_payments", payment) == "sbp_payments_registration_id_fkey"


def test_a_payment_is_of_a_known_attempt_and_merchant(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "attempts", ROWS["attempts"] | ATTEMPT_2)
    insert(filled, "qr_codes", ROWS["qr_codes"] | QR_2 | {"attempt_id": ATTEMPT_2["id"]})
    payment = ROWS["sbp_payments"] | PAYMENT_2 | {"qr_id": QR_2["id"]}
    assert refused_by(filled, "sbp_payments", payment | {"attempt_id": "a"}) == "sbp_payments_attempt_id_fkey"
    assert refused_by(filled, "sbp_payments", payment | {"merchant_id": "m"}) == "sbp_payments_merchant_id_fkey"


def test_no_constraint_of_the_rail_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    guards = {f"{table}_append_only" for table in APPEND_ONLY}
    elsewhere = NEEDS_A_SECOND_ROW | OF_BASKETS | OF_CASH_LINKS | OF_REFUNDS | OF_WEBHOOKS | NEVER_ALONE | guards
    tested = {name for name, _, _ in VIOLATIONS} | elsewhere
    assert {row[0] for row in rows} == tested


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_events_and_tariffs_are_never_rewritten(filled: psycopg.Connection[Any], table: str) -> None:
    column = next(iter(ROWS[table]))
    filled.execute("TRUNCATE deliveries")
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)


def test_the_application_deletes_nothing_and_publishes_by_the_function_alone(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in ROWS:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        for table in ("events", "tariffs"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                insert(connection, table, ROWS[table])
        for table in ("merchants", "stores", "terminals", "sbp_merchants", "sbp_payments", "payout_runs"):
            column = next(iter(ROWS[table]))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET {column} = {column}")
