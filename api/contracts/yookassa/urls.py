"""Where notifications of the contract may go: over HTTPS to the ports it names, and never to a machine of ours."""

from __future__ import annotations

from yarl import URL

from api import public_addresses
from api.contracts.yookassa.errors import UrlRefused
from api.errors import AddressRefused
from api.settings import Mode

PORTS = frozenset({443, 8443})
"""Source: YooKassa API v3, "Webhooks": HTTPS on these ports."""


def check_url(given: str, mode: Mode) -> URL:
    """The address of a webhook. Raises: UrlRefused."""
    try:
        return public_addresses.check_url(given, mode, ports=PORTS)
    except AddressRefused:
        raise UrlRefused(parameter="url") from None
