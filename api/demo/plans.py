"""``kopeyka demo --plans``: an installation of its own, months of plans, the report."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from api.demo import plan_report
from api.demo.chaos import VICTIMS_OF_PLANS, Killer, first, killing
from api.demo.errors import DemoFailed
from api.demo.plan_days import begin
from api.demo.plan_outcome import PlanOutcome, outcome_of
from api.demo.plan_purchases import PlanRun, read_wishes
from api.demo.plan_world import plan_world
from api.demo.screen import Screen
from ledger.clock import monotonic

FEW = PlanRun(count=200, days=130, seed=1)
ALL_DAYS = 640
"""The file has eighteen months of purchases; the last plans of it are repaid or late by then."""


def run_of(*, is_all: bool, orders: int | None, days: int | None, seed: int, is_chaos: bool = False) -> PlanRun:
    """What the command line asks for."""
    usual = ALL_DAYS if is_all else FEW.days
    count = 0 if is_all and orders is None else orders or FEW.count
    return PlanRun(count, days or usual, seed, is_chaos)


async def run(run: PlanRun, out: Path, screen: Screen) -> PlanOutcome:
    """Play the months from the start of the processes to their stop, and write the report.

    Raises: DemoFailed at the first kopeck between plans and books.
    """
    begun, wishes = monotonic(), read_wishes(run)
    if not wishes:
        raise DemoFailed("there are no purchases to make: give --orders a number from 1")
    screen.say(f"{len(wishes):,} CDNOW purchases in four parts, {run.days} days. Starting everything…")
    async with plan_world(run.seed) as world:
        await world.open()
        months = begin(world, wishes, run.days)
        killer = Killer(world.premises, lambda: months.day / run.days, run.seed, VICTIMS_OF_PLANS)
        try:
            async with (
                killing(killer, is_on=run.is_chaos),
                screen.progress(run.days, lambda: months.day, months.note, what="days"),
            ):
                await months.play()
        except* DemoFailed as failed:
            raise first(failed) from None
        outcome = await outcome_of(months, killer.kills, monotonic() - begun)
    (out / plan_report.REPORT).write_text(plan_report.render(outcome), encoding="utf-8")
    return outcome


def show(outcome: PlanOutcome, screen: Screen, out: Path) -> None:
    """What came out, on the terminal."""
    figures = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in outcome.lines():
        figures.add_row(name, value)
    screen.console.print(figures)
    screen.say(f"The report: {out / plan_report.REPORT}")
