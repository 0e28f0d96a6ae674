"""The worker's look at plans: what has something to be done, and nothing else."""

from __future__ import annotations

import pytest_asyncio

from api.plan_work import plans_to_carry_on
from checkout.card_payments import ChargeNews
from installments.movements import Movement, MovementKind
from installments.plan import Plan
from installments.recording import record
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.installments.life_world import PRICE, LifeWorld, life_world


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def due(life: LifeWorld) -> list[str]:
    async with transaction(life.engine) as session:
        return await plans_to_carry_on(session)


async def test_a_plan_is_due_when_its_bank_has_answered_and_not_before(life: LifeWorld) -> None:
    plan = await life.accept(await life.opened())
    assert await due(life) == []
    await life.bank_says(plan, ChargeNews.AUTHORISED)
    assert await due(life) == [plan.id]

    plan = await life.commit(await life.carry_on(plan))
    assert await due(life) == []
    await life.bank_says(plan, ChargeNews.CAPTURED)
    assert await due(life) == [plan.id]

    await life.carry_on(plan)
    assert await due(life) == []


async def test_an_overpaid_plan_is_due_until_its_card_refund_is_asked_for_and_when_it_has_ended(
    life: LifeWorld,
) -> None:
    plan = await life.committed()
    await life.refund(plan, PRICE)
    assert await due(life) == [plan.id]

    await life.carry_on(plan)
    assert await due(life) == []
    await life.bank_gives_back(plan)

    assert await due(life) == []
    assert (await life.load(plan)).overpaid == 0


async def test_what_no_card_can_take_back_does_not_keep_the_worker_busy(life: LifeWorld) -> None:
    plan = await paid_by_the_bank(life, await life.committed(), 760_000)

    assert (plan.outstanding, plan.overpaid) == (0, 9_958)
    await life.bank_gives_back(plan)
    assert (await life.load(plan)).overpaid == 0  # the card of the first installment can
    await life.refund(plan, PRICE)
    await life.bank_gives_back(plan)

    left = await life.load(plan)
    assert left.overpaid == 760_000
    assert await due(life) == []


async def paid_by_the_bank(life: LifeWorld, plan: Plan, amount: int) -> Plan:
    """Money that came straight to our own bank account."""
    movement = Movement(
        new_id("mov", life.now), plan.id, MovementKind.EARLY_PAYMENT, Kopecks(amount), life.now, "bank:1"
    )  # fmt: skip
    async with transaction(life.engine) as session:
        plan, _ = await record(session, plan.id, movement, now=life.now)
    return plan
