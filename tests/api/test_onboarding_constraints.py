"""PostgreSQL holds every truth of registrations and banks' tariffs by itself: each constraint and trigger says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api.test_rail_constraints import ROWS as RAIL
from tests.api.test_rail_constraints import insert, refused_by, shown

NOW = "2026-11-22T09:00:00Z"
REGISTRATION, MERCHANT = shown("sbr"), shown("mer")

ROWS: dict[str, dict[str, Any]] = {
    "sbp_registrations": {
        "id": REGISTRATION, "merchant_id": MERCHANT, "bik": "044525225", "status": "registered",
        "bank_account": "4" * 20, "nspk_merchant_id": "MA0000000001", "member_id": "100000000999",
        "mcc": "5411", "tariff_group": "everyday", "learnt_by": "entered", "created_at": NOW, "registered_at": NOW,
    },
    "bank_tariffs": {
        "member_id": "100000000999", "tariff_group": "everyday", "rail": "sbp", "valid_from_on": "2026-01-01",
        "basis_points": 40, "rounding": "down", "is_withheld": True, "is_confirmed": False, "source": "s",
        "created_at": NOW,
    },
    "mcc_groups": {
        "first_mcc": "7000", "last_mcc": "7000", "valid_from_on": "2026-01-01", "tariff_group": "everyday",
        "is_confirmed": False, "source": "s",
    },
}  # fmt: skip
ANOTHER = {"id": shown("sbr", 2), "bik": "044525226", "nspk_merchant_id": "MA0000000002"}
WHOLE = {
    "ogrn": "1027700132195", "mcc": "5411", "tariff_group": "everyday", "contact_name": "n",
    "contact_phone": "+79001234567", "contact_email": "a@b",
}  # fmt: skip
NOTHING_TOLD = {"nspk_merchant_id": None, "member_id": None, "learnt_by": None, "registered_at": None}
GATHERING = ANOTHER | NOTHING_TOLD | {"status": "data_missing"}
SENT = ANOTHER | WHOLE | NOTHING_TOLD | {"status": "sent_to_bank", "sent_at": NOW, "next_look_up_at": NOW}
CLOSED = {"status": "closed", "closed_at": NOW}
TARIFF_2, GROUP_2 = {"valid_from_on": "2027-01-01"}, {"valid_from_on": "2027-01-01"}

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("sbp_registrations_pkey", "sbp_registrations", ANOTHER | {"id": REGISTRATION}),
    ("sbp_registrations_merchant_id_fkey", "sbp_registrations", ANOTHER | {"merchant_id": shown("mer", 9)}),
    ("sbp_registrations_one_open", "sbp_registrations", ANOTHER | {"bik": "044525225"}),
    ("sbp_registrations_nspk_key", "sbp_registrations", ANOTHER | {"nspk_merchant_id": "MA0000000001"}),
    ("sbp_registrations_id_is_shown", "sbp_registrations", ANOTHER | {"id": "sbr_1"}),
    ("sbp_registrations_bik_is_digits", "sbp_registrations", ANOTHER | {"bik": "04452522"}),
    ("sbp_registrations_status_is_known", "sbp_registrations", GATHERING | {"status": "lost"}),
    ("sbp_registrations_ogrn_is_digits", "sbp_registrations", ANOTHER | {"ogrn": "1" * 14}),
    ("sbp_registrations_bank_account_is_digits", "sbp_registrations", ANOTHER | {"bank_account": "4"}),
    ("sbp_registrations_mcc_is_digits", "sbp_registrations", ANOTHER | {"mcc": "541"}),
    ("sbp_registrations_tariff_group_form", "sbp_registrations", ANOTHER | {"tariff_group": "Everyday"}),
    ("sbp_registrations_settlement_mode_is_known", "sbp_registrations", ANOTHER | {"settlement_mode": "netted"}),
    ("sbp_registrations_contact_length", "sbp_registrations", ANOTHER | {"contact_name": ""}),
    ("sbp_registrations_contact_length", "sbp_registrations", ANOTHER | {"contact_email": "a"}),
    ("sbp_registrations_contact_phone_form", "sbp_registrations", ANOTHER | {"contact_phone": "89001234567"}),
    ("sbp_registrations_nspk_id_form", "sbp_registrations", ANOTHER | {"nspk_merchant_id": "1"}),
    ("sbp_registrations_member_is_digits", "sbp_registrations", ANOTHER | {"member_id": "1"}),
    ("sbp_registrations_learnt_by_is_known", "sbp_registrations", ANOTHER | {"learnt_by": "dreamt"}),
    ("sbp_registrations_whole_when_sent", "sbp_registrations", SENT | {"mcc": None}),
    ("sbp_registrations_whole_when_sent", "sbp_registrations", GATHERING | {"status": "ready"}),
    ("sbp_registrations_sent_at_when_sent", "sbp_registrations", SENT | {"sent_at": None}),
    ("sbp_registrations_reason_when_refused", "sbp_registrations", GATHERING | {"status": "refused"}),
    ("sbp_registrations_numbers_together", "sbp_registrations", GATHERING | {"member_id": "100000000999"}),
    ("sbp_registrations_numbers_when_registered", "sbp_registrations", GATHERING | {"status": "registered"}),
    ("sbp_registrations_numbers_when_registered", "sbp_registrations", ANOTHER | {"status": "data_missing"}),
    ("sbp_registrations_account_when_registered", "sbp_registrations", ANOTHER | {"bank_account": None}),
    ("sbp_registrations_closed_at_when_closed", "sbp_registrations", ANOTHER | {"status": "closed"}),
    ("sbp_registrations_closed_at_when_closed", "sbp_registrations", ANOTHER | {"closed_at": NOW}),
    ("sbp_registrations_looked_up_while_sent", "sbp_registrations", SENT | {"next_look_up_at": None}),
    ("sbp_registrations_looked_up_while_sent", "sbp_registrations", ANOTHER | {"next_look_up_at": NOW}),
    ("sbp_registrations_look_ups_not_negative", "sbp_registrations", ANOTHER | {"look_ups": -1}),
    ("sbp_registrations_version_positive", "sbp_registrations", ANOTHER | {"version": 0}),
    ("bank_tariffs_pkey", "bank_tariffs", {}),
    ("bank_tariffs_member_is_digits", "bank_tariffs", TARIFF_2 | {"member_id": "1"}),
    ("bank_tariffs_tariff_group_form", "bank_tariffs", TARIFF_2 | {"tariff_group": ""}),
    ("bank_tariffs_basis_points_in_range", "bank_tariffs", TARIFF_2 | {"basis_points": 10_001}),
    ("bank_tariffs_cap_not_negative", "bank_tariffs", TARIFF_2 | {"cap_kopecks": -1}),
    ("bank_tariffs_rounding_is_known", "bank_tariffs", TARIFF_2 | {"rounding": "even"}),
    ("bank_tariffs_source_length", "bank_tariffs", TARIFF_2 | {"source": ""}),
    ("mcc_groups_pkey", "mcc_groups", {}),
    ("mcc_groups_are_digits", "mcc_groups", GROUP_2 | {"first_mcc": "700"}),
    ("mcc_groups_in_order", "mcc_groups", GROUP_2 | {"first_mcc": "7001"}),
    ("mcc_groups_tariff_group_form", "mcc_groups", GROUP_2 | {"tariff_group": "1"}),
]
NEVER_ALONE = {"sbp_registrations_merchant_key"}
"""Unique because the id is; there for a foreign key to point at."""
TRIGGERS = {"sbp_registrations_fixed", "bank_tariffs_append_only", "mcc_groups_append_only"}
FIXED = ("bik", "bank_account", "nspk_merchant_id", "member_id", "mcc", "tariff_group")


@pytest.fixture
def filled(database: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with one good row in each table."""
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", RAIL["merchants"])
        for table, row in ROWS.items():
            insert(connection, table, row)
        connection.commit()
        yield connection


@pytest.mark.parametrize("table", ROWS)
def test_every_constraint_refuses_what_it_must(filled: psycopg.Connection[Any], table: str) -> None:
    for name, of_table, change in VIOLATIONS:
        if of_table == table:
            assert refused_by(filled, table, ROWS[table] | change) == name, change


def test_good_rows_of_every_kind_are_taken(filled: psycopg.Connection[Any]) -> None:
    insert(filled, "sbp_registrations", ROWS["sbp_registrations"] | SENT)
    closed = {"id": shown("sbr", 3), "bik": "044525226", "nspk_merchant_id": "MA0000000001"} | CLOSED
    insert(filled, "sbp_registrations", ROWS["sbp_registrations"] | closed)


def test_no_constraint_goes_untested(filled: psycopg.Connection[Any]) -> None:
    rows = filled.execute(
        """SELECT conname FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype <> 'n'
            UNION SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indisunique AND indrelid = ANY (%(tables)s::regclass[])
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
        {"tables": list(ROWS)},
    )

    assert {row[0] for row in rows} == {name for name, _, _ in VIOLATIONS} | NEVER_ALONE | TRIGGERS


@pytest.mark.parametrize("column", FIXED)
def test_what_a_bank_registered_is_never_rewritten(filled: psycopg.Connection[Any], column: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
        filled.execute(f"UPDATE sbp_registrations SET {column} = overlay({column} || '1111' placing '1' from 1)")
    with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
        filled.execute("UPDATE sbp_registrations SET settlement_mode = 'direct'")


def test_a_registered_merchant_may_be_suspended_and_closed_and_nothing_after(filled: psycopg.Connection[Any]) -> None:
    filled.execute("UPDATE sbp_registrations SET status = 'suspended', reason = 'r'")
    filled.execute("UPDATE sbp_registrations SET status = 'closed', closed_at = now()")
    with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
        filled.execute("UPDATE sbp_registrations SET reason = 'another'")


@pytest.mark.parametrize("table", ["bank_tariffs", "mcc_groups"])
def test_tariffs_of_banks_and_groups_are_never_rewritten(filled: psycopg.Connection[Any], table: str) -> None:
    for statement in (f"UPDATE {table} SET source = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(psycopg.errors.RestrictViolation), filled.transaction():
            filled.execute(statement)


def test_the_application_deletes_nothing_and_moves_no_merchants_row_to_another(database: Any) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for table in ROWS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")
        for statement in (
            "UPDATE sbp_merchants SET merchant_id = merchant_id", "UPDATE bank_tariffs SET source = 's'",
            "UPDATE mcc_groups SET source = 's'", "INSERT INTO mcc_groups SELECT * FROM mcc_groups",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
