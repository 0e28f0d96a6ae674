"""The acquirer of a sandbox in a process of its own: ``python -m api.acquirer_simulator``.

Card charges come in by ISO 8583 on one TCP port, a tester's orders by HTTP on another. With ``--state FILE`` it
remembers in an append-only file, so that killing it loses nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from api.serve import LISTEN_FD, listening_socket
from tokenization.acquirer_simulator.control import control_routes, new_server

ACQUIRER_LISTEN_FD = "KOPEYKA_ACQUIRER_LISTEN_FD"
"""The variable with the number of the inherited socket for ISO 8583; ``KOPEYKA_LISTEN_FD`` is the tester's."""
ACQUIRER_STATE = "KOPEYKA_ACQUIRER_STATE"


def create_acquirer(listener: socket.socket, state: Path | None = None) -> Starlette:
    """The tester's application; while it runs, the acquirer answers on the socket."""
    server, journal = new_server(state)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        listening = await asyncio.start_server(server.speak, sock=listener)
        yield
        listening.close()
        server.cut_all()
        if journal.file is not None:
            journal.file.close()

    return Starlette(routes=control_routes(server), lifespan=lifespan)


def _socket_of(variable: str, host: str, port: int) -> socket.socket:
    number = os.environ.get(variable)
    return socket.socket(fileno=int(number)) if number else listening_socket(host, port)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("KOPEYKA_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=0, help="ISO 8583 over TCP")
    parser.add_argument("--control-port", type=int, default=0, help="orders and the summary, by HTTP")
    parser.add_argument("--state", type=Path, default=os.environ.get(ACQUIRER_STATE))
    chosen = parser.parse_args()
    app = create_acquirer(_socket_of(ACQUIRER_LISTEN_FD, chosen.host, chosen.port), chosen.state)
    config = uvicorn.Config(app, ws="none", access_log=False, log_config=None, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[_socket_of(LISTEN_FD, chosen.host, chosen.control_port)])


if __name__ == "__main__":
    main()
