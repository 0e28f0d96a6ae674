"""A webhook as a value, and which events it hears."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from api.webhooks.errors import EventTypeUnknown, WebhookRemoved

DESTINATION = "webhook:"
"""How the destination of a webhook's deliveries begins; its id follows."""
WAITS_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Between the tries of one delivery: ten tries in three days and three and a half hours.

Source: Standard Webhooks, "Deliverability and reliability": the example schedule.
"""
FAILING_MAX = timedelta(days=3)
"""For how long a webhook may fail at everything before it is suspended."""
GONE = 410
"""The answer by which a webhook says that it is no more. Source: Standard Webhooks, "HTTP response codes"."""
EVERYTHING = "*"


class WebhookStatus(StrEnum):
    """Where a webhook is in its life."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Nothing is sent; what happens meanwhile can be replayed later."""
    REMOVED = "removed"


class SuspensionReason(StrEnum):
    """Why nothing is sent."""

    ASKED = "asked"
    """Somebody asked for it."""
    FAILING = "failing"
    """It took nothing for three days."""
    GONE = "gone"
    """It answered 410."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told of events."""

    id: str
    merchant_id: str | None
    """Whose events it hears; the house's own webhooks hear all."""
    url: str
    event_types: tuple[str, ...]
    """Names, ``order.*`` for all of one kind of object, ``*`` for everything."""
    description: str | None
    status: WebhookStatus
    suspension_reason: SuspensionReason | None
    failing_since: datetime | None
    """When it failed first after it last took an event."""
    created_at: datetime
    changed_at: datetime

    @property
    def destination(self) -> str:
        """The name of its deliveries in the outbox."""
        return DESTINATION + self.id

    def hears(self, event_type: str, merchant_id: str | None) -> bool:
        """Whether it wishes to be told of such an event of this merchant."""
        return self.merchant_id in (None, merchant_id) and any(
            _matches(pattern, event_type) for pattern in self.event_types
        )


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """What a caller says of a webhook."""

    url: str
    event_types: tuple[str, ...]
    description: str | None


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern in (EVERYTHING, event_type)


def check_event_types(patterns: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The filter, without repeats. Raises: EventTypeUnknown if a part of it can never match."""
    wanted, names = tuple(dict.fromkeys(patterns)), tuple(known)
    for pattern in wanted:
        if not any(_matches(pattern, name) for name in names):
            raise EventTypeUnknown(event_type=pattern)
    return wanted


def named_by(patterns: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The names that a filter stands for. Raises: EventTypeUnknown."""
    names = tuple(known)
    wanted = check_event_types(patterns, names)
    return tuple(name for name in names if any(_matches(pattern, name) for pattern in wanted))


def refuse_removed(webhook: Webhook) -> Webhook:
    """The webhook, if it still is one. Raises: WebhookRemoved."""
    if webhook.status is WebhookStatus.REMOVED:
        raise WebhookRemoved(webhook_id=webhook.id)
    return webhook
