"""Links that nobody told us about: asked for in batches; registrations whose answer was lost: made good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from api.unanswered import code_retries, give_up_if_spent
from api.wiring import Wiring
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import LIVE, AttemptStatus
from checkout.rail import Offer
from ledger.clock import Clock
from ledger.database import Engine, Session, transaction
from sbp_gateway import registering, repository
from sbp_gateway.errors import MerchantNotRegistered, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import STATUS_BATCH_MAX
from sbp_gateway.polling import PollWindow, needs_settling, settle_windows, take_due_windows
from sbp_gateway.qr_codes import ANSWER_WAIT, QrCode, QrStatus

CALLS_AT_ONCE = 8
QUESTIONS_AT_ONCE = 4
"""Status calls under way for one worker: enough to keep NSPK answering while answers are read."""
LOTS_MAX = 8
"""Lots of windows asked about before the worker looks whether it should stop."""


async def poll_links(engine: Engine, wiring: Wiring, clock: Clock) -> int:
    """Ask NSPK about open codes whose time to be asked about has come, up to a hundred in a call.

    While one lot is asked about the next is taken, because PostgreSQL and NSPK can work at once.
    Raises: what the database raises, after the lot has been asked about.
    """
    asked, taking = 0, asyncio.create_task(_take(engine, clock))
    try:
        for lot in range(LOTS_MAX):
            windows = await taking
            codes = sum(len(window.qrc_ids) for window in windows)
            is_last = codes < STATUS_BATCH_MAX or lot + 1 == LOTS_MAX
            if not is_last:
                taking = asyncio.create_task(_take(engine, clock))
            await _ask_all(engine, wiring, clock, windows)
            asked += max(codes, len(windows))
            if is_last:
                break
    finally:
        await asyncio.wait([taking])
    return asked


async def _take(engine: Engine, clock: Clock) -> list[PollWindow]:
    async with transaction(engine) as session:
        return await take_due_windows(session, now=clock.now())


async def _ask_all(engine: Engine, wiring: Wiring, clock: Clock, windows: Sequence[PollWindow]) -> None:
    window_of = {qrc_id: window for window in windows for qrc_id in window.qrc_ids}
    over = frozenset(qrc_id for window in windows for qrc_id in window.over)
    places = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def ask(qrc_ids: Sequence[str]) -> None:
        async with places:
            try:
                await wiring.results.read_open(qrc_ids, over)
            except Exception as error:
                for qrc_id in qrc_ids:
                    window_of[qrc_id].is_answered = False
                if not isinstance(error, NspkUnknown | NspkUnavailable):
                    raise

    ended = await asyncio.gather(*map(ask, batches(list(window_of))), return_exceptions=True)
    if any(map(needs_settling, windows)):
        async with transaction(engine) as session:
            await settle_windows(session, windows, now=clock.now())
    for error in ended:
        if error is not None:
            raise error


def batches(qrc_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Links in as many parts as there will be calls."""
    for start in range(0, len(qrc_ids), STATUS_BATCH_MAX):
        yield qrc_ids[start : start + STATUS_BATCH_MAX]


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
    try:
        replaced = await registering.replace_lost_qr(session, lost, now=now)
    except MerchantNotRegistered:  # suspended meanwhile: the lost code is given up, and no other takes its place
        await till.close_attempts(session, [lost.attempt_id], AttemptStatus.EXPIRED)
        return None
    if replaced is None:
        return None
    qr, registration = replaced
    retries = await code_retries(session, lost.attempt_id)
    if await give_up_if_spent(session, lost.attempt_id, retries, now=now):
        await repository.abandon_qr(session, qr.id)
        return None
    (attempt,) = await till_rows.lock_attempts(session, [lost.attempt_id])
    if attempt.status in LIVE and now < attempt.created_at + registering.GIVE_UP_AFTER:
        return Offer(attempt.id, qr.merchant_id, qr.amount, qr.purpose, qr.id, registration)
    await repository.abandon_qr(session, qr.id)
    await till.close_attempts(session, [attempt.id], AttemptStatus.EXPIRED)
    return None
