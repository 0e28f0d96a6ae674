"""Events on their way out: relayed to a destination, claimed, sent, settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx

from api.routes.events import EventView
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, transaction
from ledger.outbox import Delivery

SENT_AT_ONCE = 32
SEND_SECONDS_MAX = 5.0
"""For one event: a batch of 100 by 32 ends well within its lease."""


def events_client() -> httpx.AsyncClient:
    """A client with our limits on waiting and on connections."""
    limits = httpx.Limits(max_connections=SENT_AT_ONCE, max_keepalive_connections=SENT_AT_ONCE)
    return httpx.AsyncClient(timeout=SEND_SECONDS_MAX, limits=limits, trust_env=False, follow_redirects=False)


async def deliver_events(engine: Engine, client: httpx.AsyncClient, destination: str, clock: Clock) -> int:
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


async def _send_all(client: httpx.AsyncClient, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str | None]]:
    places = asyncio.Semaphore(SENT_AT_ONCE)

    async def send(delivery: Delivery) -> tuple[Delivery, str | None]:
        async with places:
            return delivery, await send_event(client, delivery)

    return list(await asyncio.gather(*(send(delivery) for delivery in deliveries)))


async def send_event(client: httpx.AsyncClient, delivery: Delivery) -> str | None:
    """Send one event; nothing when it was taken, else what went wrong."""
    body = EventView.of(delivery.event).model_dump_json().encode()
    headers = {"content-type": "application/json", "webhook-id": delivery.event.id}
    try:
        response = await client.post(delivery.destination, content=body, headers=headers)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if response.is_success else f"answer {response.status_code}"
