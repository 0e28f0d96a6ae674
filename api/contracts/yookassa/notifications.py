"""Notifications to shops: our events, told in the contract's form to the webhooks that wish it.

The outbox keeps what happened; a reader of its own chooses the webhooks of each event, and each
webhook's deliveries are tried, spaced and parked like all others.
Source: YooKassa API v3, "Incoming notifications".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp

from api.contracts.delivering import DESTINATIONS_MAX, Outcome, write_outcomes
from api.contracts.ended import end_payments_of
from api.contracts.yookassa import refunds, repository, webhooks
from api.contracts.yookassa.errors import UrlRefused
from api.contracts.yookassa.payments import payment_object
from api.contracts.yookassa.urls import check_url
from api.contracts.yookassa.webhooks import DESTINATION, Webhook
from api.settings import Mode
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, Session, transaction
from ledger.outbox import Delivery, Event, Published

READER = "yookassa"
"""The name of the reader's position in the outbox."""
CANCELED = "yookassa_payment.canceled"
"""Our event of a payment of the contract that ended unpaid."""
REFUNDED = "refund.succeeded"
TOLD_AS = {"order.paid": "payment.succeeded", CANCELED: "payment.canceled", REFUNDED: "refund.succeeded"}
"""Which of our events are told, and under which name."""
DELIVERIES_MAX = 5
"""For one webhook at once; with the limits on sending, a round ends well within a lease."""
TAKEN = 200
"""The only status by which a shop says that it took a notification."""


async def end_payments(engine: Engine, clock: Clock) -> int:
    """Close the orders of payments that ended unpaid and publish it; how many payments ended in any way."""
    return await end_payments_of(engine, "yookassa_payments", clock, _tell_of_cancel)


async def _tell_of_cancel(session: Session, order_id: str, merchant_id: str, now: datetime) -> None:
    facts = {"order_id": order_id, "merchant_id": merchant_id}
    await outbox.publish_all(session, [Event(CANCELED, order_id, merchant_id, facts)], now=now)


async def notify_shops(engine: Engine, client: aiohttp.ClientSession, mode: Mode, clock: Clock) -> int:
    """Choose webhooks for new events and send what is due; how much there was to do."""
    now = clock.now()
    async with transaction(engine) as session:
        if not await webhooks.is_anybody_told(session):
            return 0
        events = await outbox.read_next(session, READER)
        await outbox.add_deliveries(session, await choose(session, events, mode), now=now)
        claimed = await claim_due(session, clock)
        notes = await write_notes(session, [delivery for _, delivery in claimed], mode)
    if claimed:
        await _send_all(engine, client, mode, clock, claimed, notes)
    return len(events) + len(claimed)


async def choose(session: Session, events: Sequence[Published], mode: Mode) -> list[tuple[Published, str]]:
    """Which webhooks are told of which events: those of the shop, added before it happened.

    An order paid through our own API after its payment was canceled here is not this contract's news.
    """
    ours = [event for event in events if event.type in TOLD_AS and event.merchant_id is not None]
    known = await objects_of(session, ours, mode)
    ours = [event for event in ours if TOLD_AS[event.type].endswith(f".{known.get(event.id, {}).get('status')}")]
    merchants = sorted({event.merchant_id for event in ours if event.merchant_id is not None})
    live = await webhooks.live_webhooks(session, merchant_ids=merchants) if merchants else []
    return [
        (event, webhook.destination)
        for event in ours
        for webhook in live
        if webhook.merchant_id == event.merchant_id
        and webhook.event == TOLD_AS[event.type]
        and webhook.created_at <= event.created_at
    ]


async def objects_of(session: Session, events: Sequence[Published], mode: Mode) -> dict[str, dict[str, Any]]:
    """What each event is about, as it stands now; nothing for what is not the contract's."""
    payment_ids = [event.object_id for event in events if event.type != REFUNDED]
    refund_ids = [event.object_id for event in events if event.type == REFUNDED]
    payments = await repository.payments_by_order(session, payment_ids) if payment_ids else {}
    returned = await refunds.refunds_by_id(session, refund_ids) if refund_ids else {}
    objects = {
        **{each: payment_object(payment, is_test=mode is Mode.SANDBOX) for each, payment in payments.items()},
        **{each: refunds.refund_object(refund) for each, refund in returned.items()},
    }
    return {event.id: objects[event.object_id] for event in events if event.object_id in objects}


async def claim_due(session: Session, clock: Clock) -> list[tuple[Webhook, Delivery]]:
    """Deliveries that are due, with their webhooks."""
    now = clock.now()
    due = await outbox.due_destinations(session, DESTINATION, now=now, limit=DESTINATIONS_MAX)
    known = await webhooks.webhooks_by_id(session, [each.removeprefix(DESTINATION) for each in due]) if due else {}
    return [
        (webhook, delivery)
        for webhook in known.values()
        for delivery in await outbox.claim(session, webhook.destination, now=now, limit=DELIVERIES_MAX)
    ]


async def write_notes(session: Session, deliveries: Sequence[Delivery], mode: Mode) -> Mapping[str, dict[str, Any]]:
    """What each event is told as, with its object as it stands now."""
    events = {delivery.event.id: delivery.event for delivery in deliveries}
    objects = await objects_of(session, list(events.values()), mode)
    return {
        event.id: {"type": "notification", "event": TOLD_AS[event.type], "object": objects[event.id]}
        for event in events.values()
    }


async def _send_all(
    engine: Engine, client: aiohttp.ClientSession, mode: Mode, clock: Clock,
    claimed: Sequence[tuple[Webhook, Delivery]], notes: Mapping[str, dict[str, Any]],
) -> None:  # fmt: skip
    async def send(webhook: Webhook, delivery: Delivery) -> Outcome:
        return delivery, await send_note(client, mode, webhook, notes[delivery.event.id])

    await write_outcomes(
        engine, await asyncio.gather(*(send(webhook, delivery) for webhook, delivery in claimed)), clock
    )


async def send_note(client: aiohttp.ClientSession, mode: Mode, webhook: Webhook, note: Mapping[str, Any]) -> str | None:
    """Send one notification; nothing when it was taken, else what went wrong."""
    if webhook.removed_at is not None:
        return "the webhook was removed"
    body = json.dumps(note, ensure_ascii=False).encode()
    try:
        url = check_url(webhook.url, mode)
        headers = {"content-type": "application/json"}
        async with client.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return None if response.status == TAKEN else f"answer {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, UrlRefused) as error:
        return type(error).__name__
