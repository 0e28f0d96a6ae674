"""Notifications to shops: every status that an order reaches is told to its ``notification_url``, in order.

The outbox keeps what happened; a reader of its own writes down what is told, once, and the worker sends these bytes
until they are taken: at least once, spaced, for about two days, and never a later status before an earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from api.contracts.delivering import Outcome, claim_due, write_outcomes
from api.contracts.dolyame import repository
from api.contracts.dolyame.amounts import write_json
from api.contracts.dolyame.errors import NotificationUrlRefused
from api.contracts.dolyame.orders import DolyameOrder, OrderPicture, residual_of, schedule_object, status_of
from api.contracts.dolyame.shops import Profile, shops_by_login
from api.errors import AddressRefused
from api.public_addresses import check_url
from api.settings import Mode
from installments import repository as plan_rows
from installments.plan import PlanStatus
from ledger import outbox
from ledger.clock import Clock
from ledger.database import Engine, Session, is_in_transaction, transaction
from ledger.outbox import Delivery, Published

READER = "dolyame"
"""The name of the reader's position in the outbox."""
DESTINATION = "dolyame:"
"""How the destination of a shop's deliveries begins; its merchant's id follows."""
PLAN_EVENTS = "plan."
GOODS_REFUNDED = "plan.goods_refunded"
"""Told although the status stays: amounts and the schedule have changed."""
DELIVERIES_MAX = 10
"""For one shop at once; with the limits on sending, a round ends well within a lease."""
BEFORE_COMMIT = frozenset({PlanStatus.APPROVED, PlanStatus.REJECTED, PlanStatus.WAIT_FOR_COMMIT, PlanStatus.CANCELED})
EVENTS_MAX = 500
"""Events read in one transaction: as many plans are looked at."""

Written = tuple[str, str, str, bytes]


async def tell_shops(engine: Engine, client: aiohttp.ClientSession, mode: Mode, clock: Clock) -> int:
    """Write down what new events mean to shops and send what is due; how much there was to do."""
    now = clock.now()
    async with transaction(engine) as session:
        if not await repository.is_anybody_told(session):
            return 0
        events = await outbox.read_next(session, READER, limit=EVENTS_MAX)
        chosen = await write_down(session, events, mode)
        await repository.add_notifications(session, [written for _, written in chosen], now=now)
        told = [(event, f"{DESTINATION}{event.merchant_id}") for event, _ in chosen]
        await outbox.add_deliveries(session, told, now=now)
        claimed = await claim_due(session, DESTINATION, deliveries_max=DELIVERIES_MAX, now=clock.now())
        bodies = await repository.notifications_by_event(session, [delivery.event.id for delivery in claimed])
    if claimed:
        await _send_all(engine, client, mode, clock, claimed, bodies)
    return len(events) + len(claimed)


async def write_down(
    session: Session, events: Sequence[Published], mode: Mode
) -> list[tuple[Published, Written]]:  # fmt: skip
    """What of these events is told to shops: each status that an order reaches, once, and each return of goods."""
    of_plans = [event for event in events if event.type.startswith(PLAN_EVENTS) and "status" in event.data]
    plan_ids = sorted({event.object_id for event in of_plans})
    orders = await repository.orders_by_plan(session, plan_ids) if plan_ids else {}
    told = await repository.last_told(session, list(orders)) if orders else {}
    shops = await shops_by_login(session, sorted({order.login for order in orders.values()}))
    reached: list[tuple[Published, PlanStatus, DolyameOrder]] = []
    for event in sorted(of_plans, key=lambda event: (event.object_id, event.sequence)):
        order = orders.get(event.object_id)
        if order is None or order.notification_url is None or event.data["status"] == PlanStatus.NEW:
            continue
        status = PlanStatus(event.data["status"])
        is_news = told.get(event.object_id) != status or event.type == GOODS_REFUNDED
        if not is_news or not is_told(status, shops[order.login].profile):
            continue
        told[event.object_id] = status
        reached.append((event, status, order))
    pictures = await _pictures(session, reached)
    return [
        (event, (event.id, event.object_id, status.value, write_json(
            note_object(as_it_was(pictures[event.object_id], status), order, shops[order.login].profile, mode)
        )))
        for event, status, order in reached
    ]  # fmt: skip


def is_told(status: PlanStatus, profile: Profile) -> bool:
    """Whether a shop's client knows the status."""
    return status is not PlanStatus.REFUNDED or profile is Profile.PRODUCTION


async def _pictures(
    session: Session, reached: Sequence[tuple[Published, PlanStatus, DolyameOrder]]
) -> dict[str, OrderPicture]:  # fmt: skip
    if not reached:
        return {}
    plans = await plan_rows.load_plans(session, sorted({event.object_id for event, _, _ in reached}))
    return await repository.pictures_of(session, list(plans.values()), now=reached[-1][0].created_at)


def as_it_was(picture: OrderPicture, status: PlanStatus) -> OrderPicture:
    """The order when it reached the status, as far as its installments tell: the plan may be further by now."""
    if status in BEFORE_COMMIT:
        return repository.as_of(picture, status=status, committed_at=None)
    return repository.as_of(picture, status=status)


def note_object(picture: OrderPicture, order: DolyameOrder, profile: Profile, mode: Mode) -> dict[str, Any]:
    """A notification as it goes out."""
    return {
        "id": picture.plan.order_number,
        "status": status_of(picture.plan.status, profile),
        "amount": picture.plan.total,
        "residual_amount": residual_of(picture),
        "demo": mode is Mode.SANDBOX,
        "client_info": dict(order.client_info),
        "payment_schedule": schedule_object(picture, profile),
    }


async def _send_all(
    engine: Engine, client: aiohttp.ClientSession, mode: Mode, clock: Clock, claimed: Sequence[Delivery],
    bodies: Mapping[str, tuple[str | None, bytes]],
) -> None:  # fmt: skip
    async def send(delivery: Delivery) -> Outcome:
        url, body = bodies[delivery.event.id]
        return delivery, await send_note(client, mode, url, body)

    await write_outcomes(engine, await asyncio.gather(*(send(delivery) for delivery in claimed)), clock)


async def send_note(client: aiohttp.ClientSession, mode: Mode, url: str | None, body: bytes) -> str | None:
    """Send one notification; nothing when it was taken, else what went wrong. Any 2xx takes it."""
    assert not is_in_transaction(), "a notification is sent while a transaction is open"
    try:
        where = check_url(url or "", mode, ports=None)
        headers = {"content-type": "application/json"}
        async with client.post(where, data=body, headers=headers, allow_redirects=False) as response:
            return None if 200 <= response.status < 300 else f"answer {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, AddressRefused) as error:
        return type(error).__name__


def refuse_private(url: str | None, mode: Mode) -> None:
    """Refuse an address that notifications may not go to. Raises: NotificationUrlRefused."""
    if url is None:
        return
    try:
        check_url(url, mode, ports=None)
    except AddressRefused:
        raise NotificationUrlRefused(field="notification_url") from None
