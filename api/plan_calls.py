"""Plans on their way outside: first installments held, taken and let go, overpayments given back. Calls are never
inside a transaction; what follows from their answers is done in one, by how everything stands.

So it does not matter who asks, how often, or where a process died: ``carry_on`` finds what is to be done next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from api.card_calls import CardCalls
from api.card_paying import carry_out
from api.plan_credit_refunds import follow_credit
from api.plan_first_payments import complete_if_paid, follow, void_first_payments
from api.plan_paying import follow_attempt, tie
from api.plan_work import plans_to_carry_on
from checkout.card_payments import CardPayment, CardRefund
from checkout.card_refunding import record_refund
from installments.cancelling import expire_due
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.errors import KopeykaError

log = structlog.get_logger("plan_calls")

ROUNDS_MAX = 4
"""Held, taken, told, given back: no plan has more to be asked in a row."""


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
            payments, refunds = await in_transaction(self.engine, lambda session: self._next(session, plan_id))
            fresh = [each for each in payments if (each.id, each.version) not in asked]
            asked |= {(each.id, each.version) for each in fresh}
            new = [each for each in refunds if (each.id, 0) not in asked]
            asked |= {(each.id, 0) for each in new}
            for payment in fresh:
                await self._ask(payment, acting_for)
            for refund in new:
                await self._ask_refund(refund, acting_for)
            if not fresh and not new:
                return

    async def _next(self, session: Session, plan_id: str) -> tuple[list[CardPayment], list[CardRefund]]:
        now = self.clock.now()
        await tie(session, plan_id)  # orders are locked before accounts
        payments = await follow(session, plan_id, now=now)
        if await follow_attempt(session, plan_id, now=now):
            payments = await follow(session, plan_id, now=now)
        await complete_if_paid(session, plan_id, now=now)
        return payments, await follow_credit(session, plan_id, now=now)

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
    return await _each(due, calls.carry_on)


async def expire_plans(calls: PlanCalls) -> int:
    """Give up plans whose time is over, and let go of what is held for them."""

    async def give_up(session: Session) -> list[str]:
        now = calls.clock.now()
        ended = await expire_due(session, now=now)
        for plan in ended:
            await void_first_payments(session, plan, now=now)
        return [plan.id for plan in ended]

    return len(await in_transaction(calls.engine, give_up))


async def _each(due: list[str], work: Callable[[str], Awaitable[None]]) -> int:
    """Work on all that is due; what fails does not stop the others, and is due again."""
    for plan_id in due:
        try:
            await work(plan_id)
        except KopeykaError as error:
            log.warning("plan_not_carried_on", plan_id=plan_id, code=error.code)
    return len(due)
