"""The signature of T-Kassa's requests and notifications.

Source: T-Kassa API v2, "Token": root fields that are no objects or lists, with Password, in the order of their names;
values joined; SHA-256 in hex. Booleans are ``true`` and ``false``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pci.secret import Secret


@dataclass(frozen=True, slots=True)
class TkassaTerminal:
    """Who we are at T-Kassa."""

    key: str
    password: Secret


def token_of(fields: Mapping[str, Any], password: Secret) -> str:
    """The ``Token`` of these fields; one that is among them already does not count."""
    signed = {
        name: _text(value)
        for name, value in fields.items()
        if name != "Token" and value is not None and not isinstance(value, Mapping | list | tuple)
    }
    signed["Password"] = password.expose()
    return hashlib.sha256("".join(signed[name] for name in sorted(signed)).encode()).hexdigest()


def is_signed(fields: Mapping[str, Any], password: Secret) -> bool:
    """Whether the ``Token`` among the fields is theirs."""
    said = fields.get("Token")
    return isinstance(said, str) and hmac.compare_digest(said.lower().encode(), token_of(fields, password).encode())


def _text(value: Any) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)
