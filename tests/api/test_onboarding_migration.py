"""Merchants taken in before registrations were kept get theirs, and codes asked for before find it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from api import migrate
from ledger.database import create_engine, transaction
from ledger.money import Kopecks
from sbp_gateway import registration_repository, repository
from sbp_gateway.payments import AcceptedOperation
from sbp_gateway.registrations import RegistrationStatus
from tests.api.test_rail_constraints import ROWS, insert
from tests.conftest import Database

MERCHANT, QR = ROWS["merchants"]["id"], ROWS["qr_codes"]["id"]
BEFORE = ("merchants", "stores", "terminals", "orders", "attempts", "sbp_merchants", "qr_codes", "sbp_payments")


def filled_before(database: Database) -> None:
    migrate.upgrade(database.migrator_url, revision="0006")
    with psycopg.connect(database.superuser_url) as connection:
        for table in BEFORE:
            insert(connection, table, ROWS[table])


async def test_a_merchant_from_before_has_a_registration_and_its_codes_go_by_it(empty_database: Database) -> None:
    filled_before(empty_database)
    migrate.upgrade(empty_database.migrator_url)

    engine = create_engine(empty_database.app_url)
    now = datetime.now(UTC)
    operation = AcceptedOperation(ROWS["attempts"]["id"], MERCHANT, Kopecks(100), "A" * 32, None, now, None, qr_id=QR)
    async with transaction(engine) as session:
        live = await repository.live_merchant(session, MERCHANT)
        (of_operation,) = await repository.merchants_of_operations(session, [operation])
        found, _ = await registration_repository.list_registrations(session, merchant_id=MERCHANT)
    await engine.dispose()

    assert live is not None
    assert live.registration_id == MERCHANT.replace("mer_", "sbr_")
    assert of_operation == live
    assert [each.status for each in found] == [RegistrationStatus.REGISTERED]
    assert found[0].data.bank_account == ROWS["sbp_merchants"]["bank_account"]


def test_going_down_and_up_again_keeps_merchants_and_payments(empty_database: Database) -> None:
    filled_before(empty_database)
    for step in (migrate.upgrade, lambda url: migrate.downgrade(url, revision="0006"), migrate.upgrade):
        step(empty_database.migrator_url)

    with psycopg.connect(empty_database.superuser_url) as connection:
        counted: dict[str, Any] = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in ("sbp_merchants", "sbp_payments", "sbp_registrations")
        }
    assert counted == {"sbp_merchants": (1,), "sbp_payments": (1,), "sbp_registrations": (1,)}
