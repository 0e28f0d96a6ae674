"""``kopeyka up``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api import supervisor
from api.cli.options import DataDirOption
from api.roles import Role
from api.settings import Settings


def up(
    role: Annotated[Role, typer.Option(help="What to run; production runs one role a process.")] = Role.ALL,
    data_dir: DataDirOption = None,
    runtime_file: Annotated[
        Path | None, typer.Option(help="Write URLs, ports, process ids and the sandbox key here, as JSON.")
    ] = None,
) -> None:
    """Start Kopeyka and keep it running; Ctrl-C stops everything."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    supervisor.up(
        Settings(),
        role=role,
        path=data_dir,
        runtime_file=runtime_file,
        announce=lambda said: console.print(said, markup=False),
    )
