"""The key that buyers' one-time codes, phones and documents are digested with: one for all processes of a house."""

from __future__ import annotations

import hashlib

from api.data_dir import StartRefused
from api.settings import Mode, Settings
from installments.buyer_errors import CodesNotConfigured
from pci.secret import Secret

CHARACTERS_MIN = 32
"""256 bits in hex are 64; anything shorter than half of that is a word that somebody thought of."""
_DOMAIN = "kopeyka/buyers-key/sandbox/v1|"


def buyers_key(settings: Settings) -> Secret | None:
    """The key of the settings. A sandbox without one makes it of its database's address, whose password is random.

    Raises: StartRefused if it is too short.
    """
    key = settings.buyers_key.get_secret_value()
    if key:
        if len(key) < CHARACTERS_MIN:
            raise StartRefused(f"KOPEYKA_BUYERS_KEY needs at least {CHARACTERS_MIN} characters")
        return Secret(key)
    if settings.mode is Mode.PRODUCTION:
        return None
    return Secret(hashlib.sha256((_DOMAIN + settings.database_url.get_secret_value()).encode()).hexdigest())


def required_key(key: Secret | None) -> Secret:
    """The key, where it is needed. Raises: CodesNotConfigured."""
    if key is None:
        raise CodesNotConfigured()
    return key
