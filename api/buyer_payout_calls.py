"""Payouts to buyers on their way to the bank: asked for, asked about, booked. Their intent is written before."""

from __future__ import annotations

import asyncio

from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from sbp_gateway import buyer_payout_repository as rows
from sbp_gateway import paying_buyers
from sbp_gateway.buyer_payouts import CALL_WAIT, BuyerPayout, is_forgotten, is_refusal_believed
from sbp_gateway.errors import PayoutBankUnknown
from sbp_gateway.payout_bank import PayoutAnswer, PayoutBank, PayoutWord

CALLS_AT_ONCE = 4


async def carry_out_buyer_payouts(engine: Engine, bank: PayoutBank, clock: Clock) -> int:
    """Ask the bank for payouts to buyers that are due, and write down what it says."""
    now = clock.now()
    async with transaction(engine) as session:
        payouts = await rows.take_due(session, now=now, lease_until=now + CALL_WAIT)
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def carry_out(payout: BuyerPayout) -> None:
        async with places:
            await carry_out_buyer_payout(engine, bank, clock, payout)

    await asyncio.gather(*(carry_out(payout) for payout in payouts))
    return len(payouts)


async def carry_out_buyer_payout(engine: Engine, bank: PayoutBank, clock: Clock, payout: BuyerPayout) -> None:
    """Call the bank outside any transaction, then write down the outcome in one."""
    answer = await ask_bank(engine, bank, clock, payout)

    async def outcome(session: Session) -> BuyerPayout:
        return await paying_buyers.record_answer(session, payout.id, answer, now=clock.now())

    await in_transaction(engine, outcome)


async def ask_bank(engine: Engine, bank: PayoutBank, clock: Clock, payout: BuyerPayout) -> PayoutAnswer | None:
    """The bank's word; nothing when it was lost.

    Only the first try asks the bank to pay. Every later one asks what became of the payout; a bank that does not
    know it is believed, and asked to pay once more under the same id, only when nothing can be on its way any more.
    A refusal of such a repeat says nothing about the first request: from then on the bank is only asked.
    """
    try:
        if payout.tries == 1:
            return await bank.pay(payout)
        found = await bank.find(payout.id)
        if found is not None or not is_forgotten(payout, clock.now()):
            return found
        if payout.reason is not None:
            believed = is_refusal_believed(payout, clock.now())
            return PayoutAnswer(PayoutWord.DECLINED, payout.reason) if believed else None
        return await _repeat(engine, bank, clock, payout)
    except PayoutBankUnknown:
        return None


async def _repeat(engine: Engine, bank: PayoutBank, clock: Clock, payout: BuyerPayout) -> PayoutAnswer | None:
    """Ask the bank to pay once more; its refusal is only written down. Raises: PayoutBankUnknown."""
    async with transaction(engine) as session:
        if not await rows.ask_again(session, payout, now=clock.now()):
            return None
    answer = await bank.pay(payout)
    if answer.word is not PayoutWord.DECLINED:
        return answer
    async with transaction(engine) as session:
        await rows.keep_refusal(session, payout, answer.reason or "declined")
    return None
