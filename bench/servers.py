"""A durable throw-away PostgreSQL for benchmarks, with pgbench beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from api import bootstrap, data_dir, migrate
from api.postgres import Server, reachable_binaries

TPCB_SCALE = 50
PGBENCH_THREADS = 2


@contextmanager
def durable_server() -> Iterator[Server]:
    """A server with fsync on, the same settings as ``kopeyka up``, the books migrated; gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="kopeyka-bench-"))
    root.chmod(0o711)
    server = Server(data_dir.prepare(root / "data"))
    lock = data_dir.hold(server.place)
    try:
        server.start()
        superuser = server.url("postgres", "postgres")
        bootstrap.make_roles(superuser, data_dir.passwords(server.place))
        make_books(server, "kopeyka")
        yield server
    finally:
        server.stop()
        lock.release()
        shutil.rmtree(root, ignore_errors=True)


def make_books(server: Server, database: str) -> None:
    """Make a database and migrate the books into it."""
    bootstrap.make_database(server.url("postgres", "postgres"), database, bootstrap.BOOKS_ROLES)
    migrate.upgrade(server.url("kopeyka_migrator", database))


def make_tpcb(server: Server) -> None:
    """Make pgbench's own tables at scale 50."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE pgbench")
    _pgbench(server, "pgbench", "-i", "-q", "-s", str(TPCB_SCALE))


def tpcb_rate(server: Server, *, clients: int = 8, seconds: int = 3) -> float:
    """TPC-B transactions a second, prepared."""
    return _rate(_pgbench(server, "pgbench", *_load(clients, seconds)))


def script_rate(server: Server, script: str, *, database: str = "kopeyka", clients: int, seconds: int = 3) -> float:
    """Runs a second of one pgbench script, prepared."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        return _rate(_pgbench(server, database, *_load(clients, seconds), "-n", "-f", file.name))


def _load(clients: int, seconds: int) -> list[str]:
    return ["-M", "prepared", "-c", str(clients), "-j", str(PGBENCH_THREADS), "-T", str(seconds)]


def _pgbench(server: Server, database: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(reachable_binaries(server.place.user) / "pgbench"), *arguments, server.url("postgres", database)],
        capture_output=True, text=True, env={**os.environ, "PGOPTIONS": ""}, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"pgbench failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def _rate(report: str) -> float:
    (line,) = (line for line in report.splitlines() if line.startswith("tps"))
    return float(line.split()[2])
