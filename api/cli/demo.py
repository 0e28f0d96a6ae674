"""``kopeyka demo``."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from api.cli.options import JsonOption
from api.demo import plans
from api.demo.day import Plan, run
from api.demo.errors import DemoFailed
from api.demo.plan_purchases import PlanRun
from api.demo.screen import Screen

T = TypeVar("T")
ORDERS_USUAL = 5_000
"""Of the first quarter's 31,798 rows: the demo is for somebody who waits, and the tills come after them."""


def demo(
    is_all: Annotated[bool, typer.Option("--all", help="All 69,659 purchases, not only the usual 5,000.")] = False,
    orders: Annotated[
        int | None,
        typer.Option(min=1, help="Only the first so many purchases (of the quarter: 31,798).", show_default=False),
    ] = None,
    skipped: Annotated[int, typer.Option("--skip", min=0, help="Begin after the first so many purchases.")] = 0,
    baskets: Annotated[
        int | None, typer.Option(min=0, help="Only the first so many till baskets.", show_default=False)
    ] = None,
    is_chaos: Annotated[
        bool,
        typer.Option("--chaos", help="Kill api, worker and (without --plans) PostgreSQL meanwhile, several times."),
    ] = False,
    is_plans: Annotated[
        bool, typer.Option("--plans", help="Months of plans in four parts instead, on the movable clock.")
    ] = False,
    days: Annotated[int | None, typer.Option(min=35, help="With --plans: how many days.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other trouble.")] = 1,
    out: Annotated[
        Path, typer.Option(help="Where demo-report.html and demo-journal.hledger go.", file_okay=False)
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Play real purchases from the QR code to balanced books; code 1 when a total does not fit the file."""
    out.mkdir(parents=True, exist_ok=True)
    screen = Screen()
    if is_plans:
        play_plans(
            plans.run_of(is_all=is_all, orders=orders, days=days, seed=seed, is_chaos=is_chaos),
            out,
            screen,
            as_json=as_json,
        )
        return
    orders = ORDERS_USUAL if orders is None and not is_all else orders
    outcome = uvloop.run(interruptible(run(Plan(is_all, orders, is_chaos, seed, baskets, skipped, out), screen)))
    screen.summary(outcome)
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), ensure_ascii=False))
    if not outcome.fits:
        raise DemoFailed(outcome.complaint)


def play_plans(wanted: PlanRun, out: Path, screen: Screen, *, as_json: bool) -> None:
    """Months of plans; code 1 at the first kopeck between plans and books."""
    outcome = uvloop.run(interruptible(plans.run(wanted, out, screen)))
    plans.show(outcome, screen, out)
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), ensure_ascii=False))
    if not outcome.fits:
        raise DemoFailed(outcome.complaint)


async def interruptible(playing: Coroutine[Any, Any, T]) -> T:
    """The run; SIGTERM stops it as Ctrl-C does, with everything it started."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        raise DemoFailed("the demo was stopped") from None
