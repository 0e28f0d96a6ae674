"""230-FZ at its borders: how many messages about arrears, and at which hours, over all plans of a buyer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.messages_gateway import SendStatus
from api.plan_notices import send_notices
from installments import dunning, notices
from installments.contact_caps import DAY, MONTH, WEEK, in_hours, may_write_at, windows
from installments.law import law_on
from installments.notice_texts import Template
from installments.notices import LANE_OF, Lane, Wish
from ledger.database import Engine, Session, transaction
from tests.installments.collection_world import CONTRACT_ON, FORTNIGHT, NOW, at, make_buyer, make_house, make_plan
from tests.installments.test_collecting import clock_at
from tests.installments.test_dunning import Phone

LATE_ON = CONTRACT_ON + FORTNIGHT + timedelta(days=1)
"""The first day of arrears."""
LAW = law_on(LATE_ON)
NOON = at(LATE_ON)
SECOND = timedelta(seconds=1)


def test_the_caps_are_the_law_s() -> None:
    assert windows(LAW) == [(DAY, 2), (WEEK, 4), (MONTH, 16)]
    assert windows(law_on(datetime(2016, 12, 31, tzinfo=UTC).date())) == []
    assert (LAW.contact_from_hour, LAW.contact_until_hour) == (9, 20)


@pytest.mark.parametrize(("window", "most"), windows(LAW))
def test_a_message_above_a_cap_waits_until_the_window_has_passed_to_the_second(window: timedelta, most: int) -> None:
    pace = min(window / most, DAY)  # no other cap is met
    told = [NOON + number * pace for number in range(most)]
    if most > 2:
        told = [NOON + number * (window / (most + 1)) for number in range(most)]
    frees = told[0] + window

    assert may_write_at(told[1:], told[-1] + SECOND, LAW) <= max(told[-1] + SECOND, frees)
    assert may_write_at(told, frees - SECOND, LAW) >= frees
    assert may_write_at(told, frees, LAW) == in_hours(frees, LAW)


@pytest.mark.parametrize(
    ("hour", "minute", "goes"),
    [(8, 59, (9, 0)), (9, 0, (9, 0)), (19, 59, (19, 59)), (20, 0, (33, 0)), (23, 59, (33, 0)), (0, 0, (9, 0))],
)
def test_nobody_is_written_to_about_arrears_outside_the_hours(hour: int, minute: int, goes: tuple[int, int]) -> None:
    expected = at(LATE_ON, 0) + timedelta(hours=goes[0], minutes=goes[1])
    assert in_hours(at(LATE_ON, hour, minute), LAW) == expected
    assert notices.send_at(Template.OVERDUE_SOFT, at(LATE_ON, hour, minute)) == expected


@pytest.mark.parametrize("template", Template)
def test_reminders_and_receipts_are_no_collection(template: Template) -> None:
    is_collection = template.value.startswith("overdue") or template in (
        Template.CHARGE_FAILED,
        Template.CHARGE_GIVEN_UP,
    )
    assert (LANE_OF[template] is Lane.DUNNING) == is_collection


async def debtor(engine: Engine, count: int) -> tuple[str, list[str]]:
    """One buyer who is late with so many plans."""
    async with transaction(engine) as session:
        shop_id = await make_house(session)
        buyer_id = await make_buyer(session)
        made = [await make_plan(session, shop_id, buyer_id, number=number) for number in range(count)]
    return buyer_id, [plan.id for plan in made]


async def wish(
    engine: Engine, buyer_id: str, plan_id: str, name: str, template: Template = Template.OVERDUE_SOFT
) -> None:
    facts: dict[str, int | str] = {"amount": 1_000_00, "days": 1}
    if template is Template.CHARGE_FAILED:
        facts = {"amount": 1_000_00, "on": (LATE_ON + timedelta(days=2)).isoformat()}
    async with transaction(engine) as session:
        await notices.add_notices(session, [Wish(template, plan_id, buyer_id, name, facts)], now=NOW)


async def send(engine: Engine, phone: Phone, now: datetime) -> int:
    return await send_notices(engine, phone, clock_at(now), lanes=[Lane.DUNNING])  # type: ignore[arg-type]


async def kept(engine: Engine) -> list[Any]:
    async with Session(engine) as session:
        rows = await session.exec_driver_sql("SELECT stage, status, reason FROM plan_notices ORDER BY id")
        return [tuple(row) for row in rows]


async def test_messages_of_all_plans_count_together_and_the_third_of_a_day_waits(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 3)
    for plan_id in plan_ids:
        await wish(engine, buyer_id, plan_id, "one")
    phone = Phone()

    assert await send(engine, phone, NOON) == 2
    assert await send(engine, phone, NOON + DAY - timedelta(minutes=1)) == 0
    assert [status for _, status, _ in await kept(engine)] == ["sent", "sent", "waiting"]
    assert await send(engine, phone, NOON + DAY + timedelta(minutes=1)) == 1

    assert len(phone.given) == 3
    assert "просрочен на 2 дн." in phone.given[-1][2]  # what is late is read anew


async def test_a_waiting_message_is_overtaken_by_the_next_of_its_plan(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 3)
    for plan_id in plan_ids:
        await wish(engine, buyer_id, plan_id, "one")
    phone = Phone()
    await send(engine, phone, NOON)
    await wish(engine, buyer_id, plan_ids[2], "two", Template.OVERDUE_FIRM)

    await send(engine, phone, NOON + timedelta(hours=1))
    await send(engine, phone, NOON + DAY + timedelta(minutes=1))

    states = await kept(engine)
    assert [(name, status) for name, status, _ in states] == [
        ("one", "sent"), ("one", "sent"), ("one", "overtaken"), ("two", "sent"),
    ]  # fmt: skip
    assert states[2][2].startswith("ntc_")  # by which


async def test_what_is_late_no_more_is_told_to_nobody(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 2)
    await wish(engine, buyer_id, plan_ids[0], "paid")
    await wish(engine, buyer_id, plan_ids[1], "disputed")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE installment_plans SET next_due_on = %s WHERE id = %s", (LATE_ON, plan_ids[0])
        )
        await connection.exec_driver_sql("UPDATE installment_plans SET is_paused = true WHERE id = %s", (plan_ids[1],))

    assert await send(engine, Phone(), NOON) == 0

    assert await kept(engine) == [("paid", "overtaken", "nothing_due"), ("disputed", "overtaken", "paused")]


async def test_a_promise_of_a_try_that_is_over_is_not_sent(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 1)
    await wish(engine, buyer_id, plan_ids[0], "failed", Template.CHARGE_FAILED)

    assert await send(engine, Phone(), NOON + timedelta(days=3)) == 0

    assert await kept(engine) == [("failed", "overtaken", "too_late")]


async def test_a_message_repeated_after_a_lost_answer_is_one_contact(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 3)
    for plan_id in plan_ids[:2]:
        await wish(engine, buyer_id, plan_id, "one")
    phone = Phone(SendStatus.UNKNOWN, SendStatus.UNKNOWN)
    assert await send(engine, phone, NOON) == 2
    await wish(engine, buyer_id, plan_ids[2], "one")

    assert await send(engine, phone, NOON + timedelta(minutes=5)) == 2  # both again, and no third

    assert len({message_id for message_id, _, _ in phone.given}) == 2
    assert [status for _, status, _ in await kept(engine)] == ["sent", "sent", "waiting"]


async def test_a_message_that_surely_reached_nobody_is_no_contact(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 3)
    for plan_id in plan_ids:
        await wish(engine, buyer_id, plan_id, "one")
    phone = Phone(SendStatus.REFUSED, SendStatus.REFUSED)
    assert await send(engine, phone, NOON) == 2

    later = NOON + DAY + timedelta(minutes=1)
    await wish(engine, buyer_id, plan_ids[0], "two")
    await send(engine, phone, later)

    assert [status for _, status, _ in await kept(engine)] == ["failed", "failed", "sent", "sent"]


async def test_two_workers_at_once_keep_the_cap(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 6)
    for plan_id in plan_ids:
        await wish(engine, buyer_id, plan_id, "one")
    phone = Phone()

    await asyncio.gather(*(send(engine, phone, NOON) for _ in range(3)))

    assert len(phone.given) == 2


async def test_sixteen_a_month_and_four_a_week_over_a_long_time_of_arrears(engine: Engine) -> None:
    buyer_id, plan_ids = await debtor(engine, 8)
    phone, sent = Phone(), []
    for day in range(40):
        now = NOON + timedelta(days=day, minutes=day)
        for plan_id in plan_ids:
            await wish(engine, buyer_id, plan_id, f"day-{day}")
        sent += [now] * await send(engine, phone, now)

    for window, most in windows(LAW):
        assert all(sum(start <= one < start + window for one in sent) <= most for start in sent)
    assert len(sent) >= 16
    states = {status for _, status, _ in await kept(engine)}
    assert states == {"sent", "waiting", "overtaken"}


async def test_the_first_stage_of_arrears_goes_in_the_morning(engine: Engine) -> None:
    await debtor(engine, 1)
    async with transaction(engine) as session:
        await dunning.move_stages(session, LATE_ON, now=at(LATE_ON, 1))
    phone = Phone()

    assert await send(engine, phone, at(LATE_ON, 8, 59)) == 0
    assert await send(engine, phone, at(LATE_ON, 9)) == 1
