"""``kopeyka stores``: lists of stores from merchants' files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.routes.premises import StoreListView
from checkout.store_lists import read_store_list
from checkout.store_places import take_store_list
from checkout.telling import TillActor
from ledger.clock import machine_now
from ledger.database import Engine, transaction

app = typer.Typer(help="Merchants' stores.", no_args_is_help=True)


@app.callback()
def stores() -> None:
    """Merchants' stores."""


@app.command("import")
def import_stores(
    file: Annotated[Path, typer.Argument(help="A CSV of number, name, address, region, tills.", exists=True)],
    merchant: Annotated[str, typer.Option(help="Whose stores they are (mer_…).")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a list of stores in, whole or not at all; the same list again changes nothing."""
    listed = read_store_list(file.read_bytes())

    async def work(engine: Engine) -> StoreListView:
        by = TillActor("person:operator", "kopeyka stores import")
        async with transaction(engine) as session:
            return StoreListView.of(await take_store_list(session, merchant, listed, by=by, now=machine_now()))

    outcome = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps(outcome.model_dump()))
        return
    Console(highlight=False).print(
        f"{outcome.opened} stores opened, {outcome.changed} changed, {outcome.unchanged} as before;"
        f" {outcome.terminals_added} tills added",
        soft_wrap=True,
    )
