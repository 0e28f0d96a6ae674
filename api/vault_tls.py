"""TLS of the link to the vault, both ends of it: who is let in, and what is never spoken."""

from __future__ import annotations

import ssl
from asyncio import BaseTransport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.data_dir import StartRefused
from api.vault_certificates import ROLE_NAME, LinkCertificates
from tokenization.wire import PEER, ROLES


def server_context(own: LinkCertificates) -> ssl.SSLContext:
    """The service listener's: TLS 1.2 or newer, and a certificate of our own authority or nothing.

    Raises: StartRefused if a file is missing or wrong.
    """
    return _context(own, ssl.PROTOCOL_TLS_SERVER)


def client_context(own: LinkCertificates) -> ssl.SSLContext:
    """The api's and the worker's: the vault's certificate and name are always checked.

    Raises: StartRefused if a file is missing or wrong.
    """
    return _context(own, ssl.PROTOCOL_TLS_CLIENT)


def _context(own: LinkCertificates, side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(own.ca)
        context.load_cert_chain(own.certificate, own.key)
    except (OSError, ssl.SSLError) as error:
        raise StartRefused(
            f"The certificates of the link to the vault cannot be used ({error.strerror or 'not PEM'}): see "
            "KOPEYKA_VAULT_CA_FILE, KOPEYKA_VAULT_CERT_FILE, KOPEYKA_VAULT_KEY_FILE"
        ) from error
    return context


def role_in(certificate: Any) -> str | None:
    """The role that a checked certificate names, if it is exactly one of those who may ask."""
    names = certificate.get("subjectAltName", ()) if certificate else ()
    roles = [name.removeprefix(ROLE_NAME) for kind, name in names if kind == "URI" and name.startswith(ROLE_NAME)]
    return roles[0] if len(roles) == 1 and roles[0] in ROLES else None


class NamedPeer(HttpToolsProtocol):
    """HTTP that tells the application who is at the other end."""

    role: str | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.role = role_in(transport.get_extra_info("peercert"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[PEER] = self.role
