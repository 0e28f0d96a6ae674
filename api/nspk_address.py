"""The way to NSPK that the settings describe; a way that would be unsafe is refused before anything starts."""

from __future__ import annotations

import ssl

from api.meters import NspkMeter
from api.settings import Mode, Settings
from sbp_gateway.errors import NspkAddressRefused
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.tls import Certificates, context_for


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
