"""The door of Долями's shops: ``python -m api.serve_dolyame``. TLS that takes nobody without a client certificate.

One process: its limit of requests a second is then exact for every shop.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from asyncio import BaseTransport
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.contracts.dolyame.shops import PEER_FINGERPRINT
from api.data_dir import StartRefused
from api.serve import BACKLOG, GRACE_SECONDS_MAX, KEEP_ALIVE_SECONDS, LISTEN_FD
from api.settings import Mode, Settings

NEEDED = ("KOPEYKA_DOLYAME_CERT_FILE", "KOPEYKA_DOLYAME_KEY_FILE", "KOPEYKA_DOLYAME_CA_FILE")


class FingerprintedPeer(HttpToolsProtocol):
    """HTTP that tells the application which certificate is at the other end."""

    fingerprint = b""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self.fingerprint = hashlib.sha256(shown).digest() if shown else b""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[PEER_FINGERPRINT] = self.fingerprint


def refuse_without_certificates(settings: Settings) -> None:
    """Refuse a door that could not check who comes. Raises: StartRefused."""
    given = (settings.dolyame_cert_file, settings.dolyame_key_file, settings.dolyame_ca_file)
    if settings.dolyame_port is not None and settings.mode is Mode.PRODUCTION and None in given:
        raise StartRefused(f"KOPEYKA_DOLYAME_PORT needs {', '.join(NEEDED[:2])} and {NEEDED[2]}")
    if None in given and any(given):
        raise StartRefused(f"{', '.join(NEEDED[:2])} and {NEEDED[2]} belong together")


def config_of(settings: Settings) -> uvicorn.Config:
    """How the door is served: who shows no certificate of the shops' authority gets no handshake.

    Raises: StartRefused.
    """
    context = server_context(settings)
    return uvicorn.Config(
        "api.closed_doors:create_dolyame_app", factory=True, loop="uvloop", http=FingerprintedPeer, ws="none",
        access_log=False, log_config=None, server_header=False, backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=GRACE_SECONDS_MAX,
        ssl_context_factory=lambda _config, _default: context,
    )  # fmt: skip


def server_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or newer, and a client certificate or nothing. Raises: StartRefused if a file is missing or wrong."""
    certificate, key, authority = settings.dolyame_cert_file, settings.dolyame_key_file, settings.dolyame_ca_file
    if certificate is None or key is None or authority is None:
        raise StartRefused(f"The door of Долями needs {', '.join(NEEDED)}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(authority)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartRefused(
            f"The certificates of Долями's door cannot be used ({error.strerror or 'not PEM'}): see {', '.join(NEEDED)}"
        ) from error
    return context


if __name__ == "__main__":
    uvicorn.Server(config_of(Settings())).run(sockets=[socket.socket(fileno=int(os.environ[LISTEN_FD]))])
