"""The ways to the banks that move money for us and to the bureau; an unsafe one is refused before anything starts."""

from __future__ import annotations

from api.data_dir import StartRefused
from api.settings import Mode, Settings
from sbp_gateway.tls import is_plain_and_near


def bank_address(settings: Settings) -> str:
    """Where the bank that pays merchants out is reached; empty where no payout is asked for. Raises: StartRefused."""
    return safe_address("KOPEYKA_BANK_URL", settings.bank_url, settings)


def payout_bank_address(settings: Settings) -> str:
    """Where the bank that pays buyers is reached; the merchants' bank when it has no address. Raises: StartRefused."""
    return safe_address("KOPEYKA_PAYOUT_BANK_URL", settings.payout_bank_url, settings) or bank_address(settings)


def bureau_address(settings: Settings) -> str:
    """Where the credit bureau is told of plans; empty where nothing is told. Raises: StartRefused."""
    return safe_address("KOPEYKA_BUREAU_URL", settings.bureau_url, settings)


def safe_address(name: str, url: str, settings: Settings) -> str:
    """The address, if whoever listens on the way cannot read or change what is sent. Raises: StartRefused."""
    is_near = settings.mode is Mode.SANDBOX and is_plain_and_near(url)
    if not url or is_near or url.lower().startswith("https://"):
        return url
    raise StartRefused(f"{name} must be https://; plain http:// is for a sandbox on this machine")
