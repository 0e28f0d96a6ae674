"""Commits: whole, for less, twice, too late; what the bank then says; and what the books say of each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from checkout.card_capturing import begin_void
from checkout.card_payments import CardPaymentStatus, ChargeNews
from installments.clearing import in_clearing
from installments.errors import (
    BasketMismatch,
    CommitAboveApproved,
    CommitDiffers,
    InstallmentsRejected,
    PlanCanceled,
    PlanExpired,
    PlanNotAwaitingCommit,
    PriceTooSmall,
)
from installments.movements import MovementKind
from installments.plan import ALLOWED, Plan, PlanStatus, Standing, advance
from ledger.database import Engine, transaction
from ledger.errors import InvariantBroken
from tests.conftest import Database
from tests.installments.life_world import PRICE, LifeWorld, leaves, life_world, thing


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def books_agree(life: LifeWorld) -> None:
    """The clearing of plans is empty, and every receivable is the unpaid installments of its bucket."""
    async with transaction(life.engine) as session:
        assert await in_clearing(session, life.operator_id) == 0


async def test_a_commit_books_the_debt_and_takes_the_first_installment_of_the_hold(
    life: LifeWorld, database: Database
) -> None:
    plan = await life.commit(await life.held())

    assert (plan.status, plan.standing, plan.outstanding) == (PlanStatus.COMMITTED, Standing.CURRENT, PRICE)
    assert (plan.fee_basis_points, plan.fee, plan.expires_at) == (690, 69_003, None)
    assert await life.balance("asset:plan_receivable:not_due") == PRICE
    assert await life.balance(f"liability:plan_payable:{life.merchant_id}") == PRICE - 69_003
    payment = await life.first_payment(plan)
    assert (payment.status, payment.capture) == (CardPaymentStatus.CAPTURING, 250_014)

    await life.bank_says(plan, ChargeNews.CAPTURED)
    plan = await life.carry_on(plan)

    assert (plan.status, plan.outstanding) == (PlanStatus.COMPLETED, 750_042)
    assert [(part.amount, part.paid) for part in await life.installments(plan)] == [
        (250_014, 250_014), (250_014, 0), (250_014, 0), (250_014, 0)
    ]  # fmt: skip
    assert await life.balance("memo:plan_hold:cards") == 0
    (movement,) = await life.movements(plan)
    assert (movement.kind, movement.amount, movement.reference) == (
        MovementKind.DOWN_PAYMENT, 250_014, payment.id
    )  # fmt: skip
    assert (await life.events(plan))[-3:] == ["plan.committed", "plan.down_payment", "plan.completed"]
    assert {"plan.committed", "plan.completed"} <= set(leaves(database))
    await books_agree(life)


async def test_the_capture_is_told_once_however_often_the_worker_looks(life: LifeWorld) -> None:
    plan = await life.commit(await life.held())
    asked = await life.first_payment(plan)
    await life.bank_says_of(asked, ChargeNews.CAPTURED)
    await life.bank_says_of(asked, ChargeNews.CAPTURED)

    await asyncio.gather(*(life.carry_on(plan) for _ in range(3)))

    assert len(await life.movements(plan)) == 1
    assert (await life.events(plan)).count("plan.completed") == 1
    await books_agree(life)


async def test_a_commit_days_later_does_not_make_the_buyer_late(life: LifeWorld) -> None:
    plan = await life.held()
    life.pass_by(days=4)

    plan = await life.commit(plan)
    await life.bank_says(plan, ChargeNews.CAPTURED)
    plan = await life.carry_on(plan)

    (movement,) = await life.movements(plan)
    assert movement.happened_at == life.now - timedelta(days=4)
    assert (plan.standing, plan.penalty) == (Standing.CURRENT, 0)
    await books_agree(life)


async def test_a_commit_for_less_cuts_the_price_anew_and_takes_less_of_the_hold(life: LifeWorld) -> None:
    plan = await life.committed(commit=800_000)

    assert (plan.price, plan.total, plan.outstanding, plan.fee) == (800_000, 800_000, 600_000, 55_200)
    assert [part.amount for part in await life.installments(plan)] == [200_000] * 4
    payment = await life.first_payment(plan)
    assert (payment.amount, payment.captured) == (250_014, 200_000)
    await books_agree(life)


async def test_a_commit_a_few_kopecks_lower_never_takes_more_than_is_held(life: LifeWorld) -> None:
    """10 000.54 has its two odd kopecks on the first, 2 500.15: a kopeck above the hold, which the last takes."""
    plan = await life.committed(commit=1_000_054)

    assert (await life.first_payment(plan)).captured == 250_014
    assert [(part.amount, part.paid) for part in await life.installments(plan)] == [
        (250_014, 250_014), (250_013, 0), (250_013, 0), (250_014, 0)
    ]  # fmt: skip
    assert plan.next_due_on == life.now.date() + timedelta(days=14)
    await books_agree(life)


async def test_the_same_commit_again_does_nothing_and_another_is_refused(life: LifeWorld) -> None:
    plan = await life.commit(await life.held())

    assert await life.commit(plan) == plan
    assert await life.commit(plan, PRICE) == plan
    for amount, items in ((PRICE - 1, None), (PRICE, (thing(PRICE, "Шуба"),))):
        with pytest.raises(CommitDiffers):
            await life.commit(plan, amount, items)

    await life.bank_says(plan, ChargeNews.CAPTURED)
    plan = await life.carry_on(plan)
    assert await life.commit(plan) == plan
    assert len(await life.sql("SELECT FROM card_payments")) == 1
    assert await life.balance("asset:plan_receivable:not_due") == 750_042


async def test_commits_at_once_take_the_money_once(life: LifeWorld) -> None:
    plan = await life.held()

    done = await asyncio.gather(*(life.commit(plan) for _ in range(4)))

    assert {one.version for one in done} == {done[0].version}
    assert await life.balance("asset:plan_receivable:not_due") == PRICE


REFUSALS = [
    pytest.param({"amount": PRICE + 1}, CommitAboveApproved, id="a kopeck above what was approved"),
    pytest.param({"amount": PRICE, "items": (thing(PRICE - 1),)}, BasketMismatch, id="a basket a kopeck short"),
    pytest.param({"amount": PRICE - 1, "items": (thing(PRICE),)}, BasketMismatch, id="less for the whole basket"),
    pytest.param({"amount": 3}, PriceTooSmall, id="too little for four installments"),
]


@pytest.mark.parametrize(("commit", "refusal"), REFUSALS)
async def test_a_commit_is_refused(
    life: LifeWorld, commit: dict[str, Any], refusal: type[InstallmentsRejected]
) -> None:
    plan = await life.held()

    with pytest.raises(refusal):
        await life.commit(plan, **commit)

    assert (await life.load(plan)) == plan
    assert await life.balance("asset:plan_receivable:not_due") == 0


async def test_nothing_is_committed_before_the_hold_or_after_the_cancel(life: LifeWorld) -> None:
    new, approved = await life.opened(), await life.accept(await life.opened())
    canceled, late = await life.cancel(await life.held()), await life.held()
    for plan in (new, approved):
        with pytest.raises(PlanNotAwaitingCommit):
            await life.commit(plan)
    with pytest.raises(PlanCanceled):
        await life.commit(canceled)
    life.pass_by(days=5)
    with pytest.raises(PlanExpired):
        await life.commit(late)


async def test_when_the_bank_takes_nothing_the_first_installment_is_collected_like_any(life: LifeWorld) -> None:
    plan = await life.commit(await life.held())
    await life.bank_says(plan, ChargeNews.AUTHORISED, reason="declined")  # the capture was refused

    plan = await life.carry_on(plan)
    assert (await life.first_payment(plan)).status is CardPaymentStatus.VOIDING
    await life.bank_says(plan, ChargeNews.VOIDED)
    plan = await life.carry_on(plan)
    assert (plan.status, plan.outstanding, plan.next_due_on) == (PlanStatus.COMMITTED, PRICE, plan.contract_on)

    await life.pay(plan, 250_014)
    plan = await life.carry_on(plan)
    assert (plan.status, plan.outstanding) == (PlanStatus.COMPLETED, 750_042)
    await books_agree(life)


async def test_a_hold_that_the_bank_lets_go_before_the_commit_ends_the_plan(life: LifeWorld) -> None:
    plan = await life.held()
    assert plan.first_payment_id is not None
    async with transaction(life.engine) as session:
        await begin_void(session, plan.first_payment_id, merchant_id=None, now=life.now)
    await life.bank_says(plan, ChargeNews.VOIDED)

    plan = await life.carry_on(plan)

    assert (plan.status, plan.reason) == (PlanStatus.CANCELED, "hold_lost")
    assert await life.balance("memo:plan_hold:cards") == 0


async def test_where_terms_say_so_the_plan_commits_by_itself(life: LifeWorld) -> None:
    async with life.engine.begin() as session:
        await session.exec_driver_sql(
            """INSERT INTO installment_products SELECT (p.r).* FROM (SELECT jsonb_populate_record(t,
                   '{"version": 2, "effective_on": "2026-11-22", "is_committed_at_once": true}') AS r
                   FROM installment_products AS t WHERE t.version = 1) AS p"""
        )
    plan = await life.accept(await life.opened())
    await life.bank_says(plan, ChargeNews.AUTHORISED)

    plan = await life.carry_on(plan)
    assert plan.status is PlanStatus.COMMITTED
    await life.bank_says(plan, ChargeNews.CAPTURED)
    plan = await life.carry_on(plan)

    assert (plan.status, plan.outstanding) == (PlanStatus.COMPLETED, 750_042)
    await books_agree(life)


def plan_in(plan: Plan, status: PlanStatus) -> Plan:
    return replace(plan, status=status)


async def test_plans_go_only_where_the_table_says(life: LifeWorld) -> None:
    plan = await life.opened()

    for here in PlanStatus:
        for there in PlanStatus:
            if there in ALLOWED[here]:
                assert advance(plan_in(plan, here), there).status is there
            else:
                with pytest.raises(InvariantBroken):
                    advance(plan_in(plan, here), there)
