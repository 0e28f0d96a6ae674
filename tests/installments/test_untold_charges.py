"""A charge that its plan cannot be told of keeps no other from being told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api.plan_collectors import collect_due, tell_plans
from installments.charges import ChargeOutcome, ChargeStatus
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from tests.installments.collection_world import Scripted, at, make_buyer, make_house, make_plan
from tests.installments.test_collecting import SECOND_ON, charges_of, clock_at, walk

NEXT_DAY = at(SECOND_ON + timedelta(days=1))
OF_TOMORROW = ChargeOutcome("", ChargeStatus.CAPTURED, Kopecks(0), happened_at=NEXT_DAY)
"""A rail's clock is ahead of ours, or ours was set back: no plan is told of what has not happened yet."""


async def three_plans(engine: Engine) -> list[str]:
    async with transaction(engine) as session:
        shop_id = await make_house(session)
        return [
            (await make_plan(session, shop_id, await make_buyer(session, number), number=number)).id
            for number in range(3)
        ]


@pytest.mark.parametrize("is_lost_first", [True, False])
async def test_one_that_cannot_be_told_keeps_no_other_from_being_told(engine: Engine, is_lost_first: bool) -> None:
    ids = await three_plans(engine)
    outside = Scripted()
    await walk(engine, SECOND_ON)
    for plan_id in ids:
        if is_lost_first:
            outside.say(plan_id, ChargeStatus.UNKNOWN)
    outside.script.setdefault(ids[1], []).extend([OF_TOMORROW] * 20)

    assert await collect_due(engine, outside.all, clock_at(at(SECOND_ON, 15))) == 3
    for minutes in (1, 6, 12):
        await tell_plans(engine, outside.all, clock_at(at(SECOND_ON, 15, minutes)))

    told = [(await charges_of(engine, plan_id))[0].status.value for plan_id in ids]
    assert told == ["captured", "requested" if not is_lost_first else "unknown", "captured"]

    assert await tell_plans(engine, outside.all, clock_at(NEXT_DAY + timedelta(hours=1))) == 1
    (late,) = await charges_of(engine, ids[1])
    assert (late.status, late.captured) == (ChargeStatus.CAPTURED, 1_000_00)
    assert len(outside.asked) == 3
