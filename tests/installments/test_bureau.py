"""The credit bureau: told with the cause, in order, once, until it acknowledges; only then a plan may begin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import aiohttp
import pytest
import uvicorn

from api.bureau_calls import BureauCalls, body_of
from api.simulators import create_simulators
from checkout.card_payments import ChargeNews
from installments import bureau, bureau_deliveries, decision_policies
from installments.bureau import BureauEventKind, BureauFact, csv_line_of, export_lines
from installments.errors import BureauEventNotFound, BureauEventTaken, BureauNotTold, BureauRangeNotOver
from installments.movements import MovementKind
from installments.plan import Plan, PlanStatus
from ledger.clock import Clock
from ledger.database import Engine, transaction
from tests.installments.life_world import SHOP, LifeWorld, life_world


@pytest.fixture
async def world(engine: Engine) -> LifeWorld:
    world = await life_world(engine)
    async with transaction(engine) as session:
        await decision_policies.note_bureau(session, True, now=world.now)
    return world


async def told(world: LifeWorld, plan: Plan) -> list[tuple[int, str]]:
    rows = await world.sql("SELECT sequence, kind FROM bureau_events WHERE plan_id = %s ORDER BY sequence", plan.id)
    return [tuple(row) for row in rows]


async def acknowledge_all(world: LifeWorld) -> int:
    """The bureau takes everything, a plan's next event after the one before."""
    taken = 0
    while True:
        async with transaction(world.engine) as session:
            due = await bureau_deliveries.claim_bureau_events(session, now=world.now)
            for one in due:
                await bureau_deliveries.acknowledge_bureau_event(session, one.event.id, f"B-{taken}", now=world.now)
                taken += 1
        if not due:
            return taken


async def test_a_plan_below_the_threshold_is_not_told_of(world: LifeWorld) -> None:
    plan = await world.committed()

    assert await told(world, plan) == []


async def test_with_the_setting_every_plan_is_told_of(world: LifeWorld) -> None:
    await tell_of_all(world)

    plan = await world.held()

    assert await told(world, plan) == [(1, "opened")]


async def tell_of_all(world: LifeWorld) -> None:
    async with transaction(world.engine) as session:
        await decision_policies.note_bureau(session, True, is_told_of_all=True, now=world.now)


async def test_a_plan_does_not_begin_before_the_bureau_has_acknowledged_it(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()

    with pytest.raises(BureauNotTold):
        await world.commit(plan)

    assert (await world.load(plan)).status is PlanStatus.WAIT_FOR_COMMIT
    assert await acknowledge_all(world) == 1
    assert (await world.commit(plan)).status is PlanStatus.COMMITTED


async def test_the_stream_follows_the_plan_to_its_end_and_each_cause_is_told_once(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    await acknowledge_all(world)
    plan = await world.commit(plan, 800_000)
    await capture(world, plan)
    await world.refund(plan, 100_000)
    world.pass_by(days=14)
    await world.pay(plan, int((await world.load(plan)).outstanding), MovementKind.EARLY_PAYMENT)

    assert [kind for _, kind in await told(world, plan)] == [
        "opened", "changed", "payment", "changed", "payment", "closed",
    ]  # fmt: skip
    facts = await world.sql("SELECT facts FROM bureau_events WHERE plan_id = %s ORDER BY sequence", plan.id)
    assert facts[0][0]["amount_kopecks"] == 1_000_056
    assert sum(part["amount_kopecks"] for part in facts[1][0]["installments"]) == 800_000
    assert facts[-1][0] == {"reason": "repaid"}


async def capture(world: LifeWorld, plan: Plan) -> None:
    await world.bank_says(plan, ChargeNews.CAPTURED)
    await world.carry_on(plan)


async def test_a_told_plan_that_is_given_up_is_closed_at_the_bureau(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()

    await world.cancel(plan)

    assert [kind for _, kind in await told(world, plan)] == ["opened", "closed"]


async def test_arrears_are_told_once_for_each_bucket(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    await acknowledge_all(world)
    await capture(world, await world.commit(plan))
    due = (await world.installments(plan))[1].due_on
    new = []
    for days in (0, 1, 3, 4, 14, 15, 91, 92):
        async with transaction(world.engine) as session:
            new.append(await bureau.tell_overdue(session, due + timedelta(days=days), now=world.now))

    assert new == [0, 1, 0, 1, 0, 1, 1, 0]


async def test_a_fact_of_a_plan_without_a_stream_is_left_out_and_a_repeated_one_told_once(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    fact = BureauFact(plan.id, BureauEventKind.CHANGED, "again", date(2026, 11, 22), {"x": 1})
    other = replace(fact, plan_id=(await world.opened()).id)
    async with transaction(world.engine) as session:
        first = await bureau.tell_all(session, [fact, fact, other], now=world.now)
        second = await bureau.tell_all(session, [fact], now=world.now)

    assert (first, second) == (1, 0)
    assert await told(world, plan) == [(1, "opened"), (2, "changed")]


async def test_an_export_of_days_that_are_over_is_the_same_bytes_each_time(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    today = date(2026, 11, 22)
    with pytest.raises(BureauRangeNotOver):
        await exported(world, today)
    world.pass_by(days=1)

    first, again = await exported(world, today), await exported(world, today)

    assert first == again
    (line,) = first.splitlines()
    assert json.loads(line)["plan_id"] == plan.id
    assert csv_line_of(line).startswith(json.loads(line)["id"].encode() + b";" + plan.id.encode())
    assert await exported(world, today + timedelta(days=-1)) == b""


async def exported(world: LifeWorld, on: date) -> bytes:
    async with transaction(world.engine) as session:
        return b"".join([line async for line in export_lines(session, on, on, now=world.now)])


async def test_who_the_buyer_is_goes_with_opened_alone_and_into_no_export(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    async with transaction(world.engine) as session:
        (opened,) = await bureau_deliveries.claim_bureau_events(session, now=world.now)
    world.pass_by(days=1)

    body = json.loads(body_of(opened))

    assert body["subject"] == {
        "buyer_id": plan.buyer_id, "first_name": "Анна", "last_name": "Петрова", "middle_name": None,
        "born_on": "1990-05-17",
    }  # fmt: skip
    out = await exported(world, date(2026, 11, 22))
    kept = str(await world.sql("SELECT facts FROM bureau_events"))
    for personal in ("Анна", "Петрова", "1990", "+7916"):
        assert personal not in out.decode() + kept
    assert "+7916" not in json.dumps(body)


@asynccontextmanager
async def running_simulators() -> AsyncIterator[str]:
    config = uvicorn.Config(create_simulators(), port=0, ws="none", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn tells of its start by this flag alone
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def ordered(url: str, path: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession() as client:
        call = client.get(url + path) if body is None else client.put(url + path, json=body)
        async with call as answer:
            return await answer.json()


async def test_lost_questions_and_answers_are_repeated_by_our_id_until_the_bureau_has_each_event_once(
    world: LifeWorld,
) -> None:
    await tell_of_all(world)
    plans = [await world.held() for _ in range(3)]
    for plan in plans[:2]:
        await world.cancel(plan)
    clock = Clock()
    clock.offset = world.now - clock.now()
    async with running_simulators() as url:
        await ordered(url, "/simulator/faults", {"lost_request": 0.5, "lost_answer": 0.5})
        calls = BureauCalls(world.engine, url, "key", clock)
        for _ in range(60):
            await calls.tell_due()
            clock.offset += timedelta(hours=2)
        await calls.close()
        seen = await ordered(url, "/simulator/bureau")

    assert seen["kinds"] == {"closed": 2, "opened": 3}
    assert seen["calls"] > seen["events"]
    assert await world.sql("SELECT DISTINCT state FROM bureau_deliveries") == [("acknowledged",)]


async def test_what_the_bureau_refuses_waits_for_a_person_and_the_plan_does_not_begin(world: LifeWorld) -> None:
    await tell_of_all(world)
    plan = await world.held()
    async with transaction(world.engine) as session:
        (opened,) = await bureau_deliveries.claim_bureau_events(session, now=world.now)
        await bureau_deliveries.refuse_bureau_event(session, opened.event.id, "no such operator")
    with pytest.raises(BureauNotTold):
        await world.commit(plan)
    async with transaction(world.engine) as session:
        (refused,), has_more = await bureau_deliveries.list_refused(session, limit=10)
        assert (refused.event.id, refused.refusal, has_more) == (opened.event.id, "no such operator", False)
        for _ in range(2):  # said again, nothing changes
            again = await bureau_deliveries.resend_refused(session, opened.event.id, SHOP, now=world.now)
            assert again.id == opened.event.id
        with pytest.raises(BureauEventNotFound):
            await bureau_deliveries.resend_refused(session, "bur_", SHOP, now=world.now)

    assert await acknowledge_all(world) == 1
    assert (await world.commit(plan)).status is PlanStatus.COMMITTED
    async with transaction(world.engine) as session:
        with pytest.raises(BureauEventTaken):
            await bureau_deliveries.resend_refused(session, opened.event.id, SHOP, now=world.now)
