"""Postbacks to partners' hosts: how a payment or a refund ended, told once it is known, at least once.

What is told is written down in the transaction that reads the event; these bytes are sent until they are taken. Who
has no host asks for the status instead. Source: the wallet's developer pages, Pay API: ``postbackUrl`` with a login and
a password, when the till has a host of its own.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from api.contracts.delivering import Outcome, claim_due, write_outcomes
from api.contracts.ended import end_payments_of
from api.contracts.koshelek_pay import repository
from api.contracts.koshelek_pay.partners import Partner, partners_of, postback_password
from api.contracts.koshelek_pay.payments import FINAL, TillPayment, payment_object, refund_object
from api.errors import AddressRefused
from api.public_addresses import check_url
from api.settings import Mode
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, Session, is_in_transaction, transaction
from ledger.outbox import Delivery, Published
from pci.secret import Secret

READER = "koshelek_pay"
"""The name of the reader's position in the outbox."""
DESTINATION = "koshelek_pay:"
"""How the destination of a partner's deliveries begins; its merchant's id follows."""
OF_ORDERS = frozenset({"order.paid", "order.canceled"})
OF_REFUNDS = frozenset({"refund.succeeded", "refund.refused", "refund.failed"})
DELIVERIES_MAX = 10
"""For one partner at once; with the limits on sending, a round ends well within a lease."""

Written = tuple[str, str, bytes]


async def end_till_payments(engine: Engine, clock: Clock) -> int:
    """Close the orders of payments that ended unpaid, so that codes and points are free; how many ended at all."""
    return await end_payments_of(engine, "koshelek_pay_payments", clock)


async def tell_partners(
    engine: Engine, client: aiohttp.ClientSession, mode: Mode, house: Secret | None, clock: Clock
) -> int:
    """Write down what new events mean to partners and send what is due; how much there was to do."""
    if house is None:
        return 0
    now = clock.now()
    async with transaction(engine) as session:
        events = await outbox.read_next(session, READER)
        written = await write_down(session, events)
        await repository.add_postbacks(session, [each for _, each in written], now=now)
        told = [(event, f"{DESTINATION}{event.merchant_id}") for event, _ in written]
        await outbox.add_deliveries(session, told, now=now)
        claimed = await claim_due(session, DESTINATION, deliveries_max=DELIVERIES_MAX, now=clock.now())
        bodies = await repository.postbacks_by_event(session, [delivery.event.id for delivery in claimed])
        merchants = [delivery.event.merchant_id or "" for delivery in claimed]
        partners = await partners_of(session, sorted(set(merchants))) if merchants else {}
    if claimed:
        await _send_all(engine, client, mode, house, clock, claimed, partners, bodies)
    return len(events) + len(claimed)


async def write_down(session: Session, events: Sequence[Published]) -> list[tuple[Published, Written]]:
    """What of these events is told: the ends of payments and refunds of partners that have a host."""
    ours = [event for event in events if event.type in OF_ORDERS | OF_REFUNDS and event.merchant_id is not None]
    merchants = sorted({event.merchant_id for event in ours if event.merchant_id is not None})
    hosts = await partners_of(session, merchants) if merchants else {}
    ours = [event for event in ours if event.merchant_id in hosts and hosts[event.merchant_id].postback_url]
    if not ours:
        return []
    refunds = await repository.refunds_of_money(
        session, [event.object_id for event in ours if event.type in OF_REFUNDS]
    )
    of_event = {event.id: refunds.get(event.object_id, ("", event.object_id)) for event in ours}
    found = await repository.payments_by_order(session, sorted({order for _, order in of_event.values()}))
    written = []
    for event in ours:
        refund_id, order_id = of_event[event.id]
        note = None if order_id not in found else note_of(event, found[order_id], refund_id)
        if note is not None:
            written.append((event, (event.id, order_id, json.dumps(note, ensure_ascii=False).encode())))
    return written


def note_of(event: Published, found: TillPayment, refund_id: str) -> dict[str, Any] | None:
    """What is told of one event: the payment, or the refund, as ``status`` and ``refund`` tell them."""
    if event.type in OF_ORDERS:
        return payment_object(found) if found.status in FINAL else None
    refund = next((each for each in found.refunds if each.id == refund_id), None)
    return None if refund is None else refund_object(found, refund)


async def _send_all(
    engine: Engine, client: aiohttp.ClientSession, mode: Mode, house: Secret, clock: Clock,
    claimed: Sequence[Delivery], partners: Mapping[str, Partner], bodies: Mapping[str, bytes],
) -> None:  # fmt: skip
    async def send(delivery: Delivery) -> Outcome:
        partner = partners.get(delivery.event.merchant_id or "")
        return delivery, await send_postback(client, mode, house, partner, bodies[delivery.event.id])

    await write_outcomes(engine, await asyncio.gather(*(send(delivery) for delivery in claimed)), clock)


async def send_postback(
    client: aiohttp.ClientSession, mode: Mode, house: Secret, partner: Partner | None, body: bytes
) -> str | None:
    """Send one postback; nothing when it was taken, else what went wrong. Any 2xx takes it."""
    assert not is_in_transaction(), "a postback is sent while a transaction is open"
    if partner is None or partner.postback_url is None:
        return "the partner has no host any more"
    login = b64encode(f"{partner.name}:{postback_password(house, partner.name).expose()}".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
    try:
        where = check_url(partner.postback_url, mode, ports=None)
        async with client.post(where, data=body, headers=headers, allow_redirects=False) as response:
            return None if 200 <= response.status < 300 else f"answer {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, AddressRefused) as error:
        return type(error).__name__
