"""PostgreSQL holds every truth of collection by itself: each constraint, index and grant of 0015 and 0016 says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import MERCHANT, NOW, ROWS, insert, refused_by, shown
from tests.api.test_refund_constraints import refusal_of

BUYER, PLAN, OTHER, THIRD = shown("byr"), shown("pln"), shown("pln", 2), shown("pln", 3)
DAY, LATER_DAY = "2026-12-06", "2026-12-20"
PLAN_ROW = {
    "id": PLAN, "merchant_id": MERCHANT, "order_number": "A-1", "product_code": "dolyame", "product_version": 1,
    "price_kopecks": 400_00, "status": "completed", "standing": "current", "link_code": "link-1", "buyer_id": BUYER,
    "contract_on": "2026-11-22", "fee_basis_points": 690, "outstanding_kopecks": 300_00, "next_due_on": DAY,
    "created_at": NOW, "committed_at": NOW,
}  # fmt: skip
MOVEMENT = {
    "id": shown("mov"), "plan_id": PLAN, "kind": "snooze", "amount_kopecks": 0, "happened_at": NOW, "recorded_at": NOW,
    "reference": "one",
}  # fmt: skip
MOVEMENT_2 = MOVEMENT | {"id": shown("mov", 2), "reference": "two"}
CHARGE = {
    "id": shown("chg"), "plan_id": PLAN, "kind": "installment_payment", "due_on": DAY, "tries": 1,
    "amount_kopecks": 100_00, "collector": "card", "payment_id": shown("cpy"), "next_try_at": NOW, "created_at": NOW,
}  # fmt: skip
ENDED = {"ended_at": NOW, "next_try_at": None}
GONE = {"status": "refused", "payment_id": None, "id": shown("chg", 2), "due_on": LATER_DAY} | ENDED
TAKEN = {"status": "captured", "captured_kopecks": 100_00, "payment_id": shown("cpy", 2)} | ENDED
STAGE = {"plan_id": PLAN, "overdue_since": DAY, "stage": 1, "reached_on": "2026-12-07"}
DISPUTE = {"id": shown("dsp"), "plan_id": PLAN, "reason": "r", "opened_by": "key", "opened_at": NOW}
CLOSED = {"ruling": "buyer", "closed_by": "key", "closed_at": NOW}
RELIEF = {
    "id": shown("rlf"), "plan_id": PLAN, "kind": "snooze", "movement_id": shown("mov"), "reason": "r",
    "granted_by": "key", "granted_at": NOW,
}  # fmt: skip
RELIEF_2 = {"id": shown("rlf", 2), "kind": "waiver", "movement_id": shown("mov", 2)}
NOTICE = {
    "id": shown("ntc"), "plan_id": PLAN, "buyer_id": BUYER, "template": "reminder", "installment_number": 2,
    "stage": DAY, "lane": 0, "next_try_at": NOW, "created_at": NOW,
}  # fmt: skip
NOTICE_2 = {"id": shown("ntc", 2), "stage": "other"}
GOOD = {
    "plan_charges": CHARGE, "plan_dunning_stages": STAGE, "plan_disputes": DISPUTE, "plan_reliefs": RELIEF,
    "plan_notices": NOTICE,
}  # fmt: skip

VIOLATIONS: list[tuple[str, dict[str, Any]]] = [
    ("plan_charges_pkey", GONE | {"id": shown("chg")}),
    ("plan_charges_plan_fkey", GONE | {"plan_id": shown("pln", 9)}),
    ("plan_charges_payment_key", GONE | {"payment_id": shown("cpy")}),
    ("plan_charges_live_key", {"id": shown("chg", 2), "payment_id": None, "due_on": LATER_DAY}),
    ("plan_charges_live_key", {"id": shown("chg", 2), "payment_id": "p", "kind": "early_payment", "status": "unknown"}),
    ("plan_charges_round_key", GONE | {"due_on": DAY}),
    ("plan_charges_id_is_shown", GONE | {"id": "chg_1"}),
    ("plan_charges_kind_is_known", GONE | {"kind": "refund"}),
    ("plan_charges_tries_in_range", GONE | {"tries": 0}),
    ("plan_charges_tries_in_range", GONE | {"tries": 21}),
    ("plan_charges_amount_in_range", GONE | {"amount_kopecks": 0}),
    ("plan_charges_amount_in_range", GONE | {"amount_kopecks": 100_000_001}),
    ("plan_charges_collector_is_known", GONE | {"collector": "cash"}),
    ("plan_charges_status_is_known", {"id": shown("chg", 2), "status": "lost", "due_on": LATER_DAY, "payment_id": "p"}),
    ("plan_charges_named_once_asked", GONE | TAKEN | {"payment_id": None}),
    ("plan_charges_captured_when_so", GONE | TAKEN | {"captured_kopecks": 0}),
    ("plan_charges_captured_when_so", GONE | {"captured_kopecks": 1}),
    ("plan_charges_ended_when_over", GONE | {"ended_at": None}),
    ("plan_charges_watched_while_live", GONE | TAKEN | {"next_try_at": NOW}),
    ("plan_charges_watched_while_live", GONE | {"kind": "early_payment", "next_try_at": NOW}),
    ("plan_charges_watched_while_live", GONE | {"plan_id": OTHER, "status": "requested", "ended_at": None}),
    ("plan_charges_looks_not_negative", GONE | {"looks": -1}),
    ("plan_dunning_stages_pkey", {"reached_on": "2026-12-08"}),
    ("plan_dunning_stages_plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_dunning_stages_stage_in_range", {"stage": 0}),
    ("plan_dunning_stages_reached_in_time", {"stage": 3}),
    ("plan_disputes_pkey", CLOSED),
    ("plan_disputes_plan_fkey", {"id": shown("dsp", 2), "plan_id": shown("pln", 9)}),
    ("plan_disputes_open_key", {"id": shown("dsp", 2)}),
    ("plan_disputes_id_is_shown", CLOSED | {"id": "dsp_1"}),
    ("plan_disputes_reason_length", CLOSED | {"id": shown("dsp", 2), "reason": ""}),
    ("plan_disputes_reserved_not_negative", CLOSED | {"id": shown("dsp", 2), "reserved_kopecks": -1}),
    ("plan_disputes_ruling_is_known", CLOSED | {"id": shown("dsp", 2), "ruling": "court"}),
    ("plan_disputes_closed_whole", CLOSED | {"id": shown("dsp", 2), "ruling": None}),
    ("plan_disputes_closed_whole", CLOSED | {"id": shown("dsp", 2), "closed_by": None}),
    ("plan_reliefs_pkey", RELIEF_2 | {"id": shown("rlf")}),
    ("plan_reliefs_plan_fkey", RELIEF_2 | {"plan_id": shown("pln", 9)}),
    ("plan_reliefs_movement_fkey", RELIEF_2 | {"movement_id": shown("mov", 9)}),
    ("plan_reliefs_movement_key", RELIEF_2 | {"movement_id": shown("mov")}),
    ("plan_reliefs_id_is_shown", RELIEF_2 | {"id": "rlf_1"}),
    ("plan_reliefs_kind_is_known", RELIEF_2 | {"kind": "gift"}),
    ("plan_reliefs_reason_length", RELIEF_2 | {"reason": ""}),
    ("plan_reliefs_snoozed_once", RELIEF_2 | {"kind": "snooze"}),
    ("plan_notices_pkey", NOTICE_2 | {"id": shown("ntc")}),
    ("plan_notices_plan_fkey", NOTICE_2 | {"plan_id": shown("pln", 9)}),
    ("plan_notices_buyer_fkey", NOTICE_2 | {"buyer_id": shown("byr", 9)}),
    ("plan_notices_once_key", {"id": shown("ntc", 2)}),
    ("plan_notices_id_is_shown", NOTICE_2 | {"id": "ntc_1"}),
    ("plan_notices_template_is_known", NOTICE_2 | {"template": "poem"}),
    ("plan_notices_number_in_range", NOTICE_2 | {"installment_number": -1}),
    ("plan_notices_stage_length", NOTICE_2 | {"stage": "s" * 65}),
    ("plan_notices_lane_is_known", NOTICE_2 | {"lane": 3}),
    ("plan_notices_channel_is_known", NOTICE_2 | {"channel": "pigeon"}),
    ("plan_notices_language_is_known", NOTICE_2 | {"language": "la"}),
    ("plan_notices_status_is_known", NOTICE_2 | {"status": "lost"} | ENDED),
    ("plan_notices_tries_not_negative", NOTICE_2 | {"tries": -1}),
    ("plan_notices_watched_while_waiting", NOTICE_2 | {"next_try_at": None}),
    ("plan_notices_ended_when_over", NOTICE_2 | {"ended_at": NOW}),
    ("plan_notices_contact_of_dunning", NOTICE_2 | {"contacted_at": NOW}),
    ("plan_notices_cost_of_sent", NOTICE_2 | {"cost_kopecks": 1}),
    ("plan_notices_cost_of_sent", NOTICE_2 | {"status": "sent", "cost_kopecks": -1} | ENDED),
]


def table_of(name: str) -> str:
    return next(table for table in GOOD if name.startswith(table))


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table of collection."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        insert(connection, "buyers", {"id": BUYER, "phone": "+79160000001", "created_at": NOW})
        for number, plan_id in enumerate((PLAN, OTHER, THIRD)):
            own = {"id": plan_id, "order_number": f"A-{number}", "link_code": f"link-{number}"}
            insert(connection, "installment_plans", PLAN_ROW | own)
        for movement in (MOVEMENT, MOVEMENT_2):
            insert(connection, "plan_movements", movement)
        for table, row in GOOD.items():
            insert(connection, table, row)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_of_collection_refuses_what_it_must(filled: psycopg.Connection[Any]) -> None:
    found = [(name, refused_by(filled, table_of(name), GOOD[table_of(name)] | change)) for name, change in VIOLATIONS]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_no_constraint_of_collection_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY(CAST(%s AS regclass[])) AND contype <> 'n'
            UNION SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = ANY(CAST(%s AS regclass[])) AND i.indisunique""",
        [list(GOOD), list(GOOD)],
    )
    assert {row[0] for row in rows} == {name for name, _ in VIOLATIONS}


@pytest.mark.parametrize(
    "change",
    [
        "status = 'requested', next_try_at = now(), captured_kopecks = 0, ended_at = NULL",
        "captured_kopecks = 1",
        f"plan_id = '{OTHER}'",
    ],
)
def test_a_charge_that_took_its_money_never_changes(filled: psycopg.Connection[Any], change: str) -> None:
    filled.execute(
        "UPDATE plan_charges SET status = 'captured', captured_kopecks = 1000, next_try_at = NULL, ended_at = now()"
    )
    assert refusal_of(filled, f"UPDATE plan_charges SET {change}") == "plan_charges_final"


@pytest.mark.parametrize("table", GOOD)
def test_the_application_deletes_nothing_of_collection(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["plan_dunning_stages", "plan_reliefs"])
def test_the_application_rewrites_no_stage_and_no_relief(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"UPDATE {table} SET plan_id = plan_id")  # type: ignore[arg-type]
