"""Signatures: who received an event knows that it is ours, when it was sent, and that nothing was changed.

A webhook's secret is made of the house's key and a salt, so the database alone signs nothing.
Source: Standard Webhooks, specification, "Webhook headers" and "Signature scheme" (symmetric, ``v1``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from api.house_key import house_key
from api.settings import Settings
from api.webhooks.errors import WebhookKeyDiffers, WebhooksNotConfigured
from pci.secret import Secret

MARK_BYTES = 8
SECRET_PREFIX = "whsec_"  # noqa: S105  # what secrets begin with, and none of them
log = structlog.get_logger("webhooks")
_SANDBOX = "kopeyka/webhooks-key/sandbox/v1|"
_SECRET = b"kopeyka/webhooks/secret/v1|"
_MARK = b"kopeyka/webhooks/mark/v1"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One secret of a webhook as it is kept: never the secret itself."""

    webhook_id: str
    number: int
    salt: bytes
    key_mark: bytes
    """By which the house's key is known that the secret is made of."""
    created_at: datetime
    expires_at: datetime | None
    """Set when a newer one took its place; until then events are signed with both."""


def webhooks_key(settings: Settings) -> Secret | None:
    """The house's key for webhooks; a sandbox has one in any case. Raises: StartRefused if it is too short."""
    return house_key(settings, settings.webhooks_key, "KOPEYKA_WEBHOOKS_KEY", _SANDBOX)


def required_key(settings: Settings) -> Secret:
    """The key, where it is needed. Raises: WebhooksNotConfigured."""
    key = webhooks_key(settings)
    if key is None:
        raise WebhooksNotConfigured()
    return key


def mark_of(key: Secret) -> bytes:
    """By what a key is known without being told."""
    return _digest(key, _MARK)[:MARK_BYTES]


def secret_of(key: Secret, kept: WebhookSecret) -> Secret:
    """The secret as the webhook's owner has it: ``whsec_…``.

    Raises: WebhookKeyDiffers if it was made of another key of the house.
    """
    if not hmac.compare_digest(kept.key_mark, mark_of(key)):
        raise WebhookKeyDiffers(webhook_id=kept.webhook_id)
    raw = _digest(key, _SECRET + kept.webhook_id.encode() + b"|" + kept.salt)
    return Secret(SECRET_PREFIX + base64.b64encode(raw).decode())


def secrets_of_now(key: Secret, kept: Iterable[WebhookSecret]) -> list[tuple[WebhookSecret, Secret]]:
    """Those of a webhook's secrets that the house's key of now makes, in their order; the others sign nothing."""
    found = []
    for each in kept:
        try:
            found.append((each, secret_of(key, each)))
        except WebhookKeyDiffers:
            log.error("webhook_key_differs", webhook_id=each.webhook_id)
    return found


def signed_headers(event_id: str, body: bytes, secrets: Iterable[Secret], *, at: datetime) -> Mapping[str, str]:
    """The headers that an event leaves with, a signature for each secret. ``at``: the machine's time."""
    seconds = str(int(at.timestamp()))
    content = b".".join((event_id.encode(), seconds.encode(), body))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join("v1," + _signature(secret, content) for secret in secrets),
    }


def _signature(secret: Secret, content: bytes) -> str:
    raw = base64.b64decode(secret.expose().removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode()


def _digest(key: Secret, told: bytes) -> bytes:
    return hmac.new(key.expose().encode(), told, hashlib.sha256).digest()
