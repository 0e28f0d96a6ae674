"""NSPK's own door: ``python -m api.serve_nspk``. Only its notifications, and only for who shows its certificate."""

from __future__ import annotations

import os
import socket
import ssl

import uvicorn

from api.data_dir import StartRefused
from api.serve import BACKLOG, GRACE_SECONDS_MAX, KEEP_ALIVE_SECONDS, LISTEN_FD
from api.settings import Settings


def refuse_without_certificates(settings: Settings) -> None:
    """Refuse a door that could not check who comes. Raises: StartRefused."""
    needed = (
        settings.nspk_notifications_cert_file,
        settings.nspk_notifications_key_file,
        settings.nspk_ca_file,
    )
    if settings.nspk_notifications_port is not None and None in needed:
        raise StartRefused(
            "KOPEYKA_NSPK_NOTIFICATIONS_PORT needs KOPEYKA_NSPK_NOTIFICATIONS_CERT_FILE, "
            "KOPEYKA_NSPK_NOTIFICATIONS_KEY_FILE and KOPEYKA_NSPK_CA_FILE"
        )


def config_of(settings: Settings) -> uvicorn.Config:
    """How the door is served: a client without a certificate of NSPK's authority is not let in at all.

    Raises: StartRefused.
    """
    refuse_without_certificates(settings)
    return uvicorn.Config(
        "api.closed_doors:create_nspk_app", factory=True, loop="uvloop", http="httptools", ws="none", access_log=False,
        log_config=None, server_header=False, backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS_MAX,
        ssl_certfile=settings.nspk_notifications_cert_file, ssl_keyfile=settings.nspk_notifications_key_file,
        ssl_ca_certs=str(settings.nspk_ca_file), ssl_cert_reqs=ssl.CERT_REQUIRED,
    )  # fmt: skip


if __name__ == "__main__":
    uvicorn.Server(config_of(Settings())).run(sockets=[socket.socket(fileno=int(os.environ[LISTEN_FD]))])
