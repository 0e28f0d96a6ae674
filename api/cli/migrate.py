"""``kopeyka migrate``."""

from __future__ import annotations

from typing import Annotated

import typer

from api import installation
from api import migrate as migrations
from api.cli.options import DataDirOption
from api.data_dir import StartRefused
from api.settings import Settings


def migrate(
    data_dir: DataDirOption = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare the database with the code.")] = False,
) -> None:
    """Bring the database up to this release, or say how it differs."""
    with installation.databases(Settings(), data_dir) as databases:
        if not databases.migrator:
            raise StartRefused("Set KOPEYKA_MIGRATOR_DATABASE_URL to the role kopeyka_migrator.")
        if not check:
            migrations.upgrade(databases.migrator)
            typer.echo("The database is up to date.")
        elif difference := migrations.difference(databases.migrator):
            typer.echo(difference)
            raise typer.Exit(1)
        else:
            typer.echo("The database is what the code expects.")
