"""Events on their way out: relayed to a destination, claimed, sent, settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from api.event_view import EventView
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, is_in_transaction, transaction
from ledger.outbox import Delivery

SENT_AT_ONCE = 32
SEND_SECONDS_MAX = 5.0
"""For one event: a batch of 100 by 32 ends well within its lease."""


def events_client() -> aiohttp.ClientSession:
    """A client with our limits on waiting and on connections."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SEND_SECONDS_MAX),
        connector=aiohttp.TCPConnector(limit=SENT_AT_ONCE),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def deliver_events(engine: Engine, client: aiohttp.ClientSession, destination: str, clock: Clock) -> int:
    """Send the events that are due to the destination, and say how many were relayed or sent."""
    if not destination:
        return 0
    now = clock.now()
    async with transaction(engine) as session:
        relayed = await outbox.relay(session, destination, now=now)
        deliveries = await outbox.claim(session, destination, now=now)
    if not deliveries:
        return relayed
    outcomes = await _send_all(client, deliveries)
    async with transaction(engine) as session:
        await outbox.settle(session, destination, outcomes, now=clock.now())
    return len(deliveries)


async def _send_all(client: aiohttp.ClientSession, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str | None]]:
    places = asyncio.Semaphore(SENT_AT_ONCE)

    async def send(delivery: Delivery) -> tuple[Delivery, str | None]:
        async with places:
            return delivery, await send_event(client, delivery)

    return list(await asyncio.gather(*(send(delivery) for delivery in deliveries)))


async def send_event(client: aiohttp.ClientSession, delivery: Delivery) -> str | None:
    """Send one event; nothing when it was taken, else what went wrong."""
    assert not is_in_transaction(), "an event is sent while a transaction is open"
    body = EventView.of(delivery.event).model_dump_json().encode()
    headers = {"content-type": "application/json", "webhook-id": delivery.event.id}
    try:
        async with client.post(delivery.destination, data=body, headers=headers, allow_redirects=False) as response:
            return None if 200 <= response.status < 300 else f"answer {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
