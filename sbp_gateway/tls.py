"""Mutual TLS with NSPK: we prove who we are, and never talk to a server that cannot prove it too.

Source: NSPK agent API, transport: client certificate, TLS 1.2 or newer. DECISIONS.md, 8.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from sbp_gateway.errors import NspkAddressRefused


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a client that proves itself."""

    ca: Path | None = None
    """Who vouches for the server; the machine's own authorities when empty."""
    certificate: Path | None = None
    """Ours, with its chain."""
    key: Path | None = None


def client_context(certificates: Certificates) -> ssl.SSLContext:
    """How we open a connection: the server's certificate and name are always checked.

    Raises: NspkAddressRefused if a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=certificates.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificates.certificate is not None:
            context.load_cert_chain(certificates.certificate, certificates.key)
    except (OSError, ssl.SSLError) as error:
        raise NspkAddressRefused(f"The certificate files for NSPK cannot be used: {_why(error)}") from None
    return context


def _why(error: OSError) -> str:
    return (error.strerror or error.args[-1]) if not isinstance(error, ssl.SSLError) else error.reason or "not PEM"


def context_for(url: str, certificates: Certificates, *, is_sandbox: bool) -> ssl.SSLContext | None:
    """How to reach NSPK at ``url``; nothing for plain HTTP, which only a sandbox on this machine may use.

    Raises: NspkAddressRefused, saying which setting to change.
    """
    if is_sandbox and is_plain_and_near(url):
        return None
    if urlsplit(url).scheme != "https":
        raise NspkAddressRefused(
            "KOPEYKA_NSPK_URL must be https:// with mutual TLS; plain http:// is for a sandbox on this machine"
        )
    if (certificates.certificate is None) is not (certificates.key is None):
        raise NspkAddressRefused("KOPEYKA_NSPK_CERT_FILE and KOPEYKA_NSPK_KEY_FILE belong together: set both")
    if not is_sandbox and None in (certificates.ca, certificates.certificate):
        raise NspkAddressRefused(
            "Production reaches NSPK by mutual TLS only: "
            "set KOPEYKA_NSPK_CA_FILE, KOPEYKA_NSPK_CERT_FILE and KOPEYKA_NSPK_KEY_FILE"
        )
    return client_context(certificates)


def is_plain_and_near(url: str) -> bool:
    """Whether an address is plain HTTP that does not leave this machine."""
    address = urlsplit(url)
    return address.scheme == "http" and is_loopback(address.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and cannot be another."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
