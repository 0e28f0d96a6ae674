"""``kopeyka keys``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api import callers
from api.callers import SCOPES, ApiKey, KeyMode
from api.cli.options import DataDirOption, JsonOption, with_engine
from api.settings import Mode, Settings
from checkout.repository import load_merchant
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from pci.secret import Secret

OVERLAP_HOURS_MAX = 30 * 24
"""Long enough for every till to be changed, short enough for a leaked key to end."""

app = typer.Typer(help="API keys: who may call, and what for.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, for people.")],
    scope: Annotated[list[str], typer.Option(help="One or more of: " + ", ".join(SCOPES))],
    merchant: Annotated[str | None, typer.Option(help="Bind the key to one merchant (mer_…).")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once: only its hash is kept. Refused for a merchant that is not there."""
    mode: KeyMode = "live" if Settings().mode is Mode.PRODUCTION else "test"

    async def work(engine: Engine) -> tuple[ApiKey, Secret]:
        async with transaction(engine) as session:
            if merchant is not None:
                await load_merchant(session, merchant)
            return await callers.create_key(
                session, name=name, scopes=scope, mode=mode, now=machine_now(), merchant_id=merchant
            )

    show_once(*with_engine(data_dir, work), as_json=as_json)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="The key's id (key_…).")],
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=OVERLAP_HOURS_MAX, help="How long the old key works on.")
    ] = 24,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key with the same rights and let the old one end. The new one is shown once."""

    async def work(engine: Engine) -> tuple[ApiKey, Secret]:
        async with transaction(engine) as session:
            overlap = timedelta(hours=overlap_hours)
            return await callers.rotate_key(session, key_id, now=machine_now(), overlap=overlap)

    show_once(*with_engine(data_dir, work), as_json=as_json)


def show_once(key: ApiKey, secret: Secret, *, as_json: bool) -> None:
    """Show a new key to whoever made it."""
    if as_json:
        typer.echo(json.dumps({"id": key.id, "key": secret.expose(), "scopes": key.scopes}))
    else:
        typer.echo(f"{key.id}\n{secret.expose()}\nKeep it: it cannot be shown again.")


@app.command("list")
def list_keys(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Every key ever made, the latest first."""

    async def work(engine: Engine) -> list[ApiKey]:
        async with transaction(engine) as session:
            return await callers.list_keys(session)

    keys = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps([{"id": key.id, "name": key.name, "status": status(key)} for key in keys]))
        return
    table = Table("id", "name", "begins", "scopes", "merchant", "status")
    for key in keys:
        table.add_row(key.id, key.name, key.prefix, " ".join(key.scopes), key.merchant_id or "", status(key))
    Console().print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id (key_…).")], data_dir: DataDirOption = None
) -> None:
    """End a key. Running processes notice within seconds."""

    async def work(engine: Engine) -> ApiKey:
        async with transaction(engine) as session:
            return await callers.revoke_key(session, key_id, now=machine_now())

    typer.echo(f"{with_engine(data_dir, work).id} is revoked.")


def status(key: ApiKey) -> str:
    """Whether the key works today."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= machine_now():
        return "expired"
    return "works"
