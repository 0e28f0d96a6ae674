"""Another card for a plan that owes: put in place when its bank says yes, never in the way of a charge under way."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest_asyncio

from api import plan_card_calls
from api.card_paying import carry_out
from api.plan_card_calls import WantedCard
from api.plan_collectors import CardCollector, outcome_of_card
from checkout.card_payments import CardPayment, CardPaymentStatus, ChargeAnswer, ChargeNews
from installments import card_changes, charge_rows, collecting
from installments import repository as rows
from installments.buyer_errors import CardChangesTooOften, CardChangeUnderWay
from installments.card_changes import CHANGES_MAX, CardChange, CardChangeStatus
from installments.charges import Charge, ChargeStatus
from installments.collecting import Collectors
from installments.errors import NoDebtOwed
from installments.movements import MovementKind
from installments.plan import CollectorName, Plan
from ledger.clock import moscow_day
from ledger.database import Engine, transaction
from ledger.errors import KopeykaError
from ledger.ids import new_id
from tests.conftest import Database
from tests.installments.life_world import ACQUIRER, OTHER_TOKEN, SHOP, TOKEN, LifeWorld, leaves, life_world
from tests.ledger.waiting import is_waiting_for_a_lock


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


NO_CALLS: Any = None
"""The bank's word is told by hand."""


def collectors() -> Collectors:
    return {CollectorName.CARD: CardCollector(NO_CALLS)}


async def ask(world: LifeWorld, plan: Plan, token: str = OTHER_TOKEN) -> CardChange:
    wanted = WantedCard(plan.id, new_id("cpy", world.now), token, "по телефону", SHOP, plan.buyer_id)
    async with transaction(world.engine) as session:
        return await plan_card_calls.ask(session, wanted, now=world.now)


async def follow(world: LifeWorld, plan: Plan) -> Sequence[CardPayment]:
    async with transaction(world.engine) as session:
        return await plan_card_calls.follow(session, plan.id, now=world.now)


async def bank_says(world: LifeWorld, payment: CardPayment, news: ChargeNews, reason: str | None = None) -> CardPayment:
    answer = ChargeAnswer(news, reason, "220000******0005", ACQUIRER, "1", None if reason else "2", 0)
    if news is ChargeNews.CAPTURED:
        answer = dataclasses.replace(answer, captured_kopecks=int(payment.amount))
    async with transaction(world.engine) as session:
        return await carry_out(session, payment, answer, now=world.now)


async def replaced(world: LifeWorld, plan: Plan) -> Plan:
    """The new card's bank has held the rouble and let it go."""
    await ask(world, plan)
    (payment,) = await follow(world, plan)
    assert (payment.amount, payment.is_credential_kept, payment.card_token) == (100, True, OTHER_TOKEN)
    await bank_says(world, payment, ChargeNews.AUTHORISED)
    (voiding,) = await follow(world, plan)
    assert voiding.status is CardPaymentStatus.VOIDING
    await bank_says(world, voiding, ChargeNews.VOIDED)
    assert await follow(world, plan) == []
    return await world.load(plan)


async def changes(world: LifeWorld, plan: Plan) -> list[tuple[CardChangeStatus, str | None]]:
    async with transaction(world.engine) as session:
        return [(one.status, one.reason) for one in await card_changes.list_changes(session, plan.id)]


async def due(world: LifeWorld, plan: Plan) -> tuple[Charge, CardPayment]:
    """The next installment's day has come, and its charge is begun."""
    async with transaction(world.engine) as session:
        await collecting.select_due(session, moscow_day(world.now), now=world.now)
    return await begin(world, plan)


async def begin(world: LifeWorld, plan: Plan) -> tuple[Charge, CardPayment]:
    world.pass_by(hours=12)
    async with transaction(world.engine) as session:
        (asked,) = await collecting.begin(session, collectors(), now=world.now)
    assert asked.charge.plan_id == plan.id
    assert isinstance(asked.request, CardPayment)
    return asked.charge, asked.request


async def told(world: LifeWorld, charge: Charge, payment: CardPayment) -> None:
    async with transaction(world.engine) as session:
        await collecting.record_outcomes(session, [outcome_of_card(charge.id, payment)], now=world.now)


async def charges(world: LifeWorld, plan: Plan) -> list[tuple[int, ChargeStatus]]:
    async with transaction(world.engine) as session:
        return [(one.tries, one.status) for one in await charge_rows.list_charges(session, plan.id)]


async def test_a_plan_is_collected_by_the_new_card_once_its_bank_has_said_yes(
    life: LifeWorld, database: Database
) -> None:
    plan = await life.committed()
    await refused(life, plan)
    assert (await life.load(plan)).card_token == TOKEN  # until a bank says yes

    changed = await replaced(life, plan)
    assert (changed.card_token, changed.collector) == (OTHER_TOKEN, CollectorName.CARD)
    life.pass_by(days=14)
    charge, payment = await due(life, changed)

    assert (payment.card_token, payment.first_payment_id) == (OTHER_TOKEN, changed.first_payment_id)
    await told(life, charge, await bank_says(life, payment, ChargeNews.CAPTURED))
    assert [int(part.unpaid) for part in await life.installments(plan)][:2] == [0, 0]
    said = ["card_change_asked", "card_change_refused", "card_change_asked", "card_replaced"]
    assert [one for one in await life.events(plan) if "card" in one] == [f"plan.{one}" for one in said]
    assert [one for one in leaves(database) if one.startswith("plan.card")] == [f"plan.{one}" for one in said]
    whose = "SELECT merchant_id FROM events WHERE type LIKE 'plan.card%%' AND merchant_id IS NOT NULL"
    assert await life.sql(whose) == []  # merchants are not told how the house collects


async def test_a_late_plan_is_tried_again_soon_by_the_new_card(life: LifeWorld) -> None:
    plan = await life.committed()
    life.pass_by(days=14)
    charge, payment = await due(life, plan)
    await told(life, charge, await bank_says(life, payment, ChargeNews.REFUSED, "card_stolen"))
    async with transaction(life.engine) as session:
        assert await collecting.renew(session, now=life.now + timedelta(days=10)) == 0  # not by that card again

    await replaced(life, plan)
    async with transaction(life.engine) as session:
        assert await collecting.renew(session, now=life.now) == 1
    again, by_new = await begin(life, plan)

    assert (again.tries, by_new.card_token) == (2, OTHER_TOKEN)
    await told(life, again, await bank_says(life, by_new, ChargeNews.CAPTURED))
    assert await charges(life, plan) == [(1, ChargeStatus.REFUSED), (2, ChargeStatus.CAPTURED)]


async def test_a_charge_under_way_ends_with_its_old_card(life: LifeWorld) -> None:
    plan = await life.committed()
    life.pass_by(days=14)
    charge, payment = await due(life, plan)

    await replaced(life, plan)
    async with transaction(life.engine) as session:
        assert await collecting.renew(session, now=life.now) == 0
    await told(life, charge, await bank_says(life, payment, ChargeNews.CAPTURED))

    assert payment.card_token == TOKEN
    assert await charges(life, plan) == [(1, ChargeStatus.CAPTURED)]
    assert [int(part.unpaid) for part in await life.installments(plan)][:2] == [0, 0]


async def test_a_card_that_its_bank_refuses_leaves_the_old_one_in_place(life: LifeWorld) -> None:
    plan = await life.committed()
    await ask(life, plan)
    (payment,) = await follow(life, plan)
    await bank_says(life, payment, ChargeNews.REFUSED, "card_restricted")
    await follow(life, plan)

    assert await changes(life, plan) == [(CardChangeStatus.REFUSED, "card_restricted")]
    assert (await life.load(plan)).card_token == TOKEN
    async with transaction(life.engine) as session:
        assert await card_changes.changes_to_carry_on(session, limit=10) == []


async def test_a_plan_that_was_repaid_meanwhile_keeps_its_card_and_the_rouble_is_let_go(life: LifeWorld) -> None:
    plan = await life.committed()
    await ask(life, plan)
    (payment,) = await follow(life, plan)
    await bank_says(life, payment, ChargeNews.AUTHORISED)
    await life.pay(plan, int((await life.load(plan)).outstanding), MovementKind.EARLY_PAYMENT)
    async with transaction(life.engine) as session:
        assert list(await card_changes.changes_to_carry_on(session, limit=10)) == [plan.id]

    (voiding,) = await follow(life, plan)

    assert voiding.status is CardPaymentStatus.VOIDING
    assert await changes(life, plan) == [(CardChangeStatus.REFUSED, "nothing_owed")]


async def refused(world: LifeWorld, plan: Plan) -> None:
    await ask(world, plan)
    (payment,) = await follow(world, plan)
    await bank_says(world, payment, ChargeNews.REFUSED, "card_restricted")
    await follow(world, plan)


async def refusal_of(world: LifeWorld, plan: Plan) -> type[KopeykaError] | None:
    try:
        await ask(world, plan)
    except KopeykaError as error:
        return type(error)
    return None


async def test_what_cannot_be_is_refused(life: LifeWorld) -> None:
    held, plan = await life.held(), await life.committed()
    assert await refusal_of(life, held) is NoDebtOwed
    stranger = dataclasses.replace(plan, buyer_id=held.buyer_id)
    assert await refusal_of(life, stranger) is NoDebtOwed

    for _ in range(CHANGES_MAX):
        await refused(life, plan)
    assert await refusal_of(life, plan) is CardChangesTooOften
    life.pass_by(days=1, seconds=1)
    await ask(life, plan)

    assert await refusal_of(life, plan) is CardChangeUnderWay


async def test_the_same_change_again_is_the_same(life: LifeWorld) -> None:
    plan = await life.committed()
    first = await ask(life, plan)
    wanted = WantedCard(plan.id, first.payment_id, OTHER_TOKEN, "по телефону", SHOP)

    async with transaction(life.engine) as session:
        assert await plan_card_calls.ask(session, wanted, now=life.now) == first


async def test_two_workers_who_hear_of_one_answer_put_the_card_in_place_once(life: LifeWorld) -> None:
    plan = await life.committed()
    await ask(life, plan)
    (payment,) = await follow(life, plan)
    await bank_says(life, payment, ChargeNews.AUTHORISED)

    async with transaction(life.engine) as session:
        await plan_card_calls.follow(session, plan.id, now=life.now)
        second = asyncio.create_task(follow(life, plan))
        await is_waiting_for_a_lock(life.engine)
    (voiding,) = await second

    assert voiding.status is CardPaymentStatus.VOIDING
    said = [one for one in await life.events(plan) if "card" in one]
    assert said == ["plan.card_change_asked", "plan.card_replaced"]


async def test_a_bank_that_is_silent_for_days_keeps_other_cards_waiting(life: LifeWorld) -> None:
    plan = await life.committed()
    await ask(life, plan)
    life.pass_by(days=2)

    assert await refusal_of(life, plan) is CardChangeUnderWay


async def test_a_card_is_put_in_place_beside_a_charge_that_is_being_begun(life: LifeWorld) -> None:
    """Charges are locked before their plans: who does both waits, and neither is undone."""
    plan = await life.committed()
    life.pass_by(days=14)
    async with transaction(life.engine) as session:
        await collecting.select_due(session, moscow_day(life.now), now=life.now)
    await ask(life, plan)
    (payment,) = await follow(life, plan)
    await bank_says(life, payment, ChargeNews.AUTHORISED)

    async with transaction(life.engine) as session:
        assert await charge_rows.lock_live_of_plan(session, plan.id) is not None
        change = asyncio.create_task(follow(life, plan))
        await is_waiting_for_a_lock(life.engine)
        await rows.load_plan(session, plan.id, lock=True)
    (voiding,) = await change

    assert voiding.status is CardPaymentStatus.VOIDING


async def test_what_the_old_card_is_refused_for_good_meanwhile_is_tried_again_by_the_new_one(life: LifeWorld) -> None:
    plan = await life.committed()
    life.pass_by(days=14)
    charge, payment = await due(life, plan)
    await replaced(life, plan)

    await told(life, charge, await bank_says(life, payment, ChargeNews.REFUSED, "card_stolen"))
    async with transaction(life.engine) as session:
        assert await collecting.renew(session, now=life.now) == 1
    again, by_new = await begin(life, plan)

    assert (again.tries, by_new.card_token) == (2, OTHER_TOKEN)
    await told(life, again, await bank_says(life, by_new, ChargeNews.REFUSED, "card_stolen"))
    async with transaction(life.engine) as session:
        assert await collecting.renew(session, now=life.now + timedelta(days=10)) == 0
