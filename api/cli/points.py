"""``kopeyka points``: what programmes have promised, and a rule tried on past baskets."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DataDirOption, JsonOption, with_engine
from checkout import points_programmes, points_rows
from checkout.errors import PointsProgrammeNotFound
from checkout.points_simulation import Simulation, simulate_on_past
from ledger.clock import Clock, moscow_day, read_offset
from ledger.database import Engine, transaction
from ledger.money import BASIS_POINTS, roubles

app = typer.Typer(help="Points: programmes, and what a rule would have done.", no_args_is_help=True)

STATEMENT_SECONDS_MAX = 60
ShareOption = Annotated[int | None, typer.Option(min=0, max=BASIS_POINTS, help="Basis points; today's if none.")]


@app.command()
def programmes(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """All programmes, with the points that are out and their worth."""

    async def work(engine: Engine) -> list[dict[str, Any]]:
        async with transaction(engine) as session:
            return [
                {"code": each.code, "merchant_id": each.merchant_id, "name": each.name}
                | {"point_kopecks": each.point_kopecks}
                | asdict(await points_programmes.liability_of(session, each))
                for each in await points_rows.list_programmes(session, merchant_id=None)
            ]

    _print(with_engine(data_dir, work), as_json)


@app.command()
def simulate(
    programme: Annotated[str, typer.Argument(help="The programme's code.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first Moscow day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last Moscow day.")],
    earn: ShareOption = None,
    line: ShareOption = None,
    basket: ShareOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try today's rule with other shares on past baskets. Nothing is written."""
    asked = {"earn_basis_points": earn, "line_basis_points": line, "basket_basis_points": basket}
    change: dict[str, Any] = {name: share for name, share in asked.items() if share is not None}

    async def work(engine: Engine) -> Simulation:
        async with transaction(engine) as session:
            today = moscow_day(Clock(await read_offset(session)).now())
            found = await points_rows.rules_on(session, [programme], today)
            if programme not in found:
                raise PointsProgrammeNotFound(programme=programme)
            of, rule = found[programme]
            return await simulate_on_past(session, of, replace(rule, **change), first.date(), last.date())

    tried = with_engine(data_dir, work, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1_000)
    _print([{"on": on.isoformat()} | asdict(day) for on, day in tried.days.items()], as_json)
    if not as_json:
        whole = "" if tried.is_whole else " More baskets than one simulation reads."
        Console().print(f"The promise would change by {roubles(tried.liability_change_kopecks)} roubles.{whole}")


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    console = Console()
    if as_json:
        console.print(json.dumps(rows, ensure_ascii=False), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(*(rows[0] if rows else ["nothing"]), box=None)
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
