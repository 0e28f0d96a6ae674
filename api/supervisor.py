"""``kopeyka up``: starts PostgreSQL and the roles, keeps them running, stops them in order.

One process looks after all: it binds the port and hands the socket to every api process, starts
again whoever dies (PostgreSQL included), and writes a file that says where everything is.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from api import data_dir, installation, migrate, roles, serve_dolyame
from api.bank_address import bank_address, bureau_address, payout_bank_address
from api.data_dir import StartRefused
from api.installation import RUNTIME_FILE, Databases
from api.messages_gateway import messages_gateway
from api.nspk_address import nspk_tls, refuse_half_a_tkassa
from api.postgres import CONNECTIONS_MAX, Server
from api.processes import RESTART_SECONDS_MAX, stop_all
from api.roles import Role
from api.running import Announce, Installation, Stopped, forget_runtime, phone_url, write_runtime
from api.sandbox import all_powerful_key, take_in_banks, take_in_operator
from api.serve_nspk import refuse_without_certificates
from api.settings import Mode, Settings
from pci.hardening import protect_memory

READY_SECONDS_MAX = 60.0
CONNECTIONS_SPARE = 20
"""For the worker, the command line and whoever looks in with psql."""
READY_DEATHS_MAX = 4
"""Whoever dies this often before all are ready will not get better."""


def up(settings: Settings, *, role: Role, path: Path | None, runtime_file: Path | None, announce: Announce) -> None:
    """Run the role until SIGTERM or Ctrl-C; then stop all of it within ten seconds.

    Raises: StartRefused, saying what to do, if something cannot start.
    """
    refuse_unfit(settings, role)
    with ExitStack() as stack:
        running = Installation(settings, announce, installation.of_settings(settings))
        stack.enter_context(stopping_signals(running))
        if role is Role.ALL and not running.databases.app:
            embed_postgres(running, path, stack)
        elif role is Role.ALL:
            migrate_named(running.databases)
        make_scratch(running, stack)
        if runtime_file is not None:
            running.runtime_files.append(runtime_file)
        try:
            run_roles(running, role, stack)
        except Stopped:
            announce("Stopping…")


def refuse_unfit(settings: Settings, role: Role) -> None:
    """Refuse what cannot work, before anything starts.

    Raises: StartRefused; NspkAddressRefused.
    """
    if role is Role.SIMULATORS and settings.mode is Mode.PRODUCTION:
        raise StartRefused("Simulators do not run with real money: unset KOPEYKA_MODE=production")
    if role in (Role.API, Role.WORKER) and not settings.database_url.get_secret_value():
        raise StartRefused(f"The role {role} needs a database: set KOPEYKA_DATABASE_URL, or run kopeyka up alone")
    if role is Role.VAULT and not settings.vault_database_url.get_secret_value():
        raise StartRefused("The role vault needs its database: set KOPEYKA_VAULT_DATABASE_URL, or run kopeyka up alone")
    if role is Role.SEALER and not settings.sequencer_database_url.get_secret_value():
        raise StartRefused("The role sealer needs KOPEYKA_SEQUENCER_DATABASE_URL and KOPEYKA_AUDIT_FOLDER")
    if role is Role.ALL and settings.mode is Mode.PRODUCTION and not settings.nspk_url:
        raise StartRefused("Production has no simulators: set KOPEYKA_NSPK_URL and KOPEYKA_BANK_URL")
    if role not in (Role.SIMULATORS, Role.VAULT, Role.SEALER):
        nspk_tls(settings)
        refuse_without_certificates(settings)
        serve_dolyame.refuse_without_certificates(settings)
        refuse_half_a_tkassa(settings)
        payout_bank_address(settings)
        bank_address(settings)
        messages_gateway(settings)
        bureau_address(settings)


def migrate_named(databases: Databases) -> None:
    """Bring servers of others up to date, where we were given a migrator's way in."""
    if databases.migrator:
        migrate.upgrade(databases.migrator)
    if databases.vault_migrator:
        migrate.upgrade(databases.vault_migrator, tree=migrate.Tree.VAULT)


@contextmanager
def stopping_signals(running: Installation) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP (unless under nohup) ask for a stop while the block runs."""

    def ask(_number: int, _frame: object) -> None:
        running.stop_asked = True

    heard = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def embed_postgres(running: Installation, path: Path | None, stack: ExitStack) -> None:
    """Take the data directory and start PostgreSQL on it.

    Raises: StartRefused, also when the settings ask for more connections than it has.
    """
    settings = running.settings
    needed = (settings.workers + 1) * (settings.pool_size + settings.group_commit_writers) + CONNECTIONS_SPARE
    if needed > CONNECTIONS_MAX:
        raise StartRefused(
            f"{needed} connections are asked for and the embedded PostgreSQL has {CONNECTIONS_MAX}: "
            "lower KOPEYKA_WORKERS or KOPEYKA_POOL_SIZE"
        )
    place = data_dir.prepare(path or settings.data_dir)
    stack.callback(data_dir.hold(place).release)
    running.server = Server(place)
    stack.callback(running.server.stop)
    running.databases = installation.start(running.server)
    running.runtime_files.append(place.path / RUNTIME_FILE)


def make_scratch(running: Installation, stack: ExitStack) -> None:
    """An empty folder for what is worth nothing after the stop, in the data directory if there is one."""
    if running.server is not None:
        running.scratch = running.server.place.path / "scratch"
        shutil.rmtree(running.scratch, ignore_errors=True)
        running.scratch.mkdir(mode=0o700)
    else:
        running.scratch = Path(tempfile.mkdtemp(prefix="kopeyka-"))
    stack.callback(shutil.rmtree, running.scratch, ignore_errors=True)


def run_roles(running: Installation, role: Role, stack: ExitStack) -> None:
    """Start the children of the role, tell when all are ready, look after them. Ends by Stopped."""
    protect_memory()  # its environment has everybody's secrets
    stack.callback(forget_runtime, running)
    stack.callback(stop_all, running.children)
    if role in (Role.ALL, Role.SIMULATORS) and running.settings.mode is Mode.SANDBOX:
        roles.add_simulators(running, role, stack)
        if role is Role.ALL and running.databases.vault and not running.vault_settings.acquirer_url:
            roles.add_acquirer(running, stack)
    if role is Role.VAULT or (role is Role.ALL and running.databases.vault):
        roles.add_vault(running, stack)
    if role in (Role.ALL, Role.API):
        roles.add_api(running, stack)
    if role in (Role.ALL, Role.WORKER):
        running.children.append(roles.worker(running))
    if role is Role.SEALER or (role is Role.ALL and (running.databases.sequencer or running.databases.vault_sequencer)):
        running.children.append(roles.sealer(running))
    if role is Role.ALL and running.settings.mode is Mode.SANDBOX:
        running.sandbox_key = sandbox_key(running)
        asyncio.run(take_in_banks(running.databases.app))
        running.dolyame = roles.dolyame_shop(running)
        asyncio.run(take_in_operator(running.databases.app))
    for child in running.children:
        child.environment = roles.environment(running, child) | dict(child.environment)
        child.start()
    wait_until_ready(running)
    write_runtime(running)
    running.announce(
        f"Ready: {', '.join(f'{name} {url}' for name, url in (running.urls | phone_url(running)).items()) or role}"
    )
    if running.sandbox_key and running.runtime_files:
        running.announce(f"The sandbox's API key is in {running.runtime_files[0]}. Ctrl-C stops everything.")
    while True:
        running.pause()
        look_after(running)


def wait_until_ready(running: Installation) -> None:
    """Wait until every child runs and every server answers.

    Raises: StartRefused if one keeps dying or time is up; Stopped.
    """
    paths = {"api": "/readyz", "simulators": "/simulator/summary", "card_form": "/livez"}
    waiting = {name: url for name, url in running.urls.items() if name in paths}
    for name, public_url in (("api", running.settings.public_url), ("card_form", running.vault_settings.public_url)):
        if public_url:
            waiting.pop(name, None)  # the public address may lead through a balancer that is not there yet
    deadline = time.monotonic() + READY_SECONDS_MAX
    while waiting or any(child.pid is None for child in running.children):
        look_after(running)
        waiting = {name: url for name, url in waiting.items() if not answers(url + paths[name])}
        for child in running.children:
            if child.deaths >= READY_DEATHS_MAX:
                raise StartRefused(f"{child.name} keeps dying: see its last lines above")
        if time.monotonic() > deadline:
            raise StartRefused(f"{', '.join(waiting) or 'a process'} is not ready: see the last lines above")
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
