"""Plans by card through the vault and the acquirer: the first installment held, taken, let go and given back; doors
that die between any two phases, vaults that are killed, and answers that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api import plan_acts
from api.plan_calls import PlanCalls, carry_on_plans, expire_plans
from api.sandbox import found_operator
from checkout import card_payment_rows as cards
from checkout.card_payments import CardPaymentStatus
from installments import repository as rows
from installments.accepting import Acceptance
from installments.cancelling import CancelReason
from installments.clearing import in_clearing
from installments.committing import CommitRequest
from installments.opening import open_plan
from installments.plan import Plan, PlanStatus
from installments.products import MerchantTerms
from installments.refunding import RefundRequest
from ledger.clock import Clock, machine_now
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.conftest import Database, VaultDatabase
from tests.installments.life_world import PRICE, PRODUCT, SHOP, LifeWorld
from tests.scenarios.card_installation import CardInstallation, card_installation, keep_card

SETTLED_SECONDS_MAX = 240


@dataclass
class PlanInstallation:
    """A shop that sells by installments, with everything a card passes through."""

    cards: CardInstallation
    life: LifeWorld
    calls: PlanCalls
    token: str

    async def accepted(self, *, is_carried_on: bool = True) -> Plan:
        """A buyer's yes. Without ``is_carried_on`` the door dies when it has written the intent down."""
        self.life.now = machine_now()
        async with transaction(self.life.engine) as session:
            request = self.life.request()
            plan = await open_plan(session, request, plan_id=new_id("pln", self.life.now), by=SHOP, now=self.life.now)
        buyer = await self.life.buyer()
        async with transaction(self.life.engine) as session:
            acceptance = Acceptance(buyer, None, card_token=self.token)
            await plan_acts.accept(session, plan.id, acceptance, SHOP, now=self.life.now)
        return await self._after(plan, is_carried_on)

    async def commit(self, plan: Plan, amount: int | None = None, *, is_carried_on: bool = True) -> Plan:
        request = CommitRequest() if amount is None else CommitRequest(Kopecks(amount), self.life.request(amount).items)
        async with transaction(self.life.engine) as session:
            await plan_acts.commit(session, plan.id, request, SHOP, now=machine_now())
        return await self._after(plan, is_carried_on)

    async def cancel(self, plan: Plan, *, is_carried_on: bool = True) -> Plan:
        async with transaction(self.life.engine) as session:
            await plan_acts.cancel(session, plan.id, CancelReason.MERCHANT, SHOP, now=machine_now())
        return await self._after(plan, is_carried_on)

    async def refund(self, plan: Plan, amount: int, *, is_carried_on: bool = True) -> Plan:
        async with transaction(self.life.engine) as session:
            wanted = RefundRequest(f"r{amount}", Kopecks(amount))
            await plan_acts.refund(session, plan.id, wanted, SHOP, now=machine_now())
        return await self._after(plan, is_carried_on)

    async def _after(self, plan: Plan, is_carried_on: bool) -> Plan:
        if is_carried_on:
            await self.calls.carry_on(plan.id)
        return await self.life.load(plan)

    async def until(self, plan: Plan, status: PlanStatus) -> Plan:
        """Let the worker's jobs go on until the plan is there."""
        async with asyncio.timeout(SETTLED_SECONDS_MAX):
            while (found := await self.life.load(plan)).status is not status:
                await carry_on_plans(self.calls)
                await asyncio.sleep(0.3)
        return found

    async def settle(self) -> None:
        """Nobody is unsure of anything any more, and plans have been told."""
        for _ in range(3):
            await self.cards.settle()
            await carry_on_plans(self.calls)
        await self.cards.settle()

    async def agree(self) -> Any:
        """What the acquirer took is what plans and books were told; it holds nothing for plans that are over."""
        summary = await self.cards.acquirer.ask("GET", "summary")
        assert summary["doubles"] == 0
        assert await self.cards.books() == summary["net_kopecks"]
        async with transaction(self.life.engine) as session:
            assert await in_clearing(session, self.life.operator_id) == 0
        return summary

    async def script(self, fault: str, kinds: tuple[str, ...] = ()) -> None:
        rule = {"fault": fault} | ({"kinds": list(kinds)} if kinds else {})
        await self.cards.acquirer.ask("PUT", "scripts", {"rules": [rule]})


@pytest_asyncio.fixture
async def plans(
    database: Database, vault_database: VaultDatabase, engine: Engine, vault_engine: Engine, tmp_path: Path
) -> AsyncIterator[PlanInstallation]:
    async with card_installation(database, vault_database, engine, vault_engine, tmp_path) as opened:
        async with transaction(engine) as session:
            operator_id = await found_operator(session, now=machine_now())
            terms = MerchantTerms(opened.merchant_id, PRODUCT, date(2020, 1, 1), 690, None, None)
            await rows.add_merchant_terms(session, terms)
        life = LifeWorld(engine, machine_now(), operator_id, opened.merchant_id)
        token = await keep_card(opened.api, operator_id)
        yield PlanInstallation(opened, life, PlanCalls(engine, opened.calls, Clock()), token)


async def test_a_plan_lives_from_the_order_to_the_refund(plans: PlanInstallation) -> None:
    plan = await plans.accepted()
    assert plan.status is PlanStatus.WAIT_FOR_COMMIT
    assert (await plans.cards.acquirer.ask("GET", "summary"))["held_kopecks"] == 250_014

    plan = await plans.commit(plan)
    assert (plan.status, plan.outstanding) == (PlanStatus.COMPLETED, 750_042)
    assert (await plans.agree())["net_kopecks"] == 250_014

    plan = await plans.refund(plan, 300_000)
    assert (plan.total, plan.outstanding, plan.overpaid) == (700_056, 525_042, 0)
    assert (await plans.agree())["net_kopecks"] == 175_014

    plan = await plans.refund(plan, 700_056)
    assert (plan.status, plan.outstanding, plan.overpaid) == (PlanStatus.REFUNDED, 0, 0)
    summary = await plans.agree()
    assert (summary["net_kopecks"], summary["held_kopecks"]) == (0, 0)


async def test_a_commit_for_less_lets_the_rest_of_the_hold_go(plans: PlanInstallation) -> None:
    plan = await plans.commit(await plans.accepted(), 800_000)

    assert (plan.status, plan.outstanding) == (PlanStatus.COMPLETED, 600_000)
    summary = await plans.agree()
    assert (summary["net_kopecks"], summary["held_kopecks"]) == (200_000, 0)


async def test_a_cancelled_plan_leaves_nothing_on_the_card(plans: PlanInstallation) -> None:
    plan = await plans.cancel(await plans.accepted())

    assert plan.status is PlanStatus.CANCELED
    summary = await plans.agree()
    assert (summary["net_kopecks"], summary["held_kopecks"]) == (0, 0)


async def test_doors_that_die_after_each_intent_are_finished_by_the_worker(plans: PlanInstallation) -> None:
    plan = await plans.accepted(is_carried_on=False)
    assert plan.status is PlanStatus.APPROVED
    await plans.until(plan, PlanStatus.WAIT_FOR_COMMIT)
    plan = await plans.commit(plan, is_carried_on=False)
    assert plan.status is PlanStatus.COMMITTED
    plan = await plans.until(plan, PlanStatus.COMPLETED)
    await plans.refund(plan, PRICE, is_carried_on=False)
    await carry_on_plans(plans.calls)
    await plans.settle()

    plan = await plans.life.load(plan)
    assert (plan.status, plan.overpaid) == (PlanStatus.REFUNDED, 0)
    assert (await plans.agree())["net_kopecks"] == 0
    given_up = await plans.accepted()
    await plans.cancel(given_up, is_carried_on=False)
    await plans.settle()
    assert (await plans.agree())["held_kopecks"] == 0


async def test_a_lost_answer_to_the_hold_is_reversed_and_the_buyer_tries_again(plans: PlanInstallation) -> None:
    await plans.script("lost_answer")
    plan = await plans.accepted()
    assert plan.status is PlanStatus.APPROVED
    await plans.settle()
    plan = await plans.life.load(plan)
    assert (plan.status, plan.first_payment_id) == (PlanStatus.APPROVED, None)

    async with transaction(plans.life.engine) as session:
        assert plan.buyer_id is not None
        again = Acceptance(plan.buyer_id, None, card_token=plans.token)
        await plan_acts.accept(session, plan.id, again, SHOP, now=machine_now())
    await plans.calls.carry_on(plan.id)

    plan = await plans.commit(await plans.until(plan, PlanStatus.WAIT_FOR_COMMIT))
    assert plan.status is PlanStatus.COMPLETED
    assert (await plans.agree())["net_kopecks"] == 250_014


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "cut"])
async def test_a_lost_answer_to_the_capture_takes_the_money_once(plans: PlanInstallation, fault: str) -> None:
    plan = await plans.accepted()
    await plans.script(fault)

    plan = await plans.commit(plan)  # the vault says it again under its number, at once or later
    assert plan.status in (PlanStatus.COMMITTED, PlanStatus.COMPLETED)
    plan = await plans.until(plan, PlanStatus.COMPLETED)

    assert plan.outstanding == 750_042
    assert len(await plans.life.movements(plan)) == 1
    assert (await plans.agree())["net_kopecks"] == 250_014


async def test_a_vault_killed_in_the_middle_of_the_hold_and_of_the_capture(plans: PlanInstallation) -> None:
    await plans.cards.acquirer.ask("PUT", "faults", {"delay_seconds": 2})
    holding = asyncio.create_task(plans.accepted())
    await asyncio.sleep(1)
    plans.cards.vault.kill()
    plan = await holding
    plans.cards.vault.start()
    await plans.cards.acquirer.ask("PUT", "faults", {"delay_seconds": 0})
    await plans.settle()
    assert (await plans.life.load(plan)).status in (PlanStatus.APPROVED, PlanStatus.WAIT_FOR_COMMIT)
    await plans.cancel(plan)

    plan = await plans.accepted()
    await plans.cards.acquirer.ask("PUT", "faults", {"delay_seconds": 2})
    committing = asyncio.create_task(plans.commit(plan))
    await asyncio.sleep(1)
    plans.cards.vault.kill()
    await committing
    plans.cards.vault.start()
    await plans.cards.acquirer.ask("PUT", "faults", {"delay_seconds": 0})
    plan = await plans.until(plan, PlanStatus.COMPLETED)

    await plans.settle()
    summary = await plans.agree()
    assert (summary["net_kopecks"], summary["held_kopecks"]) == (250_014, 0)
    assert len(await plans.life.movements(plan)) == 1


async def test_a_hold_that_comes_after_the_cancel_is_let_go(plans: PlanInstallation) -> None:
    plan = await plans.accepted(is_carried_on=False)
    plan = await plans.cancel(plan)
    assert plan.status is PlanStatus.CANCELED
    await plans.settle()

    summary = await plans.agree()
    assert (summary["net_kopecks"], summary["held_kopecks"]) == (0, 0)
    (row,) = await plans.life.sql("SELECT payment_id FROM plan_first_payments WHERE plan_id = %s", plan.id)
    async with transaction(plans.life.engine) as session:
        payment = await cards.load_payment(session, row[0])
    assert payment.status in (CardPaymentStatus.VOIDED, CardPaymentStatus.REFUSED)


async def test_time_lets_go_of_what_no_merchant_committed(plans: PlanInstallation) -> None:
    plan = await plans.accepted()
    later = PlanCalls(plans.life.engine, plans.cards.calls, Clock())
    async with plans.life.engine.begin() as session:
        await session.exec_driver_sql("UPDATE installment_plans SET expires_at = now() WHERE id = %s", (plan.id,))

    assert await expire_plans(later) == 1
    await plans.settle()

    assert (await plans.life.load(plan)).reason == "hold_expired"
    assert (await plans.agree())["held_kopecks"] == 0
