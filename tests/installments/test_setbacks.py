"""A plan that cannot be worked on stands for itself: the others of its batch are done, and it is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from api import meters, plan_night
from api.plan_feeds import SNAPSHOT, keep_portfolio, tell_of_arrears
from api.plan_night import Night, run_night, work_night
from api.plan_setbacks import in_halves
from installments import nightly, portfolio, setbacks
from installments.errors import ClockWentBack
from installments.setbacks import Pick
from ledger.clock import Clock, machine_now
from ledger.database import Engine, text, transaction
from tests.conftest import Database
from tests.installments.plan_world import PlanWorld, day, noon

HALF_AN_HOUR = timedelta(minutes=31)
NIGHT = noon(26)
"""Two parts are late, the third is due in two days."""

STEPS = {
    "arrears": ("installments", "plan_id", "SELECT DISTINCT plan_id FROM installments WHERE bucket = 'dpd_15_30'"),
    "penalties": ("plan_books", "plan_id", "SELECT plan_id FROM plan_books WHERE penalty_accrued_kopecks > 0"),
    "fees": ("plan_books", "plan_id", "SELECT plan_id FROM plan_books WHERE fee_recognised_kopecks > 0"),
    "stages": ("plan_dunning_stages", "plan_id", "SELECT plan_id FROM plan_dunning_stages"),
    "freezes": (
        "buyers", "id",
        "SELECT p.id FROM installment_plans AS p JOIN buyers AS b ON b.id = buyer_id WHERE arrears_seen_on IS NOT NULL",
    ),
    "charges": ("plan_charges", "plan_id", "SELECT plan_id FROM plan_charges"),
    "reminders": ("plan_notices", "plan_id", "SELECT plan_id FROM plan_notices WHERE template = 'reminder'"),
}  # fmt: skip
"""Where a step writes, whose row it is, and whom it has done."""
WHEN = {
    "penalties": "NEW.penalty_accrued_kopecks <> OLD.penalty_accrued_kopecks",
    "fees": "NEW.fee_recognised_kopecks <> OLD.fee_recognised_kopecks",
    "reminders": "NEW.template = 'reminder'",
}


@contextmanager
def spoiled(database: Database, table: str, column: str, row_id: str, when: str = "true") -> Iterator[None]:
    """The database refuses whatever is written to one row."""
    written = "UPDATE" if "OLD." in when or table in ("installments", "buyers") else "INSERT"
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                              BEGIN RAISE EXCEPTION 'spoiled' USING ERRCODE = 'check_violation'; END $$""")
        connection.execute(
            f"CREATE TRIGGER spoiled BEFORE {written} ON {table} FOR EACH ROW"
            f" WHEN (NEW.{column} = '{row_id}' AND {when}) EXECUTE FUNCTION refuse()".encode()
        )
        yield
        connection.execute(f"DROP TRIGGER spoiled ON {table}".encode())
        connection.execute("DROP FUNCTION refuse()")


def clock_at(at: object) -> Clock:
    return Clock(at - machine_now())  # type: ignore[operator]


async def ids(engine: Engine, statement: str) -> set[str]:
    async with transaction(engine) as session:
        return set(await session.scalars(text(statement)))


async def aside(engine: Engine) -> list[tuple[str, str, int]]:
    async with transaction(engine) as session:
        return [(one.step, one.plan_id, one.tries) for one in await setbacks.list_setbacks(session)]


@pytest.mark.parametrize("step", STEPS)
async def test_a_plan_that_cannot_be_worked_on_holds_up_no_other_and_is_tried_again(
    world: PlanWorld, database: Database, step: str
) -> None:
    engine, (table, column, done) = world.engine, STEPS[step]
    plans = [await world.plan() for _ in range(5)]
    bad = plans[2]
    row_id = bad.buyer_id if step == "freezes" else bad.id
    assert row_id is not None
    counted = meters.plan_setbacks.labels(step)._value.get()

    with spoiled(database, table, column, row_id, WHEN.get(step, "true")):
        await run_night(engine, clock_at(NIGHT))
        assert await ids(engine, done) == {plan.id for plan in plans} - {bad.id}
        assert await aside(engine) == [(step, bad.id, 1)]
        await run_night(engine, clock_at(NIGHT))  # too early to try it again
        assert await aside(engine) == [(step, bad.id, 1)]
        await run_night(engine, clock_at(NIGHT + HALF_AN_HOUR))
        assert await aside(engine) == [(step, bad.id, 2)]
    for other in STEPS.keys() - {step} - ({"penalties"} if step == "arrears" else set()):  # only who is late owes more
        assert await ids(engine, STEPS[other][2]) == {plan.id for plan in plans}
    await run_night(engine, clock_at(NIGHT + 2 * HALF_AN_HOUR))

    assert await aside(engine) == []
    assert await ids(engine, done) == {plan.id for plan in plans}
    assert meters.plan_setbacks.labels(step)._value.get() == counted + 2
    await world.agrees()


async def test_what_is_no_plan_s_own_fault_stops_the_step_and_puts_nobody_else_aside(
    world: PlanWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setbacks, "SETBACKS_MAX", 2)
    plans = [await world.plan() for _ in range(6)]

    with spoiled(database, "plan_charges", "status", "requested"), pytest.raises(DBAPIError):
        await run_night(world.engine, clock_at(NIGHT))

    assert await aside(world.engine) == [("charges", plan.id, 1) for plan in plans[:2]]
    await run_night(world.engine, clock_at(NIGHT + HALF_AN_HOUR))
    assert await aside(world.engine) == []
    assert await ids(world.engine, "SELECT plan_id FROM plan_charges") == {plan.id for plan in plans}


async def test_two_workers_share_a_night_with_a_plan_that_cannot_be_worked_on(
    world: PlanWorld, database: Database
) -> None:
    plans = [await world.plan() for _ in range(4)]
    clock, one, two = clock_at(NIGHT), Night(), Night()

    with spoiled(database, "installments", "plan_id", plans[0].id):
        while any([await work_night(world.engine, clock, night) for night in (one, two)]):
            pass

    assert [(step, plan_id) for step, plan_id, _ in await aside(world.engine)] == [("arrears", plans[0].id)]
    assert await ids(world.engine, STEPS["arrears"][2]) == {plan.id for plan in plans[1:]}
    await world.agrees()


async def bureau_knows(world: PlanWorld, plan_ids: list[str]) -> None:
    async with transaction(world.engine) as session:
        for number, plan_id in enumerate(plan_ids):
            await session.execute(
                text("""INSERT INTO bureau_events (id, plan_id, sequence, kind, cause, happened_on, recorded_at, facts)
                        VALUES (:id, :plan_id, 1, 'opened', :plan_id, :on, :now, '{}')"""),
                {"id": f"bur_{number:026}", "plan_id": plan_id, "on": day(0), "now": noon(0)},
            )


async def test_a_plan_of_which_the_bureau_cannot_be_told_keeps_it_from_no_other(
    world: PlanWorld, database: Database
) -> None:
    plans = [(await world.plan()).id for _ in range(3)]
    await bureau_knows(world, plans)
    told = "SELECT plan_id FROM bureau_events WHERE kind = 'overdue'"

    with spoiled(database, "bureau_events", "plan_id", plans[1]):
        await tell_of_arrears(world.engine, clock_at(NIGHT))
        assert await ids(world.engine, told) == {plans[0], plans[2]}
        assert await aside(world.engine) == [("bureau", plans[1], 1)]
        assert await tell_of_arrears(world.engine, clock_at(NIGHT)) == 0
    await tell_of_arrears(world.engine, clock_at(NIGHT + HALF_AN_HOUR))

    assert await ids(world.engine, told) == set(plans)
    assert await aside(world.engine) == []


async def snapshot_of(engine: Engine, on: date) -> set[str]:
    return await ids(engine, f"SELECT plan_id FROM portfolio_snapshots WHERE day_on = '{on}'")


async def test_a_snapshot_that_was_broken_off_goes_on_where_it_was_and_a_bad_plan_breaks_none(
    world: PlanWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [(await world.plan()).id for _ in range(7)]
    async with transaction(world.engine) as session:  # and the worker dies after its first page
        assert await portfolio.take_snapshot(session, day(28), limit=2) == 2
    monkeypatch.setattr(portfolio.take_snapshot, "__kwdefaults__", {"limit": 2, "pick": None})

    with spoiled(database, "portfolio_snapshots", "plan_id", plans[4]):
        assert await keep_portfolio(world.engine, clock_at(noon(29))) == 1

    assert await snapshot_of(world.engine, day(28)) == set(plans) - {plans[4]}
    assert await aside(world.engine) == [(SNAPSHOT, plans[4], 1)]
    assert await keep_portfolio(world.engine, clock_at(noon(29))) == 0


async def test_a_plan_put_aside_at_one_month_s_end_leaves_nobody_out_of_the_next_snapshot(
    world: PlanWorld, database: Database
) -> None:
    plans = [(await world.plan()).id for _ in range(4)]
    with spoiled(database, "portfolio_snapshots", "plan_id", plans[3]):
        await keep_portfolio(world.engine, clock_at(noon(29)))
    assert await aside(world.engine) == [(SNAPSHOT, plans[3], 1)]

    await keep_portfolio(world.engine, clock_at(noon(60)))

    assert await snapshot_of(world.engine, day(59)) == set(plans)
    assert await aside(world.engine) == []


async def on_to_the_end(engine: Engine, night: Night) -> None:
    while await work_night(engine, clock_at(NIGHT), night):
        pass


async def test_a_step_that_was_stopped_leaves_out_who_is_aside_when_it_is_tried_again(
    world: PlanWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setbacks, "SETBACKS_MAX", 2)
    plans, night = [await world.plan() for _ in range(6)], Night()

    with spoiled(database, "plan_charges", "status", "requested"):
        for _ in range(3):
            with pytest.raises(DBAPIError):
                await on_to_the_end(world.engine, night)

    assert await aside(world.engine) == [("charges", plan.id, 1) for plan in plans[:2]]


async def test_a_later_night_that_another_worker_began_is_no_plan_s_own_fault(world: PlanWorld) -> None:
    """At half past midnight one worker may be among the halves of a batch when another begins the next night."""
    pick = Pick(step="arrears", taken=[(await world.plan()).id for _ in range(4)])
    async with transaction(world.engine) as session:
        await nightly.begin_night(session, day(27), now=noon(27))

    with pytest.raises(ClockWentBack):
        await in_halves(world.engine, pick, partial(plan_night._work_part, day(26), NIGHT), clock_at(NIGHT))

    assert await aside(world.engine) == []
