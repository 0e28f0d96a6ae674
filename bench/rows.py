"""Rows of a benchmark: a figure, the baseline measured in the same run, and their ratio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing. A larger ratio is better."""

    name: str
    figure: float
    baseline: float
    ratio: float
    target: float
    unit: str
    against: str
    """What the baseline is."""


def faster(name: str, figure: float, baseline: float, target: float, unit: str, against: str) -> Row:
    """A rate against a rate: more is better."""
    return Row(name, round(figure, 1), round(baseline, 1), round(figure / baseline, 2), target, unit, against)


def smaller(name: str, figure: float, allowed: float, unit: str, against: str) -> Row:
    """A size against what is allowed: less is better, 1.0 is just within."""
    return Row(name, round(figure, 1), allowed, round(allowed / figure, 2), 1.0, unit, against)


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows as one JSON array, or as a table for people."""
    console = Console()
    if as_json:
        console.print(
            json.dumps([asdict(row) for row in rows], indent=1), markup=False, highlight=False, soft_wrap=True
        )
        return
    table = Table(box=None)
    for heading in ("name", "figure", "unit", "baseline", "ratio", "target", "against"):
        table.add_column(heading, justify="right" if heading in ("figure", "baseline", "ratio", "target") else "left")
    for row in rows:
        colour = "green" if row.ratio >= row.target else "yellow"
        table.add_row(
            row.name, f"{row.figure:,.0f}", row.unit, f"{row.baseline:,.0f}",
            f"[{colour}]{row.ratio:.2f}[/]", f"{row.target:.2f}", row.against,
        )  # fmt: skip
    console.print(table)
