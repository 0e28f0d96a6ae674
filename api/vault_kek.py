"""The keeper of the vault's KEK, as the settings choose it. A sandbox makes itself a key; production never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from api.data_dir import StartRefused
from pci.keys import kek_file, key_file
from pci.keys.errors import KekRefused, KeyFileRefused, PassphraseWrong
from pci.keys.kek import KekProvider
from pci.keys.kek_openbao import TransitKek, TransitKekTerms
from pci.keys.kek_pkcs11 import DeviceKek, DeviceTerms
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
    if settings.kek_provider is KeyKeeper.PKCS11:
        return device(settings)
    if settings.kek_provider is KeyKeeper.OPENBAO:
        return transit(settings)
    if settings.kek_file is None:
        raise StartRefused("The vault needs its key file: set KOPEYKA_VAULT_KEK_FILE")
    passphrase = Secret(settings.kek_passphrase.get_secret_value())
    if settings.is_production and passphrase.expose():
        raise StartRefused("In production custodians open the vault: unset KOPEYKA_VAULT_KEK_PASSPHRASE")
    try:
        if passphrase.expose() and not settings.kek_file.exists():
            _make_development_file(settings.kek_file, passphrase)
        kek = kek_file.load(settings.kek_file, apart_from=apart_from)
        refuse_other_environment(kek.file.context, settings)
        if passphrase.expose():
            announce(BANNER)
            await kek.unseal_with_passphrase(passphrase)
    except (KeyFileRefused, PassphraseWrong) as refused:
        raise StartRefused(f"KOPEYKA_VAULT_KEK_FILE: {refused}") from refused
    return kek


def context_of(env: str) -> str:
    """What a key file of an environment says it is for."""
    return f"kopeyka|{env}"


def refuse_other_environment(context: str, settings: VaultSettings) -> None:
    """Keys of a test never run with real cards, nor the other way round. Source: PCI DSS 3.6.1.1.

    Raises: StartRefused.
    """
    if context != context_of("live" if settings.is_production else "test"):
        raise StartRefused(f"The key file is for {context!r}, and this vault runs in {settings.mode}")


def device(settings: VaultSettings) -> DeviceKek:
    """A device that speaks PKCS #11. Raises: StartRefused."""
    pin = Secret(settings.pkcs11_pin.get_secret_value())
    if not (settings.pkcs11_module and settings.pkcs11_token and pin.expose()):
        raise StartRefused(
            "A device needs KOPEYKA_VAULT_PKCS11_MODULE, KOPEYKA_VAULT_PKCS11_TOKEN and KOPEYKA_VAULT_PKCS11_PIN"
        )
    return DeviceKek(DeviceTerms(settings.pkcs11_module, settings.pkcs11_token, pin, settings.pkcs11_key))


def transit(settings: VaultSettings) -> TransitKek:
    """An OpenBao Transit engine. Raises: StartRefused."""
    token = Secret(settings.openbao_token.get_secret_value())
    if not (settings.openbao_url and token.expose()):
        raise StartRefused("OpenBao needs KOPEYKA_VAULT_OPENBAO_URL and KOPEYKA_VAULT_OPENBAO_TOKEN")
    try:
        return TransitKek(TransitKekTerms(settings.openbao_url, token, settings.openbao_key))
    except KekRefused as refused:
        raise StartRefused(f"KOPEYKA_VAULT_OPENBAO_URL: {refused}") from refused


def _make_development_file(path: Path, passphrase: Secret) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    file = key_file.new_file(passphrase.expose().encode(), context=context_of("test"), cost=DEVELOPMENT)
    key_file.write(path, file)
