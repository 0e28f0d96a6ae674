"""Webhooks (вебхуки): a shop's address that is told of one kind of event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.contracts.outer_ids import outer_id
from api.contracts.yookassa.errors import ParameterInvalid, WebhookUnknown
from ledger import outbox
from ledger.database import Session, text

WEBHOOKS_MAX = 30
"""Live webhooks of one shop: ten addresses for each event."""
DESTINATION = "yookassa:"
"""How the destination of a webhook's deliveries begins; its id follows."""
OUTER_PREFIX = "wh-"
_COLUMNS = "id, merchant_id, event, url, created_at, removed_at"
_LOCK_SPACE = 19291


@dataclass(frozen=True, slots=True)
class Webhook:
    """A wish to be told."""

    id: str
    merchant_id: str
    event: str
    url: str
    created_at: datetime
    removed_at: datetime | None

    @property
    def destination(self) -> str:
        """The name of its deliveries in the outbox."""
        return DESTINATION + self.id


async def add_webhook(session: Session, wished: Webhook) -> Webhook:
    """Keep a webhook; the same event and address twice is one webhook.

    Raises: ParameterInvalid if the shop has too many. Locks: the shop's webhooks.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:merchant_id, :space))"),
        {"merchant_id": wished.merchant_id, "space": _LOCK_SPACE},
    )
    live = await list_webhooks(session, wished.merchant_id)
    for webhook in live:
        if (webhook.event, webhook.url) == (wished.event, wished.url):
            return webhook
    if len(live) >= WEBHOOKS_MAX:
        raise ParameterInvalid(f"A shop has at most {WEBHOOKS_MAX} webhooks.", parameter="url")
    await session.execute(
        text("""INSERT INTO yookassa_webhooks (id, merchant_id, event, url, created_at)
                VALUES (:id, :merchant_id, :event, :url, :now)"""),
        {
            "id": wished.id, "merchant_id": wished.merchant_id, "event": wished.event, "url": wished.url,
            "now": wished.created_at,
        },
    )  # fmt: skip
    return wished


async def list_webhooks(session: Session, merchant_id: str) -> list[Webhook]:
    """The live webhooks of a shop, in the order in which they were added."""
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM yookassa_webhooks
                  WHERE merchant_id = :merchant_id AND removed_at IS NULL ORDER BY id"""),  # noqa: S608
        {"merchant_id": merchant_id},
    )
    return [_webhook(row) for row in rows]


async def remove_webhook(session: Session, webhook_id: str | None, *, merchant_id: str, now: datetime) -> None:
    """End a webhook; what still waits for it is parked. Removing it again changes nothing.

    Raises: WebhookUnknown. Locks: the webhook, its deliveries.
    """
    changed = await session.execute(
        text("""UPDATE yookassa_webhooks SET removed_at = coalesce(removed_at, :now)
                 WHERE id = :id AND merchant_id = :merchant_id"""),
        {"id": webhook_id, "merchant_id": merchant_id, "now": now},
    )
    if changed.rowcount != 1:
        raise WebhookUnknown(parameter="webhook_id")
    await outbox.close_destination(session, f"{DESTINATION}{webhook_id}", "the webhook was removed")


async def live_webhooks(session: Session, *, merchant_ids: Sequence[str]) -> list[Webhook]:
    """The live webhooks of some shops."""
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM yookassa_webhooks
                  WHERE merchant_id = ANY(CAST(:ids AS text[])) AND removed_at IS NULL ORDER BY id"""),  # noqa: S608
        {"ids": list(merchant_ids)},
    )
    return [_webhook(row) for row in rows]


async def webhooks_by_id(session: Session, webhook_ids: Sequence[str]) -> dict[str, Webhook]:
    """Webhooks by their ids, removed ones too."""
    rows = await session.execute(
        text(f"SELECT {_COLUMNS} FROM yookassa_webhooks WHERE id = ANY(CAST(:ids AS text[]))"),  # noqa: S608
        {"ids": list(webhook_ids)},
    )
    return {row.id: _webhook(row) for row in rows}


async def is_anybody_told(session: Session) -> bool:
    """Whether there is any webhook at all; without one nothing needs to be looked at."""
    return bool(await session.scalar(text("SELECT EXISTS (SELECT 1 FROM yookassa_webhooks WHERE removed_at IS NULL)")))


def webhook_object(webhook: Webhook) -> dict[str, Any]:
    """The webhook as it goes out."""
    return {"id": OUTER_PREFIX + outer_id(webhook.id), "event": webhook.event, "url": webhook.url}


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**row._mapping)
