"""``kopeyka plans policies``: what plans are decided by, version by version."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.data_dir import StartRefused
from api.routes.installment_policies import DecisionPolicyView
from installments import decision_policies
from ledger.clock import Clock, read_offset
from ledger.database import Engine, Session, transaction
from ledger.money import Kopecks, kopecks_of, roubles

app = typer.Typer(help="What plans are decided by.", no_args_is_help=True)
WHO = {"actor": "operator:cli", "origin": "kopeyka plans policies"}
T = TypeVar("T")


@app.command("list")
def list_policies(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """All versions, oldest first."""

    async def work(session: Session, _now: datetime) -> list[dict[str, Any]]:
        return [_told(policy) for policy in await decision_policies.list_policies(session)]

    found = _in_books(data_dir, work)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = Table("version", "effective on", "name", "scoring", "first plan max, RUB", box=None)
    for one in found:
        first = roubles(one["first_plan_max_kopecks"])
        table.add_row(str(one["version"]), one["effective_on"], one["name"], one["scoring"], first)
    Console(highlight=False).print(table)


@app.command("show")
def show_policy(version: int, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """One version, as decisions name it."""

    async def work(session: Session, _now: datetime) -> dict[str, Any]:
        return _told(await decision_policies.load_policy(session, version))

    found = _in_books(data_dir, work)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        shown = roubles(value) if name.endswith("_kopecks") else value
        typer.echo(f"{name.removesuffix('_kopecks').replace('_', ' ')}: {shown}")


@app.command("publish")
def publish_policy(
    day: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first Moscow day.")],
    name: Annotated[str | None, typer.Option(help="As the last version, if none.")] = None,
    scoring: Annotated[str | None, typer.Option(help="As the last version, if none.")] = None,
    age: Annotated[int | None, typer.Option("--age", min=18, max=120, help="Years at least.")] = None,
    freeze_overdue: Annotated[int | None, typer.Option(min=1, max=365, help="Days past due that freeze.")] = None,
    freeze_after: Annotated[int | None, typer.Option(min=0, max=3_650, help="Days frozen after arrears.")] = None,
    plans: Annotated[int | None, typer.Option(min=1, max=100, help="Open plans at most.")] = None,
    first_plan: Annotated[str | None, typer.Option(help="A first plan at most, in roubles: 50000.00")] = None,
    share: Annotated[int | None, typer.Option(min=0, max=10_000, help="Of the limit after arrears, 0.01 %.")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Decide by a next version from a day on; what is not said stays as in the last one."""
    said = {
        "name": name, "scoring": scoring, "age_min": age, "freeze_days_overdue": freeze_overdue,
        "freeze_days_after": freeze_after, "plans_max": plans, "first_plan_max": _kopecks(first_plan),
        "share_after_arrears_basis_points": share,
    }  # fmt: skip
    changes: dict[str, Any] = {field: value for field, value in said.items() if value is not None}

    async def work(session: Session, now: datetime) -> str:
        last = await decision_policies.last_policy(session)
        wanted = replace(last, effective_on=day.date(), **changes)
        made = await decision_policies.publish_policy(session, wanted, **WHO, now=now)
        return f"version {made.version} decides from {made.effective_on} on"

    typer.echo(_in_books(data_dir, work))


def _kopecks(amount: str | None) -> Kopecks | None:
    try:
        return None if amount is None else Kopecks(kopecks_of(amount))
    except (ValueError, ArithmeticError):
        raise StartRefused("--first-plan is roubles, such as 50000.00") from None


def _told(policy: decision_policies.DecisionPolicy) -> dict[str, Any]:
    return DecisionPolicyView.of(policy).model_dump(mode="json")


def _in_books(data_dir: Path | None, work: Callable[[Session, datetime], Awaitable[T]]) -> T:
    async def run(engine: Engine) -> T:
        async with transaction(engine) as session:
            return await work(session, Clock(await read_offset(session)).now())

    return with_engine(data_dir, run)
