"""The key that buyers' one-time codes, phones and documents are digested with: one for all processes of a house."""

from __future__ import annotations

from api.house_key import house_key
from api.settings import Settings
from installments.buyer_errors import CodesNotConfigured
from pci.secret import Secret

_DOMAIN = "kopeyka/buyers-key/sandbox/v1|"


def buyers_key(settings: Settings) -> Secret | None:
    """The house's key for buyers; a sandbox has one in any case. Raises: StartRefused if it is too short."""
    return house_key(settings, settings.buyers_key, "KOPEYKA_BUYERS_KEY", _DOMAIN)


def required_key(key: Secret | None) -> Secret:
    """The key, where it is needed. Raises: CodesNotConfigured."""
    if key is None:
        raise CodesNotConfigured()
    return key
