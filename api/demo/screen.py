"""What a person at a terminal sees while the demo runs, and at its end. Everything goes to standard error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.demo.outcome import Outcome, shown
from ledger.clock import monotonic

REFRESH_SECONDS = 0.1
PLAIN_LINE_SECONDS = 5.0
"""Without a terminal, how often a line says how far we are."""


def _to_stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=False)


@dataclass(slots=True)
class Screen:
    """A terminal, or a log that gets plain lines."""

    console: Console = field(default_factory=_to_stderr)

    def say(self, what: str) -> None:
        """One line."""
        self.console.print(what, markup=False)

    @asynccontextmanager
    async def progress(
        self, total: int, done: Callable[[], int], note: Callable[[], str], *, what: str = "purchases"
    ) -> AsyncIterator[None]:
        """Show how far ``done`` is while the block runs."""
        show = self._bar if self.console.is_terminal else self._lines
        showing = asyncio.create_task(show(total, done, note, what))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        self.say(f"{done():,} of {total:,} {what}: {note()}")

    async def _bar(self, total: int, done: Callable[[], int], note: Callable[[], str], what: str) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True, auto_refresh=False) as progress:
            task = progress.add_task(what.capitalize(), total=total, note="")
            while True:
                progress.update(task, completed=done(), note=note(), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

    async def _lines(self, total: int, done: Callable[[], int], note: Callable[[], str], what: str) -> None:
        said_at = monotonic()
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            if monotonic() - said_at >= PLAIN_LINE_SECONDS:
                said_at = monotonic()
                self.say(f"{done():,} of {total:,} {what}: {note()}")

    def summary(self, outcome: Outcome) -> None:
        """What came out, and every comparison."""
        figures = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in outcome.lines():
            figures.add_row(name, value)
        self.console.print(figures)
        checks = Table("compared", "expected", "found", "", box=None, padding=(0, 2, 0, 0))
        for check in outcome.checks:
            mark = "[green]✓" if check.holds else "[red]✗"
            checks.add_row(check.what, shown(check.expected, check.is_money), shown(check.found, check.is_money), mark)
        self.console.print(checks)
        story = Table("a card in the vault", "", box=None, padding=(0, 2, 0, 0))
        for what, seen in outcome.vault:
            story.add_row(what, seen)
        self.console.print(story)
        self.console.print("[green]Everything fits, to the kopeck." if outcome.fits else f"[red]{outcome.complaint}")
