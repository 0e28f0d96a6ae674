"""One server process: ``python -m api.serve api.app:create_app``.

The supervisor binds the port and hands each of several of these a listening socket which it keeps
too. So when one dies, callers that were dealt to it wait for its successor and are not refused.
uvicorn's own multi-process mode is not used: it stops for good when a restarted worker fails to
start.
"""

from __future__ import annotations

import os
import socket
import sys

import uvicorn

from api.settings import Settings

LISTEN_FD = "KOPEYKA_LISTEN_FD"
"""The variable with the number of an inherited listening socket."""
PUBLIC_LISTEN_FD = "KOPEYKA_VAULT_PUBLIC_LISTEN_FD"
"""The same for the vault's second socket, its public origin."""
BACKLOG = 2048
GRACE_SECONDS_MAX = 3
"""How long running requests may go on after SIGTERM."""
KEEP_ALIVE_SECONDS = 75
"""Longer than balancers keep idle connections, so that they close first."""


def listening_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on ``host:port``; port 0 is any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(BACKLOG)
    return listener


def listening_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """One socket for each of ``count`` processes, all on the same port.

    On Linux the kernel deals connections out evenly between sockets that share a port. Processes
    that accept from one socket do not: the first awake takes nearly all (measured: 59 of 64).
    Elsewhere all get the same socket.
    """
    if sys.platform != "linux":
        return [listening_socket(host, port)] * count
    with listening_socket(host, port) as probe:  # refuses a port that somebody else listens on
        port = probe.getsockname()[1]
    return [listening_socket(host, port, shared=True) for _ in range(count)]


def serve(factory: str, listener: socket.socket) -> None:
    """Serve the application that ``factory`` (``module:function``) makes until SIGTERM."""
    listener.setblocking(False)
    settings = Settings()
    config = uvicorn.Config(
        factory,
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS_MAX,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(os.environ[LISTEN_FD])))
