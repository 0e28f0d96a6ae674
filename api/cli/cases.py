"""``kopeyka audit cases``: what reviews of the log and findings want a person to look into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DataDirOption, JsonOption
from api.cli.vault_database import command_origin, in_vault
from ledger.clock import machine_now
from pci.database import Session
from pci.evidence.cases import Case, close_case, list_cases

app = typer.Typer(help="What a person has to look into.", no_args_is_help=True)

NEEDED_FOR = "cases are the vault's"


@app.command("list")
def show(
    with_closed: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cases that are open, the oldest first."""

    async def work(session: Session) -> Sequence[Case]:
        return await list_cases(session, with_closed=with_closed)

    cases = in_vault(data_dir, work, needed_for=NEEDED_FOR)
    if as_json:
        typer.echo(json.dumps([asdict(case) for case in cases], default=str, ensure_ascii=False))
        return
    table = Table("case", "day", "rule", "about", "events", "closed by", "note")
    for case in cases:
        shown = (case.id, case.day, case.rule, case.about, case.facts.get("events", ""), case.closed_by, case.note)
        table.add_row(*("" if value is None else str(value) for value in shown))
    Console().print(table)


@app.command("close")
def close(
    case: Annotated[int, typer.Argument(help="Its number, as `list` shows it.")],
    person: Annotated[str, typer.Option("--person", help="The login of whoever looked into it.")],
    note: Annotated[str, typer.Option("--note", help="What they found.")],
    data_dir: DataDirOption = None,
) -> None:
    """Close a case with what was found; nobody closes one about themselves."""

    async def work(session: Session) -> Case:
        return await close_case(session, case, login=person, note=note, origin=command_origin(), now=machine_now())

    closed = in_vault(data_dir, work, needed_for=NEEDED_FOR)
    typer.echo(f"case {closed.id} ({closed.rule}, {closed.about}) is closed by {closed.closed_by}")
