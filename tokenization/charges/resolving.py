"""What must happen although nobody asks: lost answers reversed, advices repeated, late approvals undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import structlog

from tokenization.charges import repository as rows
from tokenization.charges.calling import ActedBy, ChargeDesk
from tokenization.charges.capturing import repeat_capture
from tokenization.charges.messages import Message
from tokenization.charges.refunding import repeat_refund
from tokenization.charges.response_codes import APPROVED
from tokenization.charges.reversing import reverse, reverse_once_more
from tokenization.charges.states import ANSWER_WAIT, AttemptStatus, Charge, ChargeStatus, Operation
from tokenization.vault import Vault

log = structlog.get_logger("charges")

REST_SECONDS = 0.5
BACKOFF_SECONDS_MAX = 10.0
ITSELF = ActedBy()


async def resolve_due(desk: ChargeDesk) -> int:
    """Carry on whatever is due, a batch at once; how much there was."""
    now = desk.vault.now()
    async with desk.vault.transactions() as session:
        charges = await rows.take_due_charges(session, now=now, lease_until=now + ANSWER_WAIT)
        refunds = await rows.take_due_refunds(session, now=now, lease_until=now + ANSWER_WAIT)
    work: Sequence[Awaitable[object]] = [
        *(carry_on(desk, charge) for charge in charges),
        *(repeat_refund(desk, refund, ITSELF) for refund in refunds),
    ]
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, Exception):
            log.warning("charge_not_carried_on", error=type(ended).__name__)
    return len(work)


async def carry_on(desk: ChargeDesk, charge: Charge) -> Charge:
    """Bring an unsure charge one step further."""
    if charge.status is ChargeStatus.CAPTURING:
        return await repeat_capture(desk, charge.id, ITSELF)
    return await reverse(desk, charge.id, ITSELF)


async def take_late_answer(desk: ChargeDesk, answer: Message) -> None:
    """An answer that nobody waited for: an approval of what has been reversed already is reversed once more.

    That happens when the request was slower than its reversal. Locks: the charge.
    """
    async with desk.vault.transactions() as session:
        attempt = await rows.find_attempt(session, answer.correlation, now=desk.vault.now())
        if attempt is None or attempt.operation not in (Operation.AUTHORISATION, Operation.PURCHASE):
            return
        charge = await rows.find_charge(session, attempt.charge_id, lock=True)
        assert charge is not None
        if answer.response_code not in APPROVED:
            return
        if charge.status in (ChargeStatus.UNKNOWN, ChargeStatus.REVERSED):  # a reversal under way must not forget it
            await rows.end_attempt(
                session, attempt.id, AttemptStatus.ANSWERED, now=desk.vault.now(), response_code=answer.response_code
            )
        if charge.status is ChargeStatus.REVERSED:
            await reverse_once_more(session, desk, charge, ITSELF)


@asynccontextmanager
async def resolved(vault: Vault) -> AsyncIterator[None]:
    """While the block runs, the vault's charges are carried on and its line to the acquirer is kept alive."""
    if vault.acquirer is None:
        yield
        return
    desk = ChargeDesk(vault, vault.acquirer)
    tasks = [asyncio.create_task(resolve_for_ever(desk)), asyncio.create_task(desk.link.keep_alive())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.link.close()


async def resolve_for_ever(desk: ChargeDesk) -> None:
    """The resolver of one process; runs until it is cancelled. A database that is away only makes it wait."""

    async def late(answer: Message) -> None:
        await take_late_answer(desk, answer)

    desk.link.on_late = late
    pause = REST_SECONDS
    while True:
        try:
            pause = 0.01 if await resolve_due(desk) >= rows.LOOK_BATCH_MAX else REST_SECONDS
        except Exception as error:
            pause = min(max(pause, REST_SECONDS) * 2, BACKOFF_SECONDS_MAX)
            log.warning("resolver_failed", error=type(error).__name__, retry_in_seconds=pause)
        await asyncio.sleep(pause)
