from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.messages_gateway import Channel, SendOutcome, SendStatus
from api.plan_night import Night, night_of, run_night, work_night
from api.plan_notices import send_notices
from installments import dunning, notices
from installments.notice_texts import TEXTS, Language, Template, text_of
from installments.notices import QUIET_FROM, QUIET_UNTIL, Lane, Wish
from ledger.clock import MOSCOW
from ledger.database import Engine, Session, transaction
from pci.secret import Secret
from tests.installments.collection_world import CONTRACT_ON, FORTNIGHT, NOW, at, make_buyer, make_house, make_plan
from tests.installments.test_collecting import clock_at

SECOND_ON = CONTRACT_ON + FORTNIGHT


class Phone:
    """A gateway that remembers what it was given; what it answers is told before."""

    def __init__(self, *answers: SendStatus) -> None:
        self.answers = list(answers)
        self.given: list[tuple[str, str, str]] = []

    async def send(self, message_id: str, phone: Secret, text: Secret, channel: Channel = Channel.SMS) -> SendOutcome:
        del channel
        self.given.append((message_id, phone.expose(), text.expose()))
        return SendOutcome(self.answers.pop(0) if self.answers else SendStatus.SENT, "said")


async def plans(engine: Engine, count: int = 1) -> list[str]:
    async with transaction(engine) as session:
        shop_id = await make_house(session)
        made = [
            await make_plan(session, shop_id, await make_buyer(session, number), number=number)
            for number in range(count)
        ]
    return [plan.id for plan in made]


async def told(engine: Engine) -> list[tuple[str, int, str]]:
    async with Session(engine) as session:
        rows = await session.exec_driver_sql(
            "SELECT template, installment_number, status FROM plan_notices ORDER BY created_at, template, id"
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def stages(engine: Engine) -> list[Any]:
    async with Session(engine) as session:
        rows = await session.exec_driver_sql("SELECT plan_id, stage FROM plan_dunning_stages ORDER BY plan_id, stage")
        return [tuple(row) for row in rows]


async def test_a_buyer_is_reminded_once_before_a_charge(engine: Engine) -> None:
    await plans(engine)
    for day in (3, 2, 2, 1):
        async with transaction(engine) as session:
            await dunning.remind(session, SECOND_ON - timedelta(days=day), now=at(SECOND_ON, 1))

    phone = Phone()
    assert await send_notices(engine, phone, clock_at(at(SECOND_ON, 8))) == 0  # type: ignore[arg-type]
    assert await send_notices(engine, phone, clock_at(at(SECOND_ON, 10))) == 1  # type: ignore[arg-type]

    assert await told(engine) == [("reminder", 2, "sent")]
    ((_, number, said),) = phone.given
    assert (number, said) == (
        "+79160000000", "06.12.2026 спишем 1000,00 ₽ по рассрочке. Проверьте деньги на карте.",
    )  # fmt: skip


async def test_arrears_reach_each_stage_once_and_only_the_latest_that_was_slept_through(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    for day in (0, 1, 1, 2, 3, 15, 15):
        async with transaction(engine) as session:
            on = SECOND_ON + timedelta(days=day)
            await dunning.move_stages(session, on, now=at(on, 1))
    assert await stages(engine) == [(plan_id, 1), (plan_id, 3), (plan_id, 14)]
    assert [template for template, *_ in await told(engine)] == ["overdue_soft", "overdue_soft", "overdue_firm"]


async def test_a_night_is_worked_once_by_two_workers(engine: Engine) -> None:
    ids = await plans(engine, 3)
    clock = clock_at(at(SECOND_ON + timedelta(days=1), 1))
    one, two = Night(), Night()
    while any([await work_night(engine, clock, night) for night in (one, two)]):
        pass
    await run_night(engine, clock)

    assert await stages(engine) == [(plan_id, 1) for plan_id in sorted(ids)]
    async with Session(engine) as session:
        rows = await session.exec_driver_sql("SELECT plan_id, count(*) FROM plan_charges GROUP BY 1 ORDER BY 1")
        assert [tuple(row) for row in rows] == [(plan_id, 1) for plan_id in sorted(ids)]
        ended = await session.exec_driver_sql(
            "SELECT bool_and(ended_at IS NOT NULL) FROM plan_nights WHERE step <> 'payouts'"
        )
        assert ended.scalar_one()


async def test_a_clock_set_back_works_no_night_again(engine: Engine) -> None:
    await plans(engine)
    await run_night(engine, clock_at(at(SECOND_ON, 1)))
    assert await work_night(engine, clock_at(at(SECOND_ON - timedelta(days=3), 1)), Night()) == 0


def test_a_night_begins_when_the_day_before_is_surely_over() -> None:
    assert night_of(at(SECOND_ON, 0, 29)) == SECOND_ON - timedelta(days=1)
    assert night_of(at(SECOND_ON, 0, 30)) == SECOND_ON


async def news(engine: Engine, plan_id: str, count: int) -> None:
    buyer_id = await buyer_of(engine, plan_id)
    async with transaction(engine) as session:
        for start in range(0, count, 500):
            wishes = [
                Wish(Template.NEWS, plan_id, buyer_id, f"news-{start + number}", {"text": "Скидки"})
                for number in range(500)
            ]
            await notices.add_notices(session, wishes, now=NOW)


async def buyer_of(engine: Engine, plan_id: str) -> str:
    async with Session(engine) as session:
        found = await session.exec_driver_sql("SELECT buyer_id FROM installment_plans WHERE id = %s", (plan_id,))
        return str(found.scalar_one())


async def test_a_flood_of_news_never_delays_what_a_buyer_must_know(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    await news(engine, plan_id, 3_000)
    buyer_id = await buyer_of(engine, plan_id)
    async with transaction(engine) as session:
        await notices.add_notices(
            session, [Wish(Template.CHARGE_DONE, plan_id, buyer_id, "chg", {"amount": 1})], now=NOW
        )
    phone = Phone()
    clock = clock_at(at(CONTRACT_ON, 13))

    async with transaction(engine) as session:
        claimed = await notices.claim_notices(session, now=at(CONTRACT_ON, 13), limit=10)
    assert [notice.template for notice in claimed] == [Template.CHARGE_DONE, *[Template.NEWS] * 9]

    assert await send_notices(engine, phone, clock, lanes=[Lane.TRANSACTIONAL]) == 0  # it is leased already
    assert await send_notices(engine, phone, clock_at(at(CONTRACT_ON, 14)), lanes=[Lane.TRANSACTIONAL]) == 1  # type: ignore[arg-type]
    assert phone.given[0][2] == "Платёж по рассрочке 0,01 ₽ получен. Спасибо!"


async def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_id(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    await news(engine, plan_id, 1)
    async with engine.begin() as session:
        await session.exec_driver_sql("UPDATE plan_notices SET next_try_at = NULL, status = 'failed', ended_at = now() "
                                      "WHERE stage <> 'news-0'")  # fmt: skip
    phone = Phone(SendStatus.UNKNOWN)

    for minute in (0, 0, 1):
        await send_notices(engine, phone, clock_at(at(CONTRACT_ON, 13, minute)))  # type: ignore[arg-type]

    assert len(phone.given) == 2
    assert len({message_id for message_id, *_ in phone.given}) == 1
    async with Session(engine) as session:
        rows = await session.exec_driver_sql(
            "SELECT status, tries, cost_kopecks FROM plan_notices WHERE stage = 'news-0'"
        )
        assert tuple(rows.one()) == ("sent", 2, 250)


async def test_a_message_that_the_gateway_refuses_or_never_answers_ends(engine: Engine) -> None:
    (plan_id,) = await plans(engine)
    await news(engine, plan_id, 1)
    buyer_id = await buyer_of(engine, plan_id)
    async with transaction(engine) as session:
        wish = Wish(Template.REPAID, plan_id, buyer_id, "")
        assert [await notices.add_notices(session, [wish], now=NOW) for _ in range(2)] == [1, 0]
    phone = Phone(*[SendStatus.UNKNOWN] * notices.TRIES_MAX)
    moment = at(CONTRACT_ON, 13)
    while await send_notices(engine, phone, clock_at(moment), lanes=[Lane.TRANSACTIONAL]):  # type: ignore[arg-type]
        moment += timedelta(hours=13)
    assert len(phone.given) == notices.TRIES_MAX

    async with Session(engine) as session:
        rows = await session.exec_driver_sql("SELECT status, cost_kopecks FROM plan_notices WHERE template = 'repaid'")
        assert tuple(rows.one()) == ("failed", 0)


@pytest.mark.parametrize("template", Template)
def test_every_template_is_there_in_both_languages(template: Template) -> None:
    facts: dict[str, int | str] = {"amount": 100_050, "on": "2026-12-06", "days": 7, "text": "Скидки"}
    said = [text_of(template, language, facts) for language in Language]
    assert all(0 < len(each) <= 140 and "{" not in each for each in said)
    assert len(TEXTS) == len(Template) * len(Language)


@pytest.mark.parametrize("template", Template)
def test_nobody_is_disturbed_about_a_debt_at_night(template: Template) -> None:
    for hour in range(24):
        found = notices.send_at(template, at(CONTRACT_ON, hour)).astimezone(MOSCOW)
        assert template in notices.AT_ANY_HOUR or QUIET_UNTIL <= found.time() < QUIET_FROM
        assert found >= at(CONTRACT_ON, hour)
