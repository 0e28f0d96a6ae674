"""Cash links that somebody must look after: lost answers made good, deadlines kept, results asked for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from api.cash_link_rail import arm, armed, record_start
from api.one_by_one import one_by_one
from api.sale_results import SaleReader, end
from api.unanswered import give_up_if_spent
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import LIVE, AttemptStatus
from checkout.rail import Start, StartStatus
from ledger.database import transaction
from ledger.errors import KopeykaError
from sbp_gateway import activating
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import ANSWER_WAIT, Activation, ActivationStatus, CashLink, wait_before_poll
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk_cash_links import NspkCashLinks
from sbp_gateway.qr_codes import POLL_WAIT_MAX

log = structlog.get_logger("sale_watching")

CALLS_AT_ONCE = 8
SILENCE_WAIT = timedelta(seconds=2)
"""Before a question whose answer was lost is asked again."""


async def watch_activations(sales: SaleReader) -> int:
    """Look at activations whose time to be looked at has come."""
    now = sales.clock.now()
    async with transaction(sales.engine) as session:
        due = await rows.take_due_activations(
            session, now=now, lease_until=now + ANSWER_WAIT, limit=rows.WATCH_BATCH_MAX
        )
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def look(activation: Activation) -> None:
        async with places:
            await watch(sales, activation)

    await asyncio.gather(*(look(activation) for activation in due))
    return len(due)


async def watch(sales: SaleReader, activation: Activation) -> None:
    """Do for one activation what its status and the time call for, and say when it is looked at again."""
    now = sales.clock.now()
    try:
        await _look(sales, activation, now)
        next_at = sales.clock.now() + wait_before_poll(activation, now)
    except (NspkUnknown, NspkUnavailable):
        next_at = sales.clock.now() + SILENCE_WAIT
    except KopeykaError as error:  # the others go on; a person must look
        log.error("sbp_sale_not_carried_out", activation_id=activation.id, code=error.code)
        next_at = sales.clock.now() + POLL_WAIT_MAX
    async with transaction(sales.engine) as session:
        await rows.save_next_poll(session, activation.id, next_at)


async def _look(sales: SaleReader, activation: Activation, now: datetime) -> None:
    """Ask, or take back. A refusal says nothing of the money, so it is waited out; but never longer than silence.

    Raises: NspkUnknown, NspkUnavailable, and what carrying out raises.
    """
    try:
        if activation.status is ActivationStatus.REQUESTED:
            await resume(sales, activation)
        elif activation.status is ActivationStatus.DEACTIVATING or now >= activation.expires_at:
            await disarm(sales, activation)
        else:
            await sales.read(activation)
    except NspkRefused as refused:
        log.warning("sbp_sale_refused", activation_id=activation.id, nspk_code=refused.facts.get("nspk_code"))
        if now >= activation.is_over_at:
            await _end_unanswered(sales, activation, now)


async def _end_unanswered(sales: SaleReader, activation: Activation, now: datetime) -> None:
    """Free the plate of a sale that NSPK will not speak about after its time and grace; its money may come late."""
    async with transaction(sales.engine) as session:
        locked = await activating.begin_deactivation(session, activation, now=now)
        await end(session, locked, AttemptStatus.EXPIRED, now=now)


async def disarm(sales: SaleReader, activation: Activation) -> None:
    """Take an activation back: intent, call, and then what NSPK says became of it.

    Whether it was too late is not read from the answer, which may be lost, but from the state after it.
    Raises: NspkRefused, NspkUnknown, NspkUnavailable; the worker goes on.
    """
    async with transaction(sales.engine) as session:
        activation = await activating.begin_deactivation(session, activation, now=sales.clock.now())
    if activation.status is not ActivationStatus.DEACTIVATING:
        return
    with suppress(NspkRefused):  # a buyer pays, or it is not armed: the state says which
        await sales.nspk.deactivate(activation.qrc_id)
    await sales.read(activation)


async def take_back(sales: SaleReader, activation: Activation) -> None:
    """Take an activation back for a cashier who waits.

    Raises: NspkUnknown when NSPK's word is lost, NspkUnavailable; the worker goes on, and the cashier may ask again.
    """
    try:
        await disarm(sales, activation)
    except NspkRefused as refused:
        raise NspkUnknown(reason=str(refused.facts.get("nspk_code", refused))) from None
    async with transaction(sales.engine) as session:
        left = await rows.lock_activation(session, activation.id)
    if left.status is ActivationStatus.DEACTIVATING and left.params_id is None:
        raise NspkUnknown(reason="the link may be armed yet")


async def resume(sales: SaleReader, lost: Activation) -> None:
    """Make good an activation whose answer was lost: take over what the link is armed with, or arm it again.

    Raises: NspkRefused, NspkUnknown, NspkUnavailable; the worker goes on.
    """
    now = sales.clock.now()
    async with transaction(sales.engine) as session:
        await give_up_if_spent(session, lost.attempt_id, lost.arms - 1, now=now)
        (attempt,) = await till_rows.lock_attempts(session, [lost.attempt_id])
    params_id = await sales.find(lost)
    if params_id is not None:
        await _record(sales, lost, armed(lost, params_id))
    elif attempt.status not in LIVE or now >= lost.expires_at:
        await disarm(sales, lost)
    else:
        async with transaction(sales.engine) as session:
            await rows.count_arms(session, lost.id, now=sales.clock.now())
        await _record(sales, lost, await arm(sales.nspk, lost))


async def _record(sales: SaleReader, activation: Activation, start: Start) -> None:
    if start.reason == NspkUnavailable.code:
        return  # nothing was sent this time; the lost one may have been heard
    async with transaction(sales.engine) as session:
        if not await record_start(session, activation.id, start, now=sales.clock.now()):
            return
        if start.status is not StartStatus.UNKNOWN:
            to = AttemptStatus.WAITING if start.status is StartStatus.STARTED else AttemptStatus.REJECTED
            await till.close_attempts(session, [activation.attempt_id], to)


async def resume_cash_links(sales: SaleReader) -> int:
    """Take up registrations of cash links whose answer was lost."""
    now = sales.clock.now()
    async with transaction(sales.engine) as session:
        due = await rows.take_due_links(session, now=now, lease_until=now + ANSWER_WAIT, limit=rows.WATCH_BATCH_MAX)

    async def resume(link: CashLink) -> None:
        with suppress(NspkUnknown, NspkUnavailable):  # the next time
            await register(sales, link)

    return await one_by_one("resume_cash_links", due, resume, name=lambda link: link.id)


async def register(sales: SaleReader, link: CashLink) -> None:
    """Register a cash link with NSPK under an id reserved before, so that a lost answer can be asked for.

    Raises: NspkUnknown, NspkUnavailable; the worker goes on.
    """
    qrc_id = link.qrc_id
    if qrc_id is None:
        (qrc_id,) = await sales.nspk.reserve(1)
    async with transaction(sales.engine) as session:
        if link.qrc_id is None and not await rows.reserve_for(session, link.id, qrc_id):
            return  # somebody else is at it
        registration = await activating.registration_of(session, link, qrc_id)
    try:
        payload = (await sales.nspk.register(registration)).payload
    except NspkRefused as refused:
        found = await payload_of(sales.nspk, qrc_id)
        if found is None:
            async with transaction(sales.engine) as session:
                await rows.refuse_cash_link(session, link.id, str(refused.facts.get("nspk_code", refused)))
            return
        payload = found
    async with transaction(sales.engine) as session:
        await rows.register_cash_link(session, link.id, payload)


async def payload_of(nspk: NspkCashLinks, qrc_id: str) -> str | None:
    """What was registered under an id before its answer was lost; nothing if nothing was. Raises: NspkUnknown."""
    try:
        return (await nspk.payload_of(qrc_id)).payload
    except NspkRefused:
        return None
