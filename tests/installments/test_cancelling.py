"""Plans given up before their commit, by whom and when; what was held is let go, and nothing is left in the books."""

from __future__ import annotations

import pytest
import pytest_asyncio

from checkout.card_payments import CardPaymentStatus, ChargeNews
from installments.cancelling import CancelReason
from installments.errors import PlanCanceled, PlanCommitted
from installments.plan import PlanStatus
from ledger.database import Engine
from tests.conftest import Database
from tests.installments.life_world import LifeWorld, leaves, life_world


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def test_a_cancelled_plan_lets_the_hold_go_and_leaves_nothing_in_the_books(
    life: LifeWorld, database: Database
) -> None:
    plan = await life.cancel(await life.held())

    assert (plan.status, plan.reason, plan.ended_at) == (PlanStatus.CANCELED, "canceled_by_merchant", life.now)
    assert (await life.first_payment(plan)).status is CardPaymentStatus.VOIDING
    await life.bank_says(plan, ChargeNews.VOIDED)
    assert await life.carry_on(plan) == plan
    assert await life.balance("memo:plan_hold:cards") == 0
    assert await life.balance("asset:plan_receivable:not_due") == 0
    assert (await life.events(plan))[-1] == "plan.canceled"
    assert "plan.canceled" in leaves(database)


async def test_cancelling_again_changes_nothing(life: LifeWorld) -> None:
    plan = await life.cancel(await life.held())

    assert await life.cancel(plan, CancelReason.BUYER) == plan

    assert (await life.events(plan)).count("plan.canceled") == 1
    assert (await life.load(plan)).reason == "canceled_by_merchant"


@pytest.mark.parametrize("reason", [CancelReason.MERCHANT, CancelReason.BUYER])
async def test_a_new_plan_is_given_up_without_any_card(life: LifeWorld, reason: CancelReason) -> None:
    plan = await life.cancel(await life.opened(), reason)

    assert (plan.status, plan.reason) == (PlanStatus.CANCELED, reason.value)
    assert await life.sql("SELECT FROM card_payments") == []


async def test_a_committed_plan_is_refunded_instead_and_a_rejected_one_is_over(life: LifeWorld) -> None:
    committed = await life.committed()
    with pytest.raises(PlanCommitted):
        await life.cancel(committed)
    async with life.engine.begin() as session:
        await session.exec_driver_sql(
            "UPDATE installment_plans SET status = 'rejected', expires_at = NULL WHERE id = %s",
            ((rejected := await life.opened()).id,),
        )
    with pytest.raises(PlanCanceled):
        await life.cancel(rejected)


async def test_time_ends_what_does_not_move_on(life: LifeWorld) -> None:
    new, approved, held = await life.opened(), await life.accept(await life.opened()), await life.held()
    committed = await life.committed()
    life.pass_by(hours=5, minutes=59, seconds=59)
    assert await life.expire() == []

    life.pass_by(seconds=1)
    assert await life.expire() == [new.id, approved.id]
    assert (await life.load(new)).reason == (await life.load(approved)).reason == "order_expired"
    life.pass_by(days=4, hours=18)
    assert await life.expire() == [held.id]

    assert (await life.load(held)).reason == "hold_expired"
    assert (await life.first_payment(held)).status is CardPaymentStatus.VOIDING
    assert (await life.load(committed)).status is PlanStatus.COMPLETED
    assert await life.expire() == []


async def test_a_hold_that_cannot_be_let_go_is_not_asked_for_for_ever(life: LifeWorld) -> None:
    plan = await life.cancel(await life.held())
    await life.bank_says(plan, ChargeNews.AUTHORISED, reason="void_refused")

    await life.carry_on(plan)

    assert (await life.first_payment(plan)).status is CardPaymentStatus.AUTHORISED
    assert await life.sql("SELECT FROM plan_first_payments WHERE settled_at IS NULL") == []
