"""Sending notices of plans: claimed, their texts made, sent through the gateway under their own ids, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from api.messages_gateway import Channel, MessagesGateway, SendOutcome, SendStatus
from installments import notices
from installments.dunning_lane import claim_dunning
from installments.notice_texts import text_of
from installments.notices import CLAIM_MAX, Lane, Notice
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, text
from pci.secret import Secret

log = structlog.get_logger("plan_notices")

SENT_AT_ONCE = 8
NO_PHONE = "no_phone"


async def send_notices(
    engine: Engine, gateway: MessagesGateway, clock: Clock, *, lanes: Sequence[Lane] = tuple(Lane)
) -> int:
    """Send what is due, a few at once; each lane has a job of its own, so that news to many hold nothing up."""
    claimed = await in_transaction(engine, lambda session: _claim(session, lanes, clock))
    if not claimed:
        return 0
    phones = await in_transaction(engine, lambda session: _phones_of(session, claimed))
    places = asyncio.Semaphore(SENT_AT_ONCE)

    async def one(notice: Notice) -> None:
        async with places:
            outcome = await _send(gateway, notice, phones.get(notice.buyer_id))
            await in_transaction(engine, lambda session: _record(session, notice, outcome, clock))

    await asyncio.gather(*(one(notice) for notice in claimed))
    return len(claimed)


async def _claim(session: Session, lanes: Sequence[Lane], clock: Clock) -> list[Notice]:
    now = clock.now()
    claimed = await notices.claim_notices(session, now=now, lanes=lanes)
    room = CLAIM_MAX - len(claimed)
    if Lane.DUNNING in lanes and room > 0:
        claimed += await claim_dunning(session, now=now, limit=room)
    return claimed


async def _phones_of(session: Session, claimed: Sequence[Notice]) -> dict[str, Secret]:
    found = await session.execute(
        text("SELECT id, phone FROM buyers WHERE id = ANY(CAST(:ids AS text[]))"),
        {"ids": sorted({notice.buyer_id for notice in claimed})},
    )
    return {row.id: Secret(row.phone) for row in found if row.phone is not None}


async def _send(gateway: MessagesGateway, notice: Notice, phone: Secret | None) -> SendOutcome:
    if phone is None:
        return SendOutcome(SendStatus.REFUSED, NO_PHONE)
    said = Secret(text_of(notice.template, notice.language, notice.facts))
    return await gateway.send(notice.id, phone, said, Channel(notice.channel))


async def _record(session: Session, notice: Notice, outcome: SendOutcome, clock: Clock) -> None:
    if outcome.status is SendStatus.UNKNOWN:
        await notices.retry_notice(session, notice, reason=outcome.reason or "unknown", now=clock.now())
        return
    reason = None if outcome.status is SendStatus.SENT else outcome.reason or "refused"
    if reason is not None:
        log.info("notice_refused", notice_id=notice.id, reason=reason)
    await notices.end_notice(session, notice, reason=reason, now=clock.now(), was_refused=reason is not None)
