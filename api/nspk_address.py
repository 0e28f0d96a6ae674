"""The ways to NSPK and T-Kassa that the settings describe; an unsafe one is refused before anything starts."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from api.meters import NspkMeter
from api.settings import Mode, Settings
from pci.secret import Secret
from sbp_gateway import payload
from sbp_gateway.errors import NspkAddressRefused
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.tkassa_http import TkassaHttp, read_answer
from sbp_gateway.tkassa_token import TkassaTerminal
from sbp_gateway.tls import Certificates, client_context, context_for, is_plain_and_near

TKASSA_NOTIFICATION_PATH = "/tkassa/notification"
TKASSA_NEEDS = "KOPEYKA_TKASSA_URL, KOPEYKA_TKASSA_TERMINAL_KEY and KOPEYKA_TKASSA_PASSWORD"


def nspk_tls(settings: Settings) -> ssl.SSLContext | None:
    """How NSPK is reached; nothing in a sandbox that talks to a simulator on the same machine, or to nobody yet.

    Raises: NspkAddressRefused, saying which setting to change.
    """
    is_sandbox = settings.mode is Mode.SANDBOX
    if not settings.nspk_url:
        if is_sandbox:
            return None
        raise NspkAddressRefused("Production has no simulators: set KOPEYKA_NSPK_URL")
    certificates = Certificates(settings.nspk_ca_file, settings.nspk_cert_file, settings.nspk_key_file)
    return context_for(settings.nspk_url, certificates, is_sandbox=is_sandbox)


def transport_of(settings: Settings) -> NspkTransport:
    """The transport to NSPK, counted for ``/metrics``. Raises: NspkAddressRefused."""
    return NspkTransport(settings.nspk_url, nspk_tls(settings), meter=NspkMeter())


def tkassa_of(settings: Settings, read_link: Callable[[str], payload.Link]) -> TkassaHttp | None:
    """T-Kassa, if some banks' merchants go through it.

    Raises: NspkAddressRefused, saying which setting to change.
    """
    if not settings.tkassa_members:
        return None
    if not settings.tkassa_terminal_key or not settings.tkassa_password.get_secret_value():
        raise NspkAddressRefused(f"KOPEYKA_TKASSA_MEMBERS needs {TKASSA_NEEDS}")
    transport = NspkTransport(settings.tkassa_url, tkassa_tls(settings), read=read_answer, meter=NspkMeter("tkassa_"))
    terminal = TkassaTerminal(settings.tkassa_terminal_key, Secret(settings.tkassa_password.get_secret_value()))
    return TkassaHttp(transport, terminal, f"{settings.public_url}{TKASSA_NOTIFICATION_PATH}", read_link)


def tkassa_tls(settings: Settings) -> ssl.SSLContext | None:
    """How T-Kassa is reached: it signs by password, so only the server shows a certificate."""
    if settings.mode is Mode.SANDBOX and is_plain_and_near(settings.tkassa_url):
        return None
    if not settings.tkassa_url.startswith("https://"):
        raise NspkAddressRefused("KOPEYKA_TKASSA_URL must be https://; plain http:// is for a sandbox on this machine")
    return client_context(Certificates())


def refuse_half_a_tkassa(settings: Settings) -> None:
    """Refuse T-Kassa half set; a sandbox without its address gets the simulator. Raises: NspkAddressRefused."""
    if settings.tkassa_members and (settings.tkassa_url or settings.mode is Mode.PRODUCTION):
        tkassa_of(settings, payload.parse)
