"""The API key of whoever reads timelines in a browser: in a cookie that only we can open, for half an hour."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from pci.secret import Secret

LIFETIME = timedelta(minutes=30)
CHARACTERS_MAX = 1_000
NAME = "timeline"
SECURE_NAME = "__Secure-timeline"
"""Browsers take this name only over TLS."""
_DOMAIN = b"timeline cookie\0"


def seal(api_key: Secret, key: Secret, now: datetime) -> str:
    """The cookie's value."""
    told = json.dumps([api_key.expose(), int(now.timestamp())]).encode()
    return urlsafe_b64encode(_box(key).encrypt(told)).decode().rstrip("=")


def unseal(value: str, key: Secret, now: datetime) -> Secret | None:
    """The API key in a cookie; none if it is not ours or over."""
    if not 0 < len(value) <= CHARACTERS_MAX:
        return None
    try:
        api_key, begun_at = json.loads(_box(key).decrypt(urlsafe_b64decode(value + "=" * (-len(value) % 4))))
    except (ValueError, CryptoError):
        return None
    is_over = now - datetime.fromtimestamp(begun_at, UTC) > LIFETIME
    return None if is_over else Secret(api_key)


def setting(value: str, path: str, *, is_secure: bool) -> str:
    """The header's text that gives a browser its cookie; an empty value takes it back. Never sent from other sites."""
    name, age = SECURE_NAME if is_secure else NAME, int(LIFETIME.total_seconds()) if value else 0
    return f"{name}={value}; Max-Age={age}; Path={path}; {'Secure; ' if is_secure else ''}HttpOnly; SameSite=Strict"


def _box(key: Secret) -> SecretBox:
    return SecretBox(hashlib.sha256(_DOMAIN + key.expose().encode()).digest())
