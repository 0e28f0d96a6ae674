"""Rows of webhooks and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.webhooks.errors import WebhookNotFound
from api.webhooks.signing import WebhookSecret
from api.webhooks.webhook import DESTINATION, SuspensionReason, Webhook, WebhookStatus
from ledger.database import Session, text

PAGE_MAX = 200
_COLUMNS = """w.id, w.merchant_id, w.url, w.event_types, w.description, w.status, w.suspension_reason,
              w.failing_since, w.created_at, w.changed_at"""
_LOCK_SPACE = 24001


@dataclass(frozen=True, slots=True)
class DeliveryTry:
    """One time a webhook was called."""

    webhook_id: str
    event_id: str
    number: int
    url: str
    tried_at: datetime
    milliseconds: int
    http_status: int | None
    answer: str | None
    """The beginning of what it said."""
    error: str | None


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """One event for one webhook, as it stands."""

    event_id: str
    type: str
    object_id: str
    sequence: int
    state: str
    """``pending``, ``delivered`` or ``parked``."""
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    last_error: str | None


async def add_webhook(session: Session, webhook: Webhook) -> None:
    """Keep a new webhook."""
    await session.execute(
        text("""INSERT INTO webhooks (id, merchant_id, url, event_types, description, status, created_at, changed_at)
                VALUES (:id, :merchant_id, :url, :event_types, :description, :status, :created_at, :changed_at)"""),
        {
            "id": webhook.id, "merchant_id": webhook.merchant_id, "url": webhook.url,
            "event_types": list(webhook.event_types), "description": webhook.description,
            "status": webhook.status.value, "created_at": webhook.created_at, "changed_at": webhook.changed_at,
        },
    )  # fmt: skip


async def save_webhook(session: Session, webhook: Webhook) -> None:
    """Keep what became of a locked webhook."""
    await session.execute(
        text("""UPDATE webhooks SET url = :url, event_types = :event_types, description = :description,
                       status = :status, suspension_reason = :reason, failing_since = :failing_since,
                       changed_at = :changed_at
                 WHERE id = :id"""),
        {
            "id": webhook.id, "url": webhook.url, "event_types": list(webhook.event_types),
            "description": webhook.description, "status": webhook.status.value,
            "reason": webhook.suspension_reason and webhook.suspension_reason.value,
            "failing_since": webhook.failing_since, "changed_at": webhook.changed_at,
        },
    )  # fmt: skip


async def load_webhook(session: Session, webhook_id: str, *, merchant_id: str | None) -> Webhook:
    """The webhook. Raises: WebhookNotFound if there is none, or it is not the merchant's."""
    return await _one(session, webhook_id, merchant_id, "")


async def lock_webhook(session: Session, webhook_id: str, *, merchant_id: str | None) -> Webhook:
    """The same, locked. Raises: WebhookNotFound. Locks: the webhook."""
    return await _one(session, webhook_id, merchant_id, "FOR NO KEY UPDATE")


async def _one(session: Session, webhook_id: str, merchant_id: str | None, lock: str) -> Webhook:
    row = (
        await session.execute(
            text(f"SELECT {_COLUMNS} FROM webhooks AS w WHERE w.id = :id {lock}"),  # noqa: S608  # our own words
            {"id": webhook_id},
        )
    ).first()
    if row is None or merchant_id not in (None, row.merchant_id):
        raise WebhookNotFound(webhook_id=webhook_id)
    return _webhook(row)


async def lock_owner(session: Session, merchant_id: str | None) -> int:
    """How many webhooks an owner has that are not removed. Locks: the owner's number of webhooks."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, :space))"),
        {"owner": merchant_id or "house", "space": _LOCK_SPACE},
    )
    count = await session.scalar(
        text("""SELECT count(*) FROM webhooks
                 WHERE merchant_id IS NOT DISTINCT FROM :merchant_id AND status <> 'removed'"""),
        {"merchant_id": merchant_id},
    )
    return int(count or 0)


async def list_webhooks(
    session: Session, *, merchant_id: str | None, after: str, limit: int
) -> tuple[list[Webhook], bool]:
    """Webhooks by id, removed ones left out, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM webhooks AS w
                  WHERE w.id > :after AND w.status <> 'removed'
                    AND (CAST(:merchant_id AS text) IS NULL OR w.merchant_id = :merchant_id)
                  ORDER BY w.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_webhook(row) for row in rows]
    return found[:limit], len(found) > limit


async def active_webhooks(session: Session) -> list[Webhook]:
    """Every webhook that is told of events."""
    rows = await session.execute(
        text(f"SELECT {_COLUMNS} FROM webhooks AS w WHERE w.status = 'active' ORDER BY w.id")  # noqa: S608
    )
    return [_webhook(row) for row in rows]


async def due_webhooks(session: Session, *, are_failing: bool, now: datetime, limit: int) -> list[Webhook]:
    """Webhooks for which a delivery is due, the longest waiting first: the failing apart from the sound."""
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM webhooks AS w JOIN (
                        SELECT destination, min(next_attempt_at) AS since FROM deliveries
                         WHERE state = 'pending' AND next_attempt_at <= :now AND destination LIKE 'webhook:%'
                           AND (lease_until IS NULL OR lease_until <= :now)
                         GROUP BY destination) AS d ON d.destination = '{DESTINATION}' || w.id
                  WHERE w.status = 'active' AND (w.failing_since IS NOT NULL) = :are_failing
                  ORDER BY d.since, w.id LIMIT :limit"""),  # noqa: S608  # our own words
        {"now": now, "are_failing": are_failing, "limit": limit},
    )
    return [_webhook(row) for row in rows]


async def add_secret(session: Session, secret: WebhookSecret) -> None:
    """Keep a new secret."""
    await session.execute(
        text("""INSERT INTO webhook_secrets (webhook_id, number, salt, key_mark, created_at, expires_at)
                VALUES (:webhook_id, :number, :salt, :key_mark, :created_at, :expires_at)"""),
        {
            "webhook_id": secret.webhook_id, "number": secret.number, "salt": secret.salt,
            "key_mark": secret.key_mark, "created_at": secret.created_at, "expires_at": secret.expires_at,
        },
    )  # fmt: skip


async def expire_secrets(session: Session, webhook_id: str, *, at: datetime) -> None:
    """Let every secret of a webhook end at ``at``, or earlier where that was said before."""
    await session.execute(
        text("""UPDATE webhook_secrets SET expires_at = greatest(created_at, least(expires_at, :at))
                 WHERE webhook_id = :id AND (expires_at IS NULL OR expires_at > :at)"""),
        {"id": webhook_id, "at": at},
    )


async def secrets_of(session: Session, webhook_ids: Sequence[str], *, now: datetime) -> list[WebhookSecret]:
    """The secrets that webhooks' events are signed with now, the newest first."""
    rows = await session.execute(
        text("""SELECT * FROM webhook_secrets
                 WHERE webhook_id = ANY(CAST(:ids AS text[])) AND (expires_at IS NULL OR expires_at > :now)
                 ORDER BY webhook_id, number DESC"""),
        {"ids": list(webhook_ids), "now": now},
    )
    return [
        WebhookSecret(row.webhook_id, row.number, bytes(row.salt), bytes(row.key_mark), row.created_at, row.expires_at)
        for row in rows
    ]


async def last_secret_number(session: Session, webhook_id: str) -> int:
    """How many secrets a webhook has had."""
    found = await session.scalar(
        text("SELECT max(number) FROM webhook_secrets WHERE webhook_id = :id"), {"id": webhook_id}
    )
    return int(found or 0)


async def add_tries(session: Session, tries: Sequence[DeliveryTry]) -> None:
    """Write down how calls went; one that was written down already stays as it is."""
    for each in tries:
        await session.execute(
            text("""INSERT INTO delivery_tries (webhook_id, event_id, number, url, tried_at, milliseconds,
                                                http_status, answer, error)
                    VALUES (:webhook_id, :event_id, :number, :url, :tried_at, :milliseconds, :http_status, :answer,
                            :error)
                    ON CONFLICT DO NOTHING"""),
            {
                "webhook_id": each.webhook_id, "event_id": each.event_id, "number": each.number, "url": each.url,
                "tried_at": each.tried_at, "milliseconds": each.milliseconds, "http_status": each.http_status,
                "answer": each.answer, "error": each.error,
            },
        )  # fmt: skip


async def tries_of(session: Session, webhook_id: str, event_id: str) -> list[DeliveryTry]:
    """Every try to tell a webhook of an event, the latest first."""
    rows = await session.execute(
        text("""SELECT * FROM delivery_tries WHERE webhook_id = :webhook_id AND event_id = :event_id
                 ORDER BY number DESC LIMIT :limit"""),
        {"webhook_id": webhook_id, "event_id": event_id, "limit": PAGE_MAX},
    )
    return [DeliveryTry(**row._mapping) for row in rows]


async def load_delivery(session: Session, webhook_id: str, event_id: str) -> KeptDelivery | None:
    """One event for one webhook, or nothing."""
    found = await _deliveries(session, "d.event_id = :event_id", {"id": webhook_id, "event_id": event_id, "limit": 1})
    return found[0] if found else None


async def list_deliveries(
    session: Session, webhook_id: str, *, state: str | None, type_: str | None, before: str, limit: int
) -> tuple[list[KeptDelivery], bool]:
    """What a webhook was told or is to be told, the latest event first, and whether there is more."""
    found = await _deliveries(
        session,
        """(:before = '' OR d.event_id < :before) AND (CAST(:state AS text) IS NULL OR d.state = :state)
           AND (CAST(:type AS text) IS NULL OR e.type = :type)""",
        {"id": webhook_id, "before": before, "state": state, "type": type_, "limit": limit + 1},
    )
    return found[:limit], len(found) > limit


async def _deliveries(session: Session, which: str, arguments: dict[str, Any]) -> list[KeptDelivery]:
    rows = await session.execute(
        text(f"""SELECT d.event_id, e.type, d.object_id, d.sequence, d.state, d.attempts, d.next_attempt_at,
                        d.delivered_at, d.last_error
                   FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
                  WHERE d.destination LIKE 'webhook:%' AND d.destination = '{DESTINATION}' || CAST(:id AS text)
                    AND {which} ORDER BY d.event_id DESC LIMIT :limit"""),  # noqa: S608  # our own words
        arguments,
    )
    return [KeptDelivery(**row._mapping) for row in rows]


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        **{
            **row._mapping,
            "event_types": tuple(row.event_types),
            "status": WebhookStatus(row.status),
            "suspension_reason": row.suspension_reason and SuspensionReason(row.suspension_reason),
        }
    )
