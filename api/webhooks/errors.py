"""Refusals of webhooks.

Rejected
└── WebhookRejected
    ├── WebhookNotFound, DeliveryNotFound
    ├── EventTypeUnknown, TooManyWebhooks, ReplayRangeRefused
    └── WebhookRemoved, WebhookSuspended, WebhookKeyDiffers, DeliveryPending
Unavailable
└── WebhooksNotConfigured         production without the key that secrets are made of
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class WebhookRejected(Rejected):
    """Nothing like this can be done with a webhook."""

    code = "webhooks.rejected"


class WebhookNotFound(WebhookRejected):
    """There is no such webhook, or it is another merchant's."""

    code = "webhooks.webhook_not_found"


class DeliveryNotFound(WebhookRejected):
    """The webhook was never told of such an event."""

    code = "webhooks.delivery_not_found"


class EventTypeUnknown(WebhookRejected):
    """No event has this name: GET /v1/event-types lists them; order.* means all of orders, and * means all."""

    code = "webhooks.event_type_unknown"


class TooManyWebhooks(WebhookRejected):
    """The merchant has as many webhooks as it may have; remove one first."""

    code = "webhooks.too_many"


class ReplayRangeRefused(WebhookRejected):
    """The range of a replay ends before it begins, or is longer than 31 days."""

    code = "webhooks.replay_range_refused"


class WebhookRemoved(WebhookRejected):
    """The webhook was removed; add another."""

    code = "webhooks.removed"


class WebhookSuspended(WebhookRejected):
    """The webhook is suspended; resume it first."""

    code = "webhooks.suspended"


class WebhookKeyDiffers(WebhookRejected):
    """The house's key was changed, so the webhook's secrets sign nothing: make a new one by POST …/secrets."""

    code = "webhooks.key_differs"


class DeliveryPending(WebhookRejected):
    """The event is still on its way to this webhook; it will be tried again by itself."""

    code = "webhooks.delivery_pending"


class WebhooksNotConfigured(Unavailable):
    """This installation has no key for webhooks' secrets, so nothing can be signed."""

    code = "webhooks.not_configured"
