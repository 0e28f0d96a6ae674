"""PostgreSQL holds every truth of what is shown and told by itself: each constraint, trigger and grant of 0017."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.api.test_rail_constraints import MERCHANT, NOW, ROWS, refused_by, shown
from tests.api.test_rail_constraints import insert as insert_row

PLAN, OTHER_PLAN, BUYER = shown("pln"), shown("pln", 2), shown("byr")
HASH = hashlib.sha256(b"x").hexdigest()
PLAN_ROW: dict[str, Any] = {
    "id": PLAN, "merchant_id": MERCHANT, "order_number": "A-1", "product_code": "dolyame", "product_version": 1,
    "price_kopecks": 100, "link_code": "l" * 32, "created_at": NOW, "expires_at": NOW,
}  # fmt: skip
DOCUMENT = {
    "id": shown("doc"), "plan_id": PLAN, "kind": "pack", "number": 1, "language": "ru", "text_version": 1,
    "issued_on": "2026-11-22", "issued_at": NOW, "content": "{}",
}  # fmt: skip
FILE = {"document_id": shown("doc"), "format": "html", "sha256": HASH, "bytes": b"x", "made_at": NOW}
EVENT = {
    "id": shown("bur"), "plan_id": PLAN, "sequence": 1, "kind": "opened", "cause": "c", "happened_on": "2026-11-22",
    "recorded_at": NOW, "facts": "{}",
}  # fmt: skip
DELIVERY = {"event_id": shown("bur"), "plan_id": PLAN, "sequence": 1, "next_attempt_at": NOW}
PROFILE = {"merchant_id": MERCHANT, "effective_on": "2026-11-22", "profile": "merchant"}
SAID_PROFILE = {"plan_id": PLAN, "said_at": NOW, "profile": "operator_on_behalf"}
RECEIPT = {
    "id": shown("rcp"), "plan_id": PLAN, "merchant_id": MERCHANT, "profile": "merchant", "stage": "prepayment",
    "cause": "c", "is_return": False, "method_tag": 1, "amount_kopecks": 100, "paid_kopecks": 100,
    "offset_kopecks": 0, "credit_kopecks": 0, "items": "[]", "created_at": NOW,
}  # fmt: skip
REGISTER = {
    "merchant_id": MERCHANT, "period": "day", "begins_on": "2026-11-02", "lines": 1, "opening_kopecks": 1,
    "debits_kopecks": 1, "credits_kopecks": 2, "closing_kopecks": 2, "sha256": HASH, "bytes": b"x", "marks": "{}",
    "made_at": NOW,
}  # fmt: skip
DAY = {
    "day_on": "2026-11-22", "bucket": "due", "plans": 1, "price_kopecks": 1, "outstanding_kopecks": 1,
    "penalty_kopecks": 0, "term_days": 42, "made_at": NOW,
}  # fmt: skip
SNAPSHOT = {"day_on": "2026-11-22", "plan_id": PLAN, "bucket": "due", "outstanding_kopecks": 1}
KEPT = {
    "plan_documents": DOCUMENT, "plan_document_files": FILE, "bureau_events": EVENT, "bureau_deliveries": DELIVERY,
    "receipt_profiles": PROFILE, "plan_receipt_profiles": SAID_PROFILE, "receipt_intents": RECEIPT,
    "plan_registers": REGISTER, "portfolio_days": DAY,
    "portfolio_snapshots": SNAPSHOT,
}  # fmt: skip
SECOND: dict[str, dict[str, Any]] = {
    "plan_documents": {"id": shown("doc", 2), "number": 2},
    "plan_document_files": {"format": "pdf"},
    "bureau_events": {"id": shown("bur", 2), "sequence": 2, "kind": "changed", "cause": "d"},
    "bureau_deliveries": {"event_id": shown("bur", 2), "sequence": 2},
    "receipt_profiles": {"effective_on": "2026-11-23"},
    "plan_receipt_profiles": {"said_at": "2026-11-23T00:00:00Z"},
    "receipt_intents": {"id": shown("rcp", 2), "cause": "d"},
    "plan_registers": {"begins_on": "2026-11-03"},
    "portfolio_days": {"bucket": "not_due"},
    "portfolio_snapshots": {"day_on": "2026-11-23"},
}
"""What makes a second row that is taken, so that each violation below has one cause alone."""
SAID = {"state": "issued", "fetched_at": NOW, "ended_at": NOW}
SIGNS = {"fiscal_drive": "9" * 16, "fiscal_document": "1", "fiscal_sign": "2"}
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("plan_documents", "pkey", {"id": DOCUMENT["id"]}),
    ("plan_documents", "plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_documents", "number_key", {"number": 1}),
    ("plan_documents", "id_is_shown", {"id": "doc_1"}),
    ("plan_documents", "kind_is_known", {"kind": "letter"}),
    ("plan_documents", "language_is_known", {"language": "de"}),
    ("plan_documents", "number_positive", {"number": 0}),
    ("plan_documents", "text_version_positive", {"text_version": 0}),
    ("plan_document_files", "pkey", {"format": "html"}),
    ("plan_document_files", "document_fkey", {"document_id": shown("doc", 9)}),
    ("plan_document_files", "format_is_known", {"format": "docx"}),
    ("plan_document_files", "hash_is_of_bytes", {"bytes": b"y"}),
    ("plan_document_files", "length", {"bytes": b"", "sha256": hashlib.sha256(b"").hexdigest()}),
    ("bureau_events", "pkey", {"id": EVENT["id"]}),
    ("bureau_events", "plan_fkey", {"plan_id": shown("pln", 9)}),
    ("bureau_events", "sequence_key", {"sequence": 1, "kind": "opened"}),
    ("bureau_events", "cause_key", {"plan_id": OTHER_PLAN, "sequence": 3}),
    ("bureau_events", "id_is_shown", {"id": "bur_1"}),
    ("bureau_events", "kind_is_known", {"kind": "forgotten"}),
    ("bureau_events", "begin_with_opened", {"kind": "opened"}),
    ("bureau_events", "begin_with_opened", {"plan_id": OTHER_PLAN, "sequence": 1}),
    ("bureau_events", "sequence_positive", {"sequence": 0}),
    ("bureau_events", "cause_length", {"cause": ""}),
    ("bureau_deliveries", "pkey", {"event_id": EVENT["id"]}),
    ("bureau_deliveries", "event_fkey", {"event_id": shown("bur", 9)}),
    ("bureau_deliveries", "sequence_key", {"sequence": 1}),
    ("bureau_deliveries", "state_is_known", {"state": "lost", "next_attempt_at": None}),
    ("bureau_deliveries", "acknowledged_when_said", {"state": "acknowledged", "next_attempt_at": None}),
    ("bureau_deliveries", "acknowledged_when_said", {"acknowledgement": "B-1"}),
    ("bureau_deliveries", "refused_for_a_reason", {"state": "refused", "next_attempt_at": None}),
    ("bureau_deliveries", "refused_for_a_reason", {"refusal": "r"}),
    ("bureau_deliveries", "tried_while_queued", {"next_attempt_at": None}),
    ("bureau_deliveries", "attempts_not_negative", {"attempts": -1}),
    (
        "bureau_deliveries",
        "acknowledgement_length",
        {"state": "acknowledged", "acknowledgement": "", "acknowledged_at": NOW, "next_attempt_at": None},
    ),
    ("receipt_profiles", "pkey", {"effective_on": PROFILE["effective_on"]}),
    ("receipt_profiles", "merchant_fkey", {"merchant_id": shown("mer", 9)}),
    ("receipt_profiles", "profile_is_known", {"profile": "nobody"}),
    ("plan_receipt_profiles", "pkey", {"said_at": NOW}),
    ("plan_receipt_profiles", "plan_fkey", {"plan_id": shown("pln", 9)}),
    ("plan_receipt_profiles", "profile_is_known", {"profile": "seller_credit"}),
    ("receipt_intents", "pkey", {"id": RECEIPT["id"]}),
    ("receipt_intents", "plan_fkey", {"plan_id": shown("pln", 9)}),
    ("receipt_intents", "merchant_fkey", {"merchant_id": shown("mer", 9)}),
    ("receipt_intents", "cause_key", {"cause": "c"}),
    ("receipt_intents", "id_is_shown", {"id": "rcp_1"}),
    ("receipt_intents", "profile_is_known", {"profile": "nobody"}),
    ("receipt_intents", "stage_is_known", {"stage": "gift"}),
    ("receipt_intents", "method_is_known", {"method_tag": 0}),
    ("receipt_intents", "method_is_known", {"method_tag": 8}),
    ("receipt_intents", "amount_positive", {"amount_kopecks": 0, "paid_kopecks": 0}),
    ("receipt_intents", "sums_add_up", {"paid_kopecks": 99}),
    ("receipt_intents", "sums_add_up", {"paid_kopecks": 101, "offset_kopecks": -1}),
    ("receipt_intents", "returns_are_refunds", {"is_return": True}),
    ("receipt_intents", "returns_are_refunds", {"stage": "refund"}),
    ("receipt_intents", "credit_by_seller", {"paid_kopecks": 50, "credit_kopecks": 50}),
    ("receipt_intents", "credit_by_seller", {"method_tag": 7}),
    ("receipt_intents", "state_is_known", {"state": "lost", "fetched_at": NOW}),
    ("receipt_intents", "fetched_when_said", {"fetched_at": NOW}),
    ("receipt_intents", "fetched_when_said", {"state": "fetched"}),
    ("receipt_intents", "issued_with_signs", SAID),
    ("receipt_intents", "issued_with_signs", SIGNS),
    ("receipt_intents", "signs_form", SAID | SIGNS | {"fiscal_drive": "1"}),
    ("receipt_intents", "refused_for_a_reason", {"state": "refused", "fetched_at": NOW, "ended_at": NOW}),
    ("receipt_intents", "ended_when_over", {"ended_at": NOW}),
    ("plan_registers", "pkey", {"begins_on": REGISTER["begins_on"]}),
    ("plan_registers", "merchant_fkey", {"merchant_id": shown("mer", 9)}),
    ("plan_registers", "period_is_known", {"period": "week"}),
    ("plan_registers", "month_begins_on_its_first", {"period": "month"}),
    ("plan_registers", "totals_not_negative", {"lines": -1}),
    ("plan_registers", "balance_moves", {"closing_kopecks": 3}),
    ("plan_registers", "hash_is_of_bytes", {"bytes": b"y"}),
    ("portfolio_days", "pkey", {"bucket": "due"}),
    ("portfolio_days", "bucket_is_known", {"bucket": "lost"}),
    ("portfolio_days", "not_negative", {"plans": -1}),
    ("portfolio_snapshots", "pkey", {"day_on": SNAPSHOT["day_on"]}),
    ("portfolio_snapshots", "plan_fkey", {"plan_id": shown("pln", 9)}),
    ("portfolio_snapshots", "bucket_is_known", {"bucket": "lost"}),
    ("portfolio_snapshots", "outstanding_positive", {"outstanding_kopecks": 0}),
]
APPEND_ONLY = [
    "plan_documents", "plan_document_files", "bureau_events", "plan_registers", "portfolio_days", "portfolio_snapshots",
]  # fmt: skip


@pytest.fixture
def kept(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one row of each table."""
    with psycopg.connect(database.superuser_url) as connection:
        insert_row(connection, "merchants", ROWS["merchants"])
        insert_row(connection, "installment_plans", PLAN_ROW)
        insert_row(
            connection, "installment_plans", PLAN_ROW | {"id": OTHER_PLAN, "order_number": "A-2", "link_code": "m" * 32}
        )
        for table, row in KEPT.items():
            insert_row(connection, table, row)
        insert_row(connection, "bureau_events", EVENT | {"id": shown("bur", 3), "plan_id": OTHER_PLAN, "cause": "o"})
        changed = {"id": shown("bur", 4), "plan_id": OTHER_PLAN, "sequence": 2, "kind": "changed", "cause": "d"}
        insert_row(connection, "bureau_events", EVENT | changed)
        connection.commit()
        yield connection
        connection.rollback()


def test_every_constraint_refuses_what_it_must(kept: psycopg.Connection[Any]) -> None:
    found = []
    for table, name, change in VIOLATIONS:
        if table == "bureau_deliveries":
            with kept.transaction(force_rollback=True):
                insert_row(kept, "bureau_events", EVENT | SECOND["bureau_events"])
                found.append((f"{table}_{name}", refused_by(kept, table, KEPT[table] | SECOND[table] | change)))
            continue
        found.append((f"{table}_{name}", refused_by(kept, table, KEPT[table] | SECOND[table] | change)))

    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_second_rows_are_taken_so_each_violation_has_one_cause(kept: psycopg.Connection[Any]) -> None:
    for table, row in KEPT.items():
        insert_row(kept, table, row | SECOND[table])


def test_no_constraint_goes_untested(kept: psycopg.Connection[Any]) -> None:
    rows = kept.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = ANY(%s::regclass[]) AND contype <> 'n'", [list(KEPT)]
    )

    assert {row[0] for row in rows} == {f"{table}_{name}" for table, name, _ in VIOLATIONS}


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_shown_or_told_is_never_changed(kept: psycopg.Connection[Any], table: str) -> None:
    column = sql.Identifier(next(iter(KEPT[table])))
    name = sql.Identifier(table)
    for statement in (
        sql.SQL("UPDATE {} SET {} = {}").format(name, column, column),
        sql.SQL("DELETE FROM {}").format(name),
    ):
        with pytest.raises(psycopg.errors.RestrictViolation) as refusal, kept.transaction():
            kept.execute(statement)
        assert refusal.value.diag.constraint_name == f"{table}_append_only"


@pytest.mark.parametrize(
    ("name", "end", "change"),
    [
        (
            "bureau_deliveries_final",
            """UPDATE bureau_deliveries SET state = 'acknowledged', acknowledgement = 'B', acknowledged_at = now(),
                      next_attempt_at = NULL""",
            "UPDATE bureau_deliveries SET acknowledgement = 'C'",
        ),
        (
            "receipt_intents_final",
            """UPDATE receipt_intents SET state = 'issued', fetched_at = now(), ended_at = now(),
                      fiscal_drive = '9999999999999999', fiscal_document = '1', fiscal_sign = '2'""",
            "UPDATE receipt_intents SET fiscal_sign = '3'",
        ),
    ],
)
def test_what_others_have_said_is_final(kept: psycopg.Connection[Any], name: str, end: str, change: str) -> None:
    kept.execute(end)  # type: ignore[arg-type]  # our own statements
    with pytest.raises(psycopg.errors.RestrictViolation) as refusal, kept.transaction():
        kept.execute(change)  # type: ignore[arg-type]
    assert refusal.value.diag.constraint_name == name


@pytest.mark.parametrize("table", KEPT)
def test_the_application_deletes_nothing(database: Any, table: str) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
