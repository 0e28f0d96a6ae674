"""The roles of Kopeyka as child processes: what each runs and what it is told."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path

from prometheus_client import multiprocess

from api.data_dir import StartRefused
from api.processes import Child
from api.running import Installation
from api.sandbox_certificates import SandboxCertificates, make_certificates
from api.serve import LISTEN_FD, listening_sockets
from api.simulators_tls import CERTIFICATES, TLS_LISTEN_FD
from ledger.clock import machine_now
from sbp_gateway.simulator.tkassa import TERMINAL

WITHHELD = frozenset(
    {"KOPEYKA_MIGRATOR_DATABASE_URL", "KOPEYKA_SEQUENCER_DATABASE_URL", LISTEN_FD}
    | {f"KOPEYKA_VAULT_{role}DATABASE_URL" for role in ("", "MIGRATOR_", "SEQUENCER_")}
)
"""What children never get, whatever we were started with."""


class Role(StrEnum):
    """What a process is for."""

    ALL = "all"
    API = "api"
    WORKER = "worker"
    SIMULATORS = "simulators"


def add_simulators(running: Installation, role: Role, stack: ExitStack) -> None:
    """The outside world on a port of its own, with a file in which it remembers."""
    port = running.settings.port if role is Role.SIMULATORS else 0
    (listener,) = listen(running, port, 1, stack)
    running.urls["simulators"] = url_of(listener)
    folder = running.server.place.path if running.server is not None else running.scratch
    own = {LISTEN_FD: str(listener.fileno()), "KOPEYKA_SIMULATORS_STATE": str(folder / "simulators.jsonl")}
    listeners = [listener]
    if running.settings.sandbox_mutual_tls:
        (tls_listener,) = listen(running, 0, 1, stack)
        listeners.append(tls_listener)
        running.urls["nspk"] = url_of(tls_listener).replace("http://", "https://")
        made = make_certificates(certificates_folder(running), now=machine_now())
        own |= {TLS_LISTEN_FD: str(tls_listener.fileno()), CERTIFICATES: str(made.folder)}
    descriptors = [open_one.fileno() for open_one in listeners]
    running.children.append(Child("simulators", python("api.simulators"), own, descriptors))


def certificates_folder(running: Installation) -> Path:
    """Where the sandbox's certificates are kept: in the data directory, if there is one."""
    return (running.server.place.path if running.server is not None else running.scratch) / "certificates"


def nspk_environment(running: Installation) -> dict[str, str]:
    """How children reach NSPK: where the settings say, or the simulator, over mutual TLS when it speaks it."""
    url = running.urls.get("nspk")
    if running.settings.nspk_url or url is None:
        return {"KOPEYKA_NSPK_URL": running.settings.nspk_url or running.urls.get("simulators", "")}
    ours = SandboxCertificates(certificates_folder(running)).agent
    return {
        "KOPEYKA_NSPK_URL": url,
        "KOPEYKA_NSPK_CA_FILE": str(ours.ca),
        "KOPEYKA_NSPK_CERT_FILE": str(ours.certificate),
        "KOPEYKA_NSPK_KEY_FILE": str(ours.key),
    }


def add_api(running: Installation, stack: ExitStack) -> None:
    """As many api processes as the settings say, each with its socket on the same port."""
    settings = running.settings
    listeners = listen(running, settings.port, settings.workers, stack)
    running.urls["api"] = settings.public_url or url_of(listeners[0])
    metrics = running.scratch / "metrics"
    metrics.mkdir()
    for number, listener in enumerate(listeners, start=1):
        own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        command = python("api.serve", "api.app:create_app")
        bury = partial(multiprocess.mark_process_dead, path=str(metrics))  # the dead have nothing in flight
        running.children.append(Child(f"api-{number}", command, own, [listener.fileno()], bury))
    if settings.nspk_notifications_port is not None:
        (listener,) = listen(running, settings.nspk_notifications_port, 1, stack)
        running.urls["notifications"] = url_of(listener).replace("http://", "https://")
        own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        bury = partial(multiprocess.mark_process_dead, path=str(metrics))
        running.children.append(Child("api-nspk", python("api.serve_nspk"), own, [listener.fileno()], bury))


def listen(running: Installation, port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Listening sockets that stay open until the stop, whoever dies meanwhile."""
    host = running.settings.host
    try:
        listeners = listening_sockets(host, port, count)
    except OSError as error:
        raise StartRefused(f"cannot listen on {host}:{port} ({error.strerror}): set KOPEYKA_PORT") from error
    for listener in listeners:
        stack.enter_context(listener)
    return listeners


def url_of(listener: socket.socket) -> str:
    """Where a listening socket of ours is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def environment(running: Installation) -> dict[str, str]:
    """What every child is told. The migrator's and the vault's ways in stay here."""
    settings = running.settings
    simulators = running.urls.get("simulators", "")
    told = {
        "KOPEYKA_MODE": settings.mode,
        "KOPEYKA_HOST": settings.host,
        "KOPEYKA_DATABASE_URL": running.databases.app,
        "KOPEYKA_PUBLIC_URL": running.urls.get("api", settings.public_url),
        "KOPEYKA_BANK_URL": settings.bank_url or simulators,
        "KOPEYKA_EVENTS_URL": settings.events_url or (f"{simulators}/sink/events" if simulators else ""),
    }
    return (
        {name: value for name, value in os.environ.items() if name not in WITHHELD}
        | told
        | nspk_environment(running)
        | tkassa_environment(running)
    )


def tkassa_environment(running: Installation) -> dict[str, str]:
    """How children reach T-Kassa: as the settings say, or its simulator with the sandbox's own shop."""
    settings, simulators = running.settings, running.urls.get("simulators", "")
    if settings.tkassa_url or not simulators or not settings.tkassa_members:
        return {}
    return {
        "KOPEYKA_TKASSA_URL": simulators,
        "KOPEYKA_TKASSA_TERMINAL_KEY": TERMINAL.key,
        "KOPEYKA_TKASSA_PASSWORD": TERMINAL.password.expose(),
    }


def worker(running: Installation) -> Child:
    """Everything that happens later: deliveries, polling, payouts, nightly proofs. Counted with the api beside it."""
    metrics = running.scratch / "metrics"
    if not metrics.exists():
        return Child("worker", python("api.worker"), {})
    bury = partial(multiprocess.mark_process_dead, path=str(metrics))
    return Child("worker", python("api.worker"), {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}, bury=bury)
