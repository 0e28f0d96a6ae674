"""Plans on their way outside: first installments held, taken and let go, overpayments given back. Calls are never
inside a transaction; what follows from their answers is done in one, by how everything stands.

So it does not matter who asks, how often, or where a process died: ``carry_on`` finds what is to be done next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api import plan_card_calls
from api.card_calls import CardCalls
from api.card_paying import carry_out
from api.one_by_one import all_or_halves, one_by_one
from api.plan_credit_refunds import follow_credit
from api.plan_first_payments import complete_if_paid, follow, void_first_payments
from api.plan_paying import COMMITTED, follow_attempt, tie
from api.plan_work import BATCH_MAX, plans_to_carry_on
from checkout.card_payments import CardPayment, CardRefund
from checkout.card_refunding import record_refund
from installments.cancelling import expire, plans_over
from installments.card_changes import changes_to_carry_on
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction

ROUNDS_MAX = 6
"""Paid for elsewhere, held, taken, told, given back, ended: no plan has more to be done in a row."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction has done for a plan."""

    payments: Sequence[CardPayment] = ()
    """What the vault is to be asked about now."""
    refunds: Sequence[CardRefund] = ()
    is_moved: bool = False
    """Whether something was booked after which more may be."""


@dataclass(frozen=True, slots=True)
class PlanCalls:
    """What plans need of the outside world."""

    engine: Engine
    cards: CardCalls
    clock: Clock

    async def carry_on(self, plan_id: str, acting_for: str = "") -> None:
        """Do whatever a plan waits for, until somebody outside must speak. Never raises for what the network does.

        Raises: PlanNotFound.
        """
        asked: set[tuple[str, int]] = set()
        for _ in range(ROUNDS_MAX):
            step = await in_transaction(self.engine, lambda session: self._next(session, plan_id))
            fresh = [each for each in step.payments if (each.id, each.version) not in asked]
            asked |= {(each.id, each.version) for each in fresh}
            new = [each for each in step.refunds if (each.id, 0) not in asked]
            asked |= {(each.id, 0) for each in new}
            for payment in fresh:
                await self._ask(payment, acting_for)
            for refund in new:
                await self._ask_refund(refund, acting_for)
            if not fresh and not new and not step.is_moved:
                return

    async def _next(self, session: Session, plan_id: str) -> Step:
        """What is to be done now, as far as accounts are locked in their one order: a hold, points, money.

        What would book any of them again is the next transaction's.
        """
        now = self.clock.now()
        tied = await tie(session, plan_id)  # orders are locked before accounts
        if tied is not None and tied.plan.status in COMMITTED and await follow_attempt(session, plan_id, now=now):
            return Step(is_moved=True)
        refunds, is_moved = await follow_credit(session, plan_id, now=now)
        if is_moved:
            return Step(refunds=refunds, is_moved=True)
        payments = await follow(session, plan_id, now=now)
        if await follow_attempt(session, plan_id, now=now):
            payments = await follow(session, plan_id, now=now)
        plan = await complete_if_paid(session, plan_id, now=now)
        return Step(payments, refunds, is_moved=plan.overpaid > 0)

    async def _ask(self, payment: CardPayment, acting_for: str) -> None:
        answer = await self.cards.ask(payment, acting_for)
        await in_transaction(self.engine, lambda session: carry_out(session, payment, answer, now=self.clock.now()))

    async def _ask_refund(self, refund: CardRefund, acting_for: str) -> None:
        answer = await self.cards.ask_refund(refund, acting_for)
        await in_transaction(
            self.engine, lambda session: record_refund(session, refund.id, answer, now=self.clock.now())
        )


async def carry_on_plans(calls: PlanCalls) -> int:
    """Go on with plans whose card has been answered, or whose door died: each in transactions of its own."""
    async with transaction(calls.engine) as session:
        due = await plans_to_carry_on(session)
        changes = await changes_to_carry_on(session, limit=BATCH_MAX)
    changed = await one_by_one(
        "carry_on_card_changes", changes, lambda plan_id: plan_card_calls.carry_on(calls.cards, plan_id)
    )
    return changed + await one_by_one("carry_on_plans", due, calls.carry_on)


async def expire_plans(calls: PlanCalls) -> int:
    """Give up plans whose time is over, and let go of what is held for them; one that cannot be keeps no others."""
    async with transaction(calls.engine) as session:
        due = await plans_over(session, now=calls.clock.now())

    async def give_up(session: Session, plan_ids: Sequence[str]) -> None:
        now = calls.clock.now()
        for plan in await expire(session, plan_ids, now=now):
            await void_first_payments(session, plan, now=now)

    async def work(plan_ids: Sequence[str]) -> None:
        await in_transaction(calls.engine, lambda session: give_up(session, plan_ids))

    return await all_or_halves("expire_plans", due, work)
