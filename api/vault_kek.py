"""The keeper of the vault's KEK, as the settings choose it. A sandbox makes itself a key; production never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from api.data_dir import StartRefused
from pci.keys import kek_file, key_file
from pci.keys.errors import KeyFileRefused, PassphraseWrong
from pci.keys.kek import KekProvider
from pci.keys.key_file import KeyFileCost
from pci.secret import Secret
from tokenization.settings import KeyKeeper, VaultSettings

DEVELOPMENT = KeyFileCost(operations=3, memory_bytes=64 * 1024 * 1024)
"""An eighth of a second at each start: the passphrase beside it is random."""
BANNER = (
    "THE VAULT RUNS ON A DEVELOPMENT KEY: a passphrase on this machine opens it. Not for real cards: production needs "
    "custodians' shares or a device."
)


async def open_keeper(
    settings: VaultSettings, announce: Callable[[str], None], *, apart_from: Sequence[Path] = ()
) -> KekProvider:
    """The keeper, opened if its settings can open it; else sealed until custodians do.

    Raises: StartRefused, saying which setting to change.
    """
    if settings.kek_provider is not KeyKeeper.FILE:
        raise StartRefused(f"KOPEYKA_VAULT_KEK_PROVIDER={settings.kek_provider} is not wired yet")
    if settings.kek_file is None:
        raise StartRefused("The vault needs its key file: set KOPEYKA_VAULT_KEK_FILE")
    passphrase = Secret(settings.kek_passphrase.get_secret_value())
    if settings.is_production and passphrase.expose():
        raise StartRefused("In production custodians open the vault: unset KOPEYKA_VAULT_KEK_PASSPHRASE")
    try:
        if passphrase.expose() and not settings.kek_file.exists():
            _make_development_file(settings.kek_file, passphrase)
        kek = kek_file.load(settings.kek_file, apart_from=apart_from)
        if passphrase.expose():
            announce(BANNER)
            await kek.unseal_with_passphrase(passphrase)
    except (KeyFileRefused, PassphraseWrong) as refused:
        raise StartRefused(f"KOPEYKA_VAULT_KEK_FILE: {refused}") from refused
    return kek


def _make_development_file(path: Path, passphrase: Secret) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    file = key_file.new_file(passphrase.expose().encode(), context="kopeyka|test", cost=DEVELOPMENT)
    key_file.write(path, file)
