"""Events sent again: one, or all of a range; and a test event, sent at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.webhooks import repository as rows
from api.webhooks.errors import DeliveryNotFound, DeliveryPending, ReplayRangeRefused, WebhookSuspended
from api.webhooks.keeping import Actor
from api.webhooks.webhook import Webhook, WebhookStatus, refuse_removed
from ledger import outbox
from ledger.database import Session, text
from ledger.ids import lowest_id
from ledger.outbox import Delivery, Event, Published
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

TESTED = "webhook.tested"
"""The event of a test, which is sent to the webhook it is of and to no other."""
REPLAY_MAX = 1_000
"""Events that one call sends again; the answer says where the next one goes on."""
RANGE_MAX = timedelta(days=31)
_SLACK = timedelta(minutes=1)
"""An id may be ahead of its event by as much, when a clock was set back."""


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """Which events are to be sent again."""

    since: datetime
    until: datetime
    """Not included."""
    event_types: tuple[str, ...]
    """Exact names; all that the webhook hears when empty."""
    is_undelivered_only: bool
    """Leave out what the webhook has taken."""
    after: str
    """The last event of the call before, or nothing."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one call had sent again."""

    events: int
    last_event_id: str | None
    has_more: bool


def refuse_silent(webhook: Webhook) -> None:
    """Raises: WebhookRemoved, WebhookSuspended."""
    if refuse_removed(webhook).status is WebhookStatus.SUSPENDED:
        raise WebhookSuspended(webhook_id=webhook.id)


async def replay_one(session: Session, webhook: Webhook, event_id: str, *, by: Actor, now: datetime) -> None:
    """Send an event to a webhook again, whatever became of it.

    Raises: WebhookRemoved, WebhookSuspended, DeliveryNotFound, DeliveryPending.
    """
    refuse_silent(webhook)
    if await rows.load_delivery(session, webhook.id, event_id) is None:
        raise DeliveryNotFound(webhook_id=webhook.id, event_id=event_id)
    if not await outbox.redeliver(session, webhook.destination, [event_id], now=now):
        raise DeliveryPending(webhook_id=webhook.id, event_id=event_id)
    await _log(session, webhook, 1, by, now)


async def replay_many(session: Session, webhook: Webhook, wished: ReplayRange, *, by: Actor, now: datetime) -> Replayed:
    """Send the events of a range to a webhook: those it failed to take, or all, and those it was never told of.

    Raises: WebhookRemoved, WebhookSuspended, ReplayRangeRefused.
    """
    refuse_silent(webhook)
    if not timedelta(0) < wished.until - wished.since <= RANGE_MAX:
        raise ReplayRangeRefused(days_max=RANGE_MAX.days)
    found = await _events_of(session, webhook, wished)
    chosen, has_more = found[:REPLAY_MAX], len(found) > REPLAY_MAX
    heard = [event_id for event_id, type_, merchant_id in chosen if webhook.hears(type_, merchant_id)]
    sent = await outbox.redeliver(session, webhook.destination, heard, now=now) if heard else 0
    await _log(session, webhook, sent, by, now)
    return Replayed(sent, chosen[-1][0] if chosen else None, has_more)


async def begin_test(session: Session, webhook: Webhook, event_id: str, *, now: datetime) -> Delivery:
    """Publish a test event under this id and claim its delivery, which the caller sends at once.

    A caller that died in between finds its event again. Raises: WebhookRemoved.
    """
    refuse_removed(webhook)
    known = await outbox.load_events(session, [event_id])
    if known:
        return _in_hand(known[0], webhook)
    data = {"webhook_id": webhook.id, "merchant_id": webhook.merchant_id}
    event = Event(TESTED, webhook.id, webhook.merchant_id, data)
    await outbox.publish_all(session, [event], now=now, ids=[event_id])
    (published,) = await outbox.load_events(session, [event_id])
    return await outbox.add_claimed(session, published, webhook.destination, now=now)


def _in_hand(event: Published, webhook: Webhook) -> Delivery:
    return Delivery(event, webhook.destination, 1, 1)


async def _events_of(session: Session, webhook: Webhook, wished: ReplayRange) -> Sequence[tuple[str, str, str | None]]:
    found = await session.execute(
        text("""SELECT e.id, e.type, e.merchant_id FROM events AS e
                 WHERE e.id >= :lowest AND e.id < :highest AND e.id > :after
                   AND e.created_at >= :since AND e.created_at < :until
                   AND e.xid < pg_snapshot_xmin(pg_current_snapshot()) AND e.type <> :tested
                   AND (CAST(:merchant_id AS text) IS NULL OR e.merchant_id = :merchant_id)
                   AND (cardinality(CAST(:types AS text[])) = 0 OR e.type = ANY(CAST(:types AS text[])))
                   AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                                    WHERE d.event_id = e.id AND d.destination = :destination
                                      AND (d.state = 'pending' OR d.state = 'delivered' AND :is_undelivered_only))
                 ORDER BY e.id LIMIT :limit"""),
        {
            "lowest": lowest_id("evt", wished.since - _SLACK), "highest": lowest_id("evt", wished.until + _SLACK),
            "after": wished.after, "since": wished.since, "until": wished.until, "merchant_id": webhook.merchant_id,
            "types": list(wished.event_types), "destination": webhook.destination, "tested": TESTED,
            "is_undelivered_only": wished.is_undelivered_only, "limit": REPLAY_MAX + 1,
        },
    )  # fmt: skip
    return [(row.id, row.type, row.merchant_id) for row in found]


async def _log(session: Session, webhook: Webhook, events: int, by: Actor, now: datetime) -> None:
    leaf = AuditEvent(
        "webhook.replayed", actor=by.actor, origin=by.origin, subject=f"webhook:{webhook.id}", happened_at=now,
        merchant_id=webhook.merchant_id or "", facts={"events": events},
    )  # fmt: skip
    await stage(session, [leaf])
