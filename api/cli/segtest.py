"""``kopeyka segtest``."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.table import Table

from api import installation
from api.cli.options import DataDirOption, JsonOption
from api.data_dir import StartRefused, default_path
from api.installation import RUNTIME_FILE, Databases
from api.segment_test import Premises, SegmentTry, TryOutcome, event_of, is_broken, run_tries, what_is_not_there
from api.settings import Mode, Settings
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

COLOURS = {TryOutcome.REFUSED: "green", TryOutcome.REACHED: "red", TryOutcome.NOT_SEPARATED: "yellow"}


def segtest(
    data_dir: DataDirOption = None,
    vault_postgres: Annotated[
        str, typer.Option("--vault-postgres", help="host:port of the vault's own PostgreSQL, if it has one.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Try to reach the vault from where the api stands; code 1 when something of it was reached.

    Refused where the vault does not answer its owner either: then every way is closed, and nothing is proved.
    """
    settings = Settings()
    is_production = settings.mode is Mode.PRODUCTION
    with installation.databases(settings, data_dir) as databases:
        premises = premises_of(databases, settings, data_dir or settings.data_dir or default_path(), vault_postgres)
        if absent := what_is_not_there(premises):
            raise StartRefused(f"Nothing would be proved: {absent}")
        tries = run_tries(premises)
        event = event_of(tries, origin=f"segtest:{os.getpid()}", now=machine_now(), is_production=is_production)
        asyncio.run(write_down(databases.app, event))
    show(tries, as_json)
    raise typer.Exit(1 if is_broken(tries, is_production=is_production) else 0)


KEEPERS = ("supervisor", "vault", "sealer")
"""Whose environment has secrets that are not the api's."""


def premises_of(databases: Databases, settings: Settings, folder: Path, vault_postgres: str = "") -> Premises:
    """What there is to try on this installation."""
    told = runtime(folder)
    name, its_own = vault_place(databases)
    return Premises(
        app_url=databases.app,
        vault_database=name,
        vault_url=settings.vault_url or told.get("urls", {}).get("vault", ""),
        vault_postgres=vault_postgres or its_own,
        folder=folder if folder.is_dir() else None,
        api_pids=tuple(told.get("pids", {}).get("api", ())),
        keeper_pids={name: told.get("pids", {}).get(name, ()) for name in KEEPERS},
        is_production=settings.mode is Mode.PRODUCTION,
    )


def vault_place(databases: Databases) -> tuple[str, str]:
    """The vault's database, and ``host:port`` of its server if that is not the books'."""
    books = conninfo_to_dict(databases.app)
    vault = conninfo_to_dict(databases.vault or databases.vault_migrator or databases.vault_sequencer)
    server, beside = ((_first(one.get("host"), "localhost"), _first(one.get("port"), "5432")) for one in (vault, books))
    is_its_own = bool(vault) and server != beside
    return str(vault.get("dbname", "kopeyka_vault")), ":".join(server) if is_its_own else ""


def _first(named: object, otherwise: str) -> str:
    """The first of the places that PostgreSQL may be asked at."""
    return str(named or "").partition(",")[0] or otherwise


def runtime(folder: Path) -> dict[str, Any]:
    """What runs on a data directory now."""
    try:
        told: dict[str, Any] = json.loads((folder / RUNTIME_FILE).read_text())
    except OSError:
        return {}
    return told


async def write_down(url: str, event: AuditEvent) -> None:
    """Put the test into the log."""
    engine = create_engine(url)
    try:
        async with transaction(engine) as session:
            await stage(session, [event])
    finally:
        await engine.dispose()


def show(tries: list[SegmentTry], as_json: bool) -> None:
    """Every way that was tried, and what came of it."""
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in tries], ensure_ascii=False))
        return
    table = Table("tried", "outcome", "said")
    for one in tries:
        table.add_row(one.way, f"[{COLOURS[one.outcome]}]{one.outcome}", one.said)
    Console().print(table)
