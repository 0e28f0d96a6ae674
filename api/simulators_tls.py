"""NSPK's simulator over mutual TLS, on a second port of the simulators' process.

The plain port stays for payers' phones, faults and the bank; a client without our authority's certificate gets nothing
from this one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn
import uvloop

from api.sandbox_certificates import SandboxCertificates, make_certificates
from api.serve import LISTEN_FD
from ledger.clock import machine_now

TLS_LISTEN_FD = "KOPEYKA_TLS_LISTEN_FD"
"""The variable with the number of the inherited socket for mutual TLS."""
CERTIFICATES = "KOPEYKA_SANDBOX_CERTIFICATES"
"""The variable with the folder of the sandbox's certificates."""


def with_mutual_tls(config: uvicorn.Config, certificates: SandboxCertificates, *, port: int = 0) -> uvicorn.Config:
    """The same application, for those only who show a certificate of our authority."""
    own = certificates.nspk
    return uvicorn.Config(
        config.app, host=config.host, port=port, http=config.http, ws=config.ws, lifespan="off", access_log=False,
        log_config=None, timeout_graceful_shutdown=config.timeout_graceful_shutdown,
        ssl_certfile=str(own.certificate), ssl_keyfile=str(own.key), ssl_ca_certs=str(own.ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )  # fmt: skip


def serve(config: uvicorn.Config, *, tls_port: int | None = None, certificates: Path | None = None) -> None:
    """Serve until SIGTERM: plainly and, when a socket or port for it was given, over mutual TLS."""
    servers = [(uvicorn.Server(config), inherited(LISTEN_FD))]
    tls_socket = inherited(TLS_LISTEN_FD)
    if tls_socket is not None or tls_port is not None:
        made = make_certificates(certificates or Path(os.environ[CERTIFICATES]), now=machine_now())
        servers.append((uvicorn.Server(with_mutual_tls(config, made, port=tls_port or 0)), tls_socket))
    with suppress(KeyboardInterrupt):
        uvloop.run(serve_all(servers))


def inherited(variable: str) -> list[socket.socket] | None:
    """The listening socket that the supervisor gave us, if it did."""
    number = os.environ.get(variable)
    return [socket.socket(fileno=int(number))] if number else None


async def serve_all(servers: Sequence[tuple[uvicorn.Server, list[socket.socket] | None]]) -> None:
    """Run servers in one loop; when one is told to stop, all do."""
    running = [asyncio.create_task(server.serve(sockets)) for server, sockets in servers]
    with suppress(asyncio.CancelledError):
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*running)
