"""``kopeyka bench``: each figure with the baseline measured in the same run, and their ratio."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import JsonOption

app = typer.Typer(help="Measure, against a baseline of the same run.", no_args_is_help=True)

FullOption = Annotated[bool, typer.Option("--full", help="Ten million postings instead of two: takes long.")]


@app.command()
def ledger(as_json: JsonOption = False, full: FullOption = False) -> None:
    """The books against pgbench's TPC-B."""
    from bench import ledger as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json, full=full)


@app.command()
def http(as_json: JsonOption = False) -> None:
    """The door against the same SQL, and against an empty answer."""
    from bench import http as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json)


@app.command()
def sbp(as_json: JsonOption = False) -> None:
    """Links, pictures, codes, polls and banks' registers of the SBP rail."""
    from bench import sbp as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json)


@app.command()
def till(
    as_json: JsonOption = False,
    baskets: Annotated[int | None, typer.Option(min=100, help="Not all four weeks of baskets.")] = None,
) -> None:
    """Scans, checkouts with points and codes, four weeks of baskets, and a race for one promo code."""
    from bench import till as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json, baskets=baskets)


@app.command()
def vault(as_json: JsonOption = False) -> None:
    """Tokens, files of cards, rotation, the log and cryptograms of the vault."""
    from bench import vault as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json)


@app.command()
def installments(
    as_json: JsonOption = False,
    plans: Annotated[int, typer.Option(min=1_000, help="Open plans; a million take minutes.")] = 1_000_000,
) -> None:
    """The rules of plans, a night of a million plans, the arrears report and a quote."""
    from bench import installments as measured  # measuring tools are not loaded by other commands

    measured.run(as_json=as_json, plans=plans)
