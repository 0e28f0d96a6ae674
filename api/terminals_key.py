"""The house's key that the secrets of tills' one-time codes are derived from: one for all processes."""

from __future__ import annotations

import hashlib

from api.buyer_key import CHARACTERS_MIN
from api.data_dir import StartRefused
from api.settings import Mode, Settings
from checkout.errors import TerminalKeysNotConfigured
from pci.secret import Secret

_DOMAIN = "kopeyka/terminals-key/sandbox/v1|"


def terminals_key(settings: Settings) -> Secret:
    """The key of the settings. A sandbox without one makes it of its database's address, whose password is random.

    Raises: TerminalKeysNotConfigured where production has none; StartRefused if it is too short.
    """
    key = settings.terminals_key.get_secret_value()
    if key:
        if len(key) < CHARACTERS_MIN:
            raise StartRefused(f"KOPEYKA_TERMINALS_KEY needs at least {CHARACTERS_MIN} characters")
        return Secret(key)
    if settings.mode is Mode.PRODUCTION:
        raise TerminalKeysNotConfigured()
    return Secret(hashlib.sha256((_DOMAIN + settings.database_url.get_secret_value()).encode()).hexdigest())


def key_of_terminals(settings: Settings) -> Secret | None:
    """The same, or nothing where production has none."""
    try:
        return terminals_key(settings)
    except TerminalKeysNotConfigured:
        return None
