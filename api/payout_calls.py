"""Payouts on their way to the bank: asked for, asked about, booked. Intent was written by the run."""

from __future__ import annotations

import asyncio

from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from reconciliation import paying_out, repository
from reconciliation.bank import Bank, BankAnswer
from reconciliation.errors import BankUnknown
from reconciliation.payouts import CALL_WAIT, Payout, PayoutStatus

CALLS_AT_ONCE = 4


async def carry_out_payouts(engine: Engine, bank: Bank, clock: Clock) -> int:
    """Ask the bank for payouts that are due, and write down what it says."""
    now = clock.now()
    async with transaction(engine) as session:
        payouts = await repository.take_due_payouts(session, now=now, lease_until=now + CALL_WAIT)
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def carry_out(payout: Payout) -> None:
        async with places:
            await carry_out_payout(engine, bank, clock, payout)

    await asyncio.gather(*(carry_out(payout) for payout in payouts))
    return len(payouts)


async def carry_out_payout(engine: Engine, bank: Bank, clock: Clock, payout: Payout) -> None:
    """Call the bank outside any transaction, then write down the outcome in one."""
    answer = await ask_bank(bank, payout)

    async def outcome(session: Session) -> Payout:
        return await paying_out.record_answer(session, payout.id, answer, now=clock.now())

    await in_transaction(engine, outcome)


async def ask_bank(bank: Bank, payout: Payout) -> BankAnswer | None:
    """The bank's word; nothing when it was lost.

    From the second try on we ask first what became of the payout; the bank never pays the same id twice.
    """
    is_first = payout.status is PayoutStatus.REQUESTED and payout.tries == 1
    try:
        found = None if is_first else await bank.find(payout.id)
        return found if found is not None else await bank.pay(payout)
    except BankUnknown:
        return None
