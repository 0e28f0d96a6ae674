"""Chance in access: ids of people's matters, tokens shown once, secrets of second factors."""

from __future__ import annotations

import hashlib
import secrets

from pci.secret import Secret

ID_LETTERS = 26
"""26 of 24 letters are 119 bits; without digits no id is ever taken for a card number."""
TOKEN_BYTES = 32
TOTP_SECRET_BYTES = 20
"""Source: RFC 4226 section 4, R6: 160 bits are recommended."""
_LETTERS = "abcdefghijkmnopqrstuvwxz"


def new_id(prefix: str) -> str:
    """A new id with its prefix: ``new_id("per")``."""
    return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(ID_LETTERS))}"


def is_id(prefix: str, text: str) -> bool:
    """Whether a text has the form of such an id: anything else is nobody's, and is not asked of the database."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == ID_LETTERS and set(tail) <= set(_LETTERS)


def new_token() -> Secret:
    """256 random bits as text: shown once, kept as ``token_hash``."""
    return Secret(secrets.token_urlsafe(TOKEN_BYTES))


def token_hash(token: Secret) -> bytes:
    """What is kept of a token. Its 256 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(token.expose().encode("utf-8", "replace")).digest()


def new_noise(count: int) -> bytes:
    """Random bytes that stand for nothing."""
    return secrets.token_bytes(count)


def new_totp_secret() -> bytes:
    """The secret that a person's authenticator and we share."""
    return secrets.token_bytes(TOTP_SECRET_BYTES)
