"""Links that nobody told us about: asked for in batches; registrations whose answer was lost: made good."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from api.payment_results import Hint
from api.wiring import Wiring
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import LIVE, AttemptStatus
from checkout.rail import Offer
from ledger.clock import Clock
from ledger.database import Engine, Session, transaction
from sbp_gateway import registering, repository
from sbp_gateway.errors import NspkUnavailable, NspkUnknown
from sbp_gateway.qr_codes import ANSWER_WAIT, QrCode, QrStatus, wait_before_poll
from sbp_gateway.repository import NextPoll

CALLS_AT_ONCE = 8
SILENCE_WAIT = timedelta(seconds=2)
"""Before a question whose answer was lost is asked again."""


async def poll_links(engine: Engine, wiring: Wiring, clock: Clock) -> int:
    """Ask NSPK about links whose time to be asked about has come: one call for up to a hundred."""
    now = clock.now()
    async with transaction(engine) as session:
        codes = await repository.take_due(
            session, QrStatus.REGISTERED, now=now, lease_until=now + ANSWER_WAIT, limit=repository.POLL_BATCH_MAX
        )
    if not codes:
        return 0
    try:
        await wiring.results.read([Hint(qr.qrc_id) for qr in codes if qr.qrc_id is not None])
        polls = [NextPoll(qr.id, now + wait_before_poll(qr, now)) for qr in codes]
    except (NspkUnknown, NspkUnavailable):
        polls = [NextPoll(qr.id, clock.now() + SILENCE_WAIT) for qr in codes]
    async with transaction(engine) as session:
        await repository.save_next_polls(session, polls)
    return len(codes)


async def resume_lost_links(engine: Engine, wiring: Wiring, clock: Clock) -> int:
    """Make good registrations whose answer was lost, with a new code for the same attempt."""
    now = clock.now()
    async with transaction(engine) as session:
        lost = await repository.take_due(
            session, QrStatus.REQUESTED, now=now, lease_until=now + ANSWER_WAIT, limit=repository.RESUME_BATCH_MAX
        )
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def resume(qr: QrCode) -> None:
        async with places:
            await resume_lost_link(engine, wiring, clock, qr)

    await asyncio.gather(*(resume(qr) for qr in lost))
    return len(lost)


async def resume_lost_link(engine: Engine, wiring: Wiring, clock: Clock, lost: QrCode) -> None:
    """Intent (the lost code is given up, another written down), call, outcome."""
    async with transaction(engine) as session:
        offer = await _new_offer(session, lost, clock)
    if offer is None:
        return
    start = await wiring.rail.start(offer)
    async with transaction(engine) as session:
        await till.record_start(session, wiring.rail, offer, start, now=clock.now())


async def _new_offer(session: Session, lost: QrCode, clock: Clock) -> Offer | None:
    """What to ask NSPK instead; nothing if the answer came after all or the attempt's time is over."""
    now = clock.now()
    replaced = await registering.replace_lost_qr(session, lost, now=now)
    if replaced is None:
        return None
    qr, registration = replaced
    (attempt,) = await till_rows.lock_attempts(session, [lost.attempt_id])
    if attempt.status in LIVE and now < attempt.created_at + registering.GIVE_UP_AFTER:
        return Offer(attempt.id, qr.merchant_id, qr.amount, qr.purpose, qr.id, registration)
    await repository.abandon_qr(session, qr.id)
    await till.close_attempts(session, [attempt.id], AttemptStatus.EXPIRED)
    return None
