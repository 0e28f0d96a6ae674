"""What a caller may do with webhooks: add, change, rotate the secret, suspend, resume, remove."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api.public_addresses import check_url
from api.settings import Mode
from api.webhooks import repository as rows
from api.webhooks.errors import TooManyWebhooks
from api.webhooks.signing import WebhookSecret, mark_of
from api.webhooks.webhook import (
    SuspensionReason,
    Webhook,
    WebhookStatus,
    WebhookTerms,
    check_event_types,
    refuse_removed,
)
from ledger import outbox
from ledger.database import Session
from ledger.ids import new_secret
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.secret import Secret

WEBHOOKS_MAX = 20
"""Of one merchant, or of the house: each event may become so many calls."""
OVERLAP_HOURS_MAX = 168
"""How long an old secret may go on beside the new one: a week is enough to roll out any receiver."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something to a webhook, and from where, for the log."""

    actor: str
    origin: str


BY_ITSELF = Actor("system:webhooks", "worker")


async def add_webhook(
    session: Session, webhook_id: str, terms: WebhookTerms, *, merchant_id: str | None, known_types: Sequence[str],
    key: Secret, mode: Mode, by: Actor, now: datetime,
) -> Webhook:  # fmt: skip
    """Keep a webhook with its first secret; it hears what happens from now on.

    Raises: AddressRefused, EventTypeUnknown, TooManyWebhooks. Locks: the owner's number of webhooks.
    """
    check_url(terms.url, mode)
    wanted = check_event_types(terms.event_types, known_types)
    if await rows.lock_owner(session, merchant_id) >= WEBHOOKS_MAX:
        raise TooManyWebhooks(webhooks_max=WEBHOOKS_MAX)
    webhook = Webhook(
        webhook_id, merchant_id, terms.url, wanted, terms.description, WebhookStatus.ACTIVE, None, None, now, now
    )
    await rows.add_webhook(session, webhook)
    await rows.add_secret(session, _new_secret(webhook.id, 1, key, now))
    await _tell(session, "webhook.added", webhook, by, now)
    return webhook


async def change_webhook(
    session: Session, webhook: Webhook, terms: WebhookTerms, *, known_types: Sequence[str], mode: Mode, by: Actor,
    now: datetime,
) -> Webhook:  # fmt: skip
    """Let a locked webhook hear other events, or stand at another address. What waits goes to the new one.

    Raises: WebhookRemoved, AddressRefused, EventTypeUnknown.
    """
    refuse_removed(webhook)
    check_url(terms.url, mode)
    wanted = check_event_types(terms.event_types, known_types)
    changed = replace(
        webhook, url=terms.url, event_types=wanted, description=terms.description, failing_since=None, changed_at=now
    )
    await rows.save_webhook(session, changed)
    await _tell(session, "webhook.changed", changed, by, now)
    return changed


async def rotate_secret(
    session: Session, webhook: Webhook, *, overlap: timedelta, key: Secret, by: Actor, now: datetime
) -> WebhookSecret:
    """A new secret for a locked webhook; for the overlap events are signed with the old one too.

    Raises: WebhookRemoved.
    """
    refuse_removed(webhook)
    number = await rows.last_secret_number(session, webhook.id) + 1
    await rows.expire_secrets(session, webhook.id, at=now + overlap)
    secret = _new_secret(webhook.id, number, key, now)
    await rows.add_secret(session, secret)
    await _tell(session, "webhook.secret_rotated", webhook, by, now)
    return secret


async def suspend(session: Session, webhook: Webhook, reason: SuspensionReason, *, by: Actor, now: datetime) -> Webhook:
    """Send nothing more to a locked webhook, park what waits, and say so; again changes nothing.

    Raises: WebhookRemoved.
    """
    if refuse_removed(webhook).status is WebhookStatus.SUSPENDED:
        return webhook
    suspended = replace(webhook, status=WebhookStatus.SUSPENDED, suspension_reason=reason, changed_at=now)
    await rows.save_webhook(session, suspended)
    await outbox.close_destination(session, webhook.destination, f"the webhook was suspended: {reason}")
    await _tell(session, "webhook.suspended", suspended, by, now)
    return suspended


async def resume(session: Session, webhook: Webhook, *, by: Actor, now: datetime) -> Webhook:
    """Tell a locked webhook of what happens from now on; what it missed can be replayed. Again changes nothing.

    Raises: WebhookRemoved.
    """
    if refuse_removed(webhook).status is WebhookStatus.ACTIVE:
        return webhook
    active = replace(webhook, status=WebhookStatus.ACTIVE, suspension_reason=None, failing_since=None, changed_at=now)
    await rows.save_webhook(session, active)
    await _tell(session, "webhook.resumed", active, by, now)
    return active


async def remove(session: Session, webhook: Webhook, *, by: Actor, now: datetime) -> Webhook:
    """End a locked webhook and its secrets; what waits for it is parked. Again changes nothing."""
    if webhook.status is WebhookStatus.REMOVED:
        return webhook
    removed = replace(webhook, status=WebhookStatus.REMOVED, suspension_reason=None, changed_at=now)
    await rows.save_webhook(session, removed)
    await rows.expire_secrets(session, webhook.id, at=now)
    await outbox.close_destination(session, webhook.destination, "the webhook was removed")
    await _tell(session, "webhook.removed", removed, by, now)
    return removed


async def log_secret_shown(session: Session, webhook: Webhook, *, by: Actor, now: datetime) -> None:
    """Write down that somebody read a webhook's secrets. Raises: WebhookRemoved."""
    await stage(session, [_leaf("webhook.secret_shown", refuse_removed(webhook), by, now)])


def _new_secret(webhook_id: str, number: int, key: Secret, now: datetime) -> WebhookSecret:
    salt = hashlib.sha256(new_secret("salt_").encode()).digest()
    return WebhookSecret(webhook_id, number, salt, mark_of(key), now, None)


async def _tell(session: Session, what: str, webhook: Webhook, by: Actor, now: datetime) -> None:
    """The event and the leaf of the log, in the transaction of what they tell of."""
    await outbox.publish(session, Event(what, webhook.id, webhook.merchant_id, event_data(webhook)), now=now)
    await stage(session, [_leaf(what, webhook, by, now)])


def event_data(webhook: Webhook) -> dict[str, object]:
    """A webhook as events show it. Not its address: that may carry a password of the owner's."""
    since = webhook.failing_since
    return {
        "webhook_id": webhook.id, "merchant_id": webhook.merchant_id, "event_types": list(webhook.event_types),
        "status": webhook.status.value,
        "suspension_reason": webhook.suspension_reason and webhook.suspension_reason.value,
        "failing_since": None if since is None else since.isoformat(),
    }  # fmt: skip


def _leaf(what: str, webhook: Webhook, by: Actor, now: datetime) -> AuditEvent:
    return AuditEvent(
        what, actor=by.actor, origin=by.origin, subject=f"webhook:{webhook.id}", happened_at=now,
        merchant_id=webhook.merchant_id or "", facts={"status": webhook.status.value},
    )  # fmt: skip
