"""Keys that a house gives in its settings, one for all its processes; secrets are made of them and kept nowhere."""

from __future__ import annotations

import hashlib

from pydantic import SecretStr

from api.data_dir import StartRefused
from api.settings import Mode, Settings
from pci.secret import Secret

CHARACTERS_MIN = 32
"""256 bits in hex are 64; anything shorter than half of that is a word that somebody thought of."""


def house_key(settings: Settings, given: SecretStr, variable: str, domain: str) -> Secret | None:
    """The key of the settings. A sandbox without one makes it of its database's address, whose password is random.

    Nothing where production has none. Raises: StartRefused if it is too short, naming the setting.
    """
    key = given.get_secret_value()
    if key:
        if len(key) < CHARACTERS_MIN:
            raise StartRefused(f"{variable} needs at least {CHARACTERS_MIN} characters")
        return Secret(key)
    if settings.mode is Mode.PRODUCTION:
        return None
    return Secret(hashlib.sha256((domain + settings.database_url.get_secret_value()).encode()).hexdigest())
