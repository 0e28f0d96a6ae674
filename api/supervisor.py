"""``kopeyka up``: starts PostgreSQL and the roles, keeps them running, stops them in order.

One process looks after all: it binds the port and hands the socket to every api process, starts
again whoever dies (PostgreSQL included), and writes a file that says where everything is.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from api import data_dir, installation, migrate
from api.data_dir import StartRefused, write_private
from api.installation import RUNTIME_FILE, Databases
from api.postgres import Server
from api.processes import RESTART_SECONDS_MAX, Child, stop_all
from api.sandbox import all_powerful_key
from api.serve import LISTEN_FD, listening_socket
from api.settings import Mode, Settings

LOOK_SECONDS = 0.1
"""How often everybody is looked after."""
READY_SECONDS_MAX = 60.0
READY_DEATHS_MAX = 4
"""Whoever dies this often before all are ready will not get better."""

Announce = Callable[[str], None]


class Role(StrEnum):
    """What a process is for."""

    ALL = "all"
    API = "api"
    WORKER = "worker"
    SIMULATORS = "simulators"


class Stopped(Exception):  # not an error: somebody asked
    """SIGTERM or Ctrl-C came."""


@dataclass(slots=True)
class Installation:
    """Everything that runs under one supervisor."""

    settings: Settings
    announce: Announce
    databases: Databases
    server: Server | None = None
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="kopeyka-")))
    """For files that are worth nothing after the stop."""
    children: list[Child] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    sandbox_key: str = ""
    runtime_files: list[Path] = field(default_factory=list)
    stop_asked: bool = False

    def pause(self) -> None:
        """Wait a moment. Raises: Stopped."""
        time.sleep(LOOK_SECONDS)
        if self.stop_asked:
            raise Stopped


def up(settings: Settings, *, role: Role, path: Path | None, runtime_file: Path | None, announce: Announce) -> None:
    """Run the role until SIGTERM or Ctrl-C; then stop all of it within ten seconds.

    Raises: StartRefused, saying what to do, if something cannot start.
    """
    refuse_unfit(settings, role)
    with ExitStack() as stack:
        running = Installation(settings, announce, installation.of_settings(settings))
        stack.enter_context(stopping_signals(running))
        stack.callback(shutil.rmtree, running.scratch, ignore_errors=True)
        if role is Role.ALL and not running.databases.app:
            embed_postgres(running, path, stack)
        elif role is Role.ALL and running.databases.migrator:
            migrate.upgrade(running.databases.migrator)
        if runtime_file is not None:
            running.runtime_files.append(runtime_file)
        try:
            run_roles(running, role, stack)
        except Stopped:
            announce("Stopping…")


def refuse_unfit(settings: Settings, role: Role) -> None:
    """Refuse what cannot work, before anything starts."""
    if role is Role.SIMULATORS and settings.mode is Mode.PRODUCTION:
        raise StartRefused("Simulators do not run with real money: unset KOPEYKA_MODE=production")
    if role in (Role.API, Role.WORKER) and not settings.database_url.get_secret_value():
        raise StartRefused(f"The role {role} needs a database: set KOPEYKA_DATABASE_URL, or run kopeyka up alone")
    if role is Role.ALL and settings.mode is Mode.PRODUCTION and not settings.nspk_url:
        raise StartRefused("Production has no simulators: set KOPEYKA_NSPK_URL and KOPEYKA_BANK_URL")


@contextmanager
def stopping_signals(running: Installation) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP ask for a stop while the block runs."""

    def ask(_number: int, _frame: object) -> None:
        running.stop_asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def embed_postgres(running: Installation, path: Path | None, stack: ExitStack) -> None:
    """Take the data directory and start PostgreSQL on it."""
    place = data_dir.prepare(path or running.settings.data_dir)
    stack.callback(data_dir.hold(place).release)
    running.server = Server(place)
    stack.callback(running.server.stop)
    running.databases = installation.start(running.server)
    running.runtime_files.append(place.path / RUNTIME_FILE)


def run_roles(running: Installation, role: Role, stack: ExitStack) -> None:
    """Start the children of the role, tell when all are ready, look after them. Ends by Stopped."""
    stack.callback(forget_runtime, running)
    stack.callback(stop_all, running.children)
    if role in (Role.ALL, Role.SIMULATORS) and running.settings.mode is Mode.SANDBOX:
        add_simulators(running, role, stack)
    if role in (Role.ALL, Role.API):
        add_api(running, stack)
    if role in (Role.ALL, Role.WORKER):
        running.children.append(Child("worker", python("api.worker"), {}))
    if role is Role.ALL and running.settings.mode is Mode.SANDBOX:
        running.sandbox_key = sandbox_key(running)
    for child in running.children:
        child.environment = environment(running) | dict(child.environment)
        child.start()
    wait_until_ready(running)
    write_runtime(running)
    running.announce(f"Ready: {', '.join(f'{name} {url}' for name, url in running.urls.items()) or role}")
    while True:
        running.pause()
        look_after(running)


def add_simulators(running: Installation, role: Role, stack: ExitStack) -> None:
    """The outside world on a port of its own, with a file in which it remembers."""
    listener = listen(running, running.settings.port if role is Role.SIMULATORS else 0, stack)
    running.urls["simulators"] = url_of(listener)
    folder = running.server.place.path if running.server is not None else running.scratch
    own = {LISTEN_FD: str(listener.fileno()), "KOPEYKA_SIMULATORS_STATE": str(folder / "simulators.jsonl")}
    running.children.append(Child("simulators", python("api.simulators"), own, [listener.fileno()]))


def add_api(running: Installation, stack: ExitStack) -> None:
    """As many api processes as the settings say, on one socket that outlives each of them."""
    settings = running.settings
    listener = listen(running, settings.port, stack)
    running.urls["api"] = settings.public_url or url_of(listener)
    metrics = running.scratch / "metrics"
    metrics.mkdir()
    own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    running.children += [
        Child(f"api-{number}", python("api.serve", "api.app:create_app"), own, [listener.fileno()])
        for number in range(1, settings.workers + 1)
    ]


def listen(running: Installation, port: int, stack: ExitStack) -> socket.socket:
    """A listening socket that stays open until the stop, whoever dies meanwhile."""
    host = running.settings.host
    try:
        return stack.enter_context(listening_socket(host, port))
    except OSError as error:
        raise StartRefused(f"cannot listen on {host}:{port} ({error.strerror}): set KOPEYKA_PORT") from error


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
        "KOPEYKA_NSPK_URL": settings.nspk_url or simulators,
        "KOPEYKA_BANK_URL": settings.bank_url or simulators,
        "KOPEYKA_EVENTS_URL": settings.events_url or (f"{simulators}/sink/events" if simulators else ""),
    }
    withheld = {"KOPEYKA_MIGRATOR_DATABASE_URL", "KOPEYKA_VAULT_DATABASE_URL", LISTEN_FD}
    return {name: value for name, value in os.environ.items() if name not in withheld} | told


def wait_until_ready(running: Installation) -> None:
    """Wait until every child runs and every server answers.

    Raises: StartRefused if one keeps dying or time is up; Stopped.
    """
    waiting = dict(running.urls)
    if running.settings.public_url and "api" in waiting:
        del waiting["api"]  # the public address may lead through a balancer that is not there yet
    paths = {"api": "/readyz", "simulators": "/simulator/summary"}
    deadline = time.monotonic() + READY_SECONDS_MAX
    while waiting or any(child.pid is None for child in running.children):
        look_after(running)
        waiting = {name: url for name, url in waiting.items() if not answers(url + paths[name])}
        for child in running.children:
            if child.deaths >= READY_DEATHS_MAX or time.monotonic() > deadline:
                raise StartRefused(f"{child.name} does not become ready: see its last lines above")
        running.pause()


def answers(url: str) -> bool:
    """Whether a server of ours says that it is ready."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def look_after(running: Installation) -> None:
    """Start again whoever has died, PostgreSQL first."""
    changed = False
    if running.server is not None and running.server.pid is None:
        running.announce("PostgreSQL died; starting it again")
        restart_postgres(running, running.server)
        changed = True
    for child in running.children:
        changed = child.look_after(running.announce) or changed
    if changed and running.runtime_files and running.runtime_files[0].exists():
        write_runtime(running)


def restart_postgres(running: Installation, server: Server) -> None:
    """Start PostgreSQL again; it recovers by itself. Tries for as long as nobody asks to stop."""
    while True:
        try:
            return server.start()
        except StartRefused as refusal:
            running.announce(f"{refusal}; again in {RESTART_SECONDS_MAX:.0f} s")
        until = time.monotonic() + RESTART_SECONDS_MAX
        while time.monotonic() < until:
            running.pause()


def sandbox_key(running: Installation) -> str:
    """An API key with every scope: the one of the last run, or a new one."""
    folder = running.server.place.path if running.server is not None else None
    return asyncio.run(all_powerful_key(running.databases.app, folder))


def write_runtime(running: Installation) -> None:
    """Say where everything is. The file has keys in it, so only we may read it."""
    pids: dict[str, list[int]] = {"supervisor": [os.getpid()]}
    for child in running.children:
        if child.pid is not None:
            pids.setdefault(child.name.split("-")[0], []).append(child.pid)
    told: Mapping[str, object] = {
        "urls": running.urls,
        "ports": {name: int(url.rsplit(":", 1)[1]) for name, url in running.urls.items() if url.count(":") > 1},
        "pids": pids,
        "postgres_pid": running.server.pid if running.server else None,
        "data_dir": str(running.server.place.path) if running.server else None,
        "database_urls": asdict(running.databases),
        "sandbox_key": running.sandbox_key,
    }
    for path in running.runtime_files:
        write_private(path, json.dumps(told, indent=2))


def forget_runtime(running: Installation) -> None:
    """Take the files away: nothing is where they say any more."""
    for path in running.runtime_files:
        path.unlink(missing_ok=True)
