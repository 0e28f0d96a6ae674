"""One server process: ``python -m api.serve api.app:create_app``.

The supervisor binds the port and hands the listening socket to several of these, so any of them
may die without the port closing. uvicorn's own multi-process mode is not used: it stops for good
when a restarted worker fails to start (domain/reliability.md, 3).
"""

from __future__ import annotations

import os
import socket
import sys

import uvicorn

LISTEN_FD = "KOPEYKA_LISTEN_FD"
"""The variable with the number of an inherited listening socket."""
BACKLOG = 2048
GRACE_SECONDS_MAX = 3
"""How long running requests may go on after SIGTERM."""
KEEP_ALIVE_SECONDS = 75
"""Longer than balancers keep idle connections, so that they close first."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host:port``; port 0 is any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


def serve(factory: str, listener: socket.socket) -> None:
    """Serve the application that ``factory`` (``module:function``) makes until SIGTERM."""
    listener.setblocking(False)
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
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(os.environ[LISTEN_FD])))
