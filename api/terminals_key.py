"""The house's key that the secrets of tills' one-time codes are derived from: one for all processes."""

from __future__ import annotations

from api.house_key import house_key
from api.settings import Settings
from checkout.errors import TerminalKeysNotConfigured
from pci.secret import Secret

_DOMAIN = "kopeyka/terminals-key/sandbox/v1|"


def key_of_terminals(settings: Settings) -> Secret | None:
    """The house's key for tills; a sandbox has one in any case. Raises: StartRefused if it is too short."""
    return house_key(settings, settings.terminals_key, "KOPEYKA_TERMINALS_KEY", _DOMAIN)


def terminals_key(settings: Settings) -> Secret:
    """The key, where it is needed. Raises: TerminalKeysNotConfigured; StartRefused if it is too short."""
    key = key_of_terminals(settings)
    if key is None:
        raise TerminalKeysNotConfigured()
    return key
