"""A sandbox has an operator of plans from its first start, and the same one ever after."""

from __future__ import annotations

from api.sandbox import take_in_operator
from installments.clearing import operator_of
from installments.repository import licence_on
from ledger.clock import machine_now, moscow_day
from ledger.database import Engine, transaction
from tests.conftest import Database


async def test_a_sandbox_takes_its_operator_in_once(database: Database, engine: Engine) -> None:
    first = await take_in_operator(database.app_url)

    assert await take_in_operator(database.app_url) == first
    async with transaction(engine) as session:
        assert await operator_of(session) == first
        licence = await licence_on(session, moscow_day(machine_now()))
        fees = await session.exec_driver_sql(
            """SELECT t.rail, t.basis_points FROM tariffs AS t JOIN merchants AS m USING (tariff_group)
                WHERE m.id = %s ORDER BY t.rail""",
            (first,),
        )
        assert [tuple(row) for row in fees] == [("card", 0), ("sbp", 0)]
    assert licence is not None
    assert licence.is_active


async def test_a_sandbox_that_was_licensed_otherwise_keeps_its_licence(database: Database, engine: Engine) -> None:
    async with transaction(engine) as session:
        await session.exec_driver_sql(
            "INSERT INTO operator_licences (effective_on, register_number, is_active, capital_kopecks)"
            " VALUES ('2026-04-01', 'OWN-1', false, 0)"
        )

    await take_in_operator(database.app_url)

    async with transaction(engine) as session:
        licence = await licence_on(session, moscow_day(machine_now()))
    assert licence is not None
    assert (licence.register_number, licence.is_active) == ("OWN-1", False)
