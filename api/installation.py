"""The databases of this installation: an embedded server's, or those that the settings name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api import bootstrap, data_dir, migrate
from api.data_dir import DataDir, StartRefused
from api.postgres import Server
from api.settings import Settings

RUNTIME_FILE = "runtime.json"
"""In the data directory while ``kopeyka up`` runs on it."""


@dataclass(frozen=True, slots=True)
class Databases:
    """Ways into the databases, by role. Empty where this process was given none."""

    app: str
    migrator: str = ""
    sequencer: str = ""
    vault: str = ""
    vault_migrator: str = ""
    vault_sequencer: str = ""


def of_settings(settings: Settings) -> Databases:
    """The servers of others that the settings name.

    Raises: StartRefused if an address is not PostgreSQL's.
    """
    named = {
        "KOPEYKA_DATABASE_URL": settings.database_url.get_secret_value(),
        "KOPEYKA_MIGRATOR_DATABASE_URL": settings.migrator_database_url.get_secret_value(),
        "KOPEYKA_SEQUENCER_DATABASE_URL": settings.sequencer_database_url.get_secret_value(),
        "KOPEYKA_VAULT_DATABASE_URL": settings.vault_database_url.get_secret_value(),
        "KOPEYKA_VAULT_MIGRATOR_DATABASE_URL": settings.vault_migrator_database_url.get_secret_value(),
        "KOPEYKA_VAULT_SEQUENCER_DATABASE_URL": settings.vault_sequencer_database_url.get_secret_value(),
    }
    for variable, url in named.items():
        if url and not url.startswith("postgresql://"):
            raise StartRefused(f"{variable} must look like postgresql://role:password@host/database")
    return Databases(*named.values())


def of_server(server: Server) -> Databases:
    """The databases of an embedded server."""
    return Databases(
        app=server.url("kopeyka_app", "kopeyka"),
        migrator=server.url("kopeyka_migrator", "kopeyka"),
        sequencer=server.url("kopeyka_sequencer", "kopeyka"),
        vault=server.url("kopeyka_vault", "kopeyka_vault"),
        vault_migrator=server.url("kopeyka_migrator", "kopeyka_vault"),
        vault_sequencer=server.url("kopeyka_vault_sequencer", "kopeyka_vault"),
    )


def start(server: Server) -> Databases:
    """Start an embedded server and make everything in it that is missing."""
    server.start()
    bootstrap.bootstrap(server.url("postgres", "postgres"), data_dir.passwords(server.place))
    databases = of_server(server)
    migrate.upgrade(databases.migrator)
    migrate.upgrade(databases.vault_migrator, tree=migrate.Tree.VAULT)
    return databases


@contextmanager
def databases(settings: Settings, path: Path | None = None) -> Iterator[Databases]:
    """The databases for one command: named by the settings, running already, or started for it.

    Raises: StartRefused if they cannot be had.
    """
    if settings.database_url.get_secret_value() or settings.migrator_database_url.get_secret_value():
        yield of_settings(settings)
        return
    place = data_dir.prepare(path or settings.data_dir)
    try:
        lock = data_dir.hold(place)
    except StartRefused:
        yield of_runtime_file(place)
        return
    server = Server(place)
    try:
        yield start(server)
    finally:
        server.stop()
        lock.release()


def of_runtime_file(place: DataDir) -> Databases:
    """The databases of the Kopeyka that runs on this data directory.

    Raises: StartRefused if it is not ready.
    """
    try:
        told = json.loads((place.path / RUNTIME_FILE).read_text())
    except FileNotFoundError:
        raise StartRefused(f"Kopeyka on {place.path} is starting or stopping: try again") from None
    return Databases(**told["database_urls"])
