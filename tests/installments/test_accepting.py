"""Accepting plans: decisions, cards that are refused, time, and answers that come twice or late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from checkout.card_payments import CardPaymentStatus, ChargeNews, Initiator
from checkout.errors import CardTokenMalformed
from installments import repository as rows
from installments.accepting import CARDS_REFUSED
from installments.cancelling import CancelReason
from installments.errors import (
    AcceptanceDiffers,
    FirstPaymentBusy,
    LicenceNotActive,
    PlanCanceled,
    PlanExpired,
)
from installments.first_payments import TRIES_MAX
from installments.plan import CollectorName, PlanStatus
from installments.repository import Licence
from ledger.clock import moscow_day
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from sbp_gateway.errors import BindingNotBound, BindingNotFound
from tests.conftest import Database
from tests.installments.life_world import OTHER_TOKEN, TOKEN, LifeWorld, leaves, life_world


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def test_an_accepted_plan_holds_its_first_installment_for_later_charges_too(
    life: LifeWorld, database: Database
) -> None:
    plan = await life.accept(await life.opened())

    payment = await life.first_payment(plan)
    assert (plan.status, plan.collector, plan.contract_on) == (
        PlanStatus.APPROVED, CollectorName.CARD, moscow_day(life.now)
    )  # fmt: skip
    assert (payment.merchant_id, payment.amount, payment.card_token) == (life.operator_id, 250_014, TOKEN)
    assert (payment.is_captured_at_once, payment.is_credential_kept) == (False, True)
    assert payment.initiator is Initiator.BUYER

    await life.bank_says(plan, ChargeNews.AUTHORISED)
    plan = await life.carry_on(plan)
    assert (plan.status, plan.expires_at) == (PlanStatus.WAIT_FOR_COMMIT, life.now + timedelta(days=5))
    assert await life.balance("memo:plan_hold:cards") == 250_014
    assert await life.events(plan) == ["plan.opened", "plan.approved", "plan.wait_for_commit"]
    assert {"plan.approved", "plan.wait_for_commit"} <= set(leaves(database))


async def test_a_buyer_under_age_is_rejected_with_a_reason_and_no_card_is_asked(life: LifeWorld) -> None:
    young = await life.buyer(born_on=date(2008, 11, 23))

    plan = await life.accept(await life.opened(), young)

    assert (plan.status, plan.reason, plan.ended_at) == (PlanStatus.REJECTED, "installments.under_age", life.now)
    assert await life.sql("SELECT FROM card_payments") == []
    assert await life.accept(plan, young) == plan
    with pytest.raises(AcceptanceDiffers):
        await life.accept(plan, await life.buyer())


async def test_accepting_twice_asks_one_card_once(life: LifeWorld) -> None:
    buyer = await life.buyer()
    plan = await life.accept(await life.opened(), buyer)

    again = await life.accept(plan, buyer)
    assert again.first_payment_id == plan.first_payment_id
    with pytest.raises(FirstPaymentBusy):
        await life.accept(plan, buyer, token=OTHER_TOKEN)
    with pytest.raises(AcceptanceDiffers):
        await life.accept(plan, await life.buyer())

    assert len(await life.sql("SELECT FROM card_payments")) == 1
    waiting = await life.held()
    assert await life.accept(waiting) == waiting


async def test_a_refused_card_leaves_the_plan_open_for_another(life: LifeWorld) -> None:
    plan = await life.accept(await life.opened())
    await life.bank_says(plan, ChargeNews.REFUSED, reason="not_enough_money")
    plan = await life.carry_on(plan)
    assert (plan.status, plan.first_payment_id) == (PlanStatus.APPROVED, None)

    plan = await life.accept(plan, token=OTHER_TOKEN)
    await life.bank_says(plan, ChargeNews.AUTHORISED)
    plan = await life.carry_on(plan)

    assert (plan.status, plan.card_token) == (PlanStatus.WAIT_FOR_COMMIT, OTHER_TOKEN)
    assert await life.events(plan) == [
        "plan.opened", "plan.approved", "plan.first_payment_refused", "plan.wait_for_commit"
    ]  # fmt: skip


async def test_another_card_may_come_before_the_worker_has_seen_the_refusal(life: LifeWorld) -> None:
    plan = await life.accept(await life.opened())
    await life.bank_says(plan, ChargeNews.REFUSED, reason="declined")

    plan = await life.accept(plan, token=OTHER_TOKEN)

    assert (plan.card_token, (await life.first_payment(plan)).card_token) == (OTHER_TOKEN, OTHER_TOKEN)
    assert (await life.events(plan))[-1] == "plan.first_payment_refused"


async def test_so_many_cards_may_be_tried_and_no_more(life: LifeWorld) -> None:
    plan = await life.opened()
    for _ in range(TRIES_MAX):
        assert plan.status in (PlanStatus.NEW, PlanStatus.APPROVED)
        plan = await life.accept(plan)
        await life.bank_says(plan, ChargeNews.REFUSED, reason="declined")
        plan = await life.carry_on(plan)

    assert (plan.status, plan.reason) == (PlanStatus.REJECTED, CARDS_REFUSED)
    assert len(await life.sql("SELECT FROM plan_first_payments")) == TRIES_MAX


async def test_a_card_number_is_no_token(life: LifeWorld) -> None:
    plan = await life.opened()

    with pytest.raises(CardTokenMalformed):
        await life.accept(plan, token="2200 0000 0000 0004")

    assert (await life.load(plan)).status is PlanStatus.NEW


async def binding(life: LifeWorld, buyer_id: str, *, status: str = "bound", number: int = 1) -> str:
    """A buyer's account binding with the operator."""
    binding_id = f"bnd_{number:026}"
    async with life.engine.begin() as session:
        await session.exec_driver_sql(
            """INSERT INTO sbp_merchants (merchant_id, nspk_merchant_id, member_id, bank_account, created_at)
               VALUES (%s, 'MA0000000001', '100000000111', '40702810000000000009', %s) ON CONFLICT DO NOTHING""",
            (life.operator_id, life.now),
        )
        await session.exec_driver_sql(
            """INSERT INTO account_bindings (id, merchant_id, buyer_reference, purpose, qrc_id, payload, requested_at,
                   expires_at, status, subscription_id, payer_member_id)
               VALUES (%s, %s, %s, 'p', %s, 'l', %s, %s, %s, %s, %s)""",
            (binding_id, life.operator_id, buyer_id, f"B{number:031}", life.now, life.now + timedelta(days=1), status,
             "sub" if status == "bound" else None, "100000000111" if status == "bound" else None),
        )  # fmt: skip
    return binding_id


async def test_by_a_binding_nothing_is_held_and_the_plan_waits_for_its_commit(life: LifeWorld) -> None:
    buyer = await life.buyer()
    own = await binding(life, buyer)

    plan = await life.accept(await life.opened(), buyer, binding_id=own)

    assert (plan.status, plan.collector, plan.binding_id) == (PlanStatus.WAIT_FOR_COMMIT, CollectorName.SBP, own)
    committed = await life.commit(plan)
    assert (committed.status, committed.outstanding) == (PlanStatus.COMMITTED, 1_000_056)
    assert (await life.carry_on(committed)).status is PlanStatus.COMMITTED
    assert await life.sql("SELECT FROM card_payments") == []


async def test_only_the_buyers_own_binding_that_stands_is_taken(life: LifeWorld) -> None:
    buyer, other = await life.buyer(), await life.buyer()
    ended, others = await binding(life, buyer, status="expired"), await binding(life, other, number=2)
    plan = await life.opened()

    for wrong, refusal in ((ended, BindingNotBound), (others, BindingNotBound), ("bnd_1", BindingNotFound)):
        with pytest.raises(refusal):
            await life.accept(plan, buyer, binding_id=wrong)

    assert (await life.load(plan)).status is PlanStatus.NEW


async def test_nobody_accepts_what_is_over(life: LifeWorld) -> None:
    late, gone = await life.opened(), await life.cancel(await life.opened(), CancelReason.BUYER)
    with pytest.raises(PlanCanceled):
        await life.accept(gone)
    life.pass_by(hours=6)

    with pytest.raises(PlanExpired):
        await life.accept(late)


async def test_the_law_of_the_day_of_the_consent_applies(life: LifeWorld) -> None:
    life.now = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    plan = await life.opened()
    async with transaction(life.engine) as session:
        await rows.add_licence(session, Licence(date(2026, 11, 23), "X-1", False, Kopecks(0)))
    life.pass_by(hours=1)

    with pytest.raises(LicenceNotActive):
        await life.accept(plan)


async def test_a_hold_that_comes_after_the_cancel_is_let_go(life: LifeWorld) -> None:
    plan = await life.accept(await life.opened())
    await life.bank_says(plan, ChargeNews.PENDING)
    await life.cancel(plan, CancelReason.BUYER)

    await life.bank_says(plan, ChargeNews.AUTHORISED)
    plan = await life.carry_on(plan)

    assert plan.status is PlanStatus.CANCELED
    assert (await life.first_payment(plan)).status is CardPaymentStatus.VOIDING
    await life.bank_says(plan, ChargeNews.VOIDED)
    await life.carry_on(plan)
    assert await life.sql("SELECT FROM plan_first_payments WHERE settled_at IS NULL") == []
