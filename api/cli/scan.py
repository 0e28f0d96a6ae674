"""``kopeyka scan``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from api.cli import scan_report
from api.cli.options import DataDirOption, JsonOption
from api.data_dir import default_path
from api.settings import Settings
from pci.pan_allowed import AllowedPans
from pci.pan_scanner import Finding, PanFinding, UnreadPlace, scan_path
from pci.pan_scanner_of_databases import scan_database

FOUND = 1
NOT_ALL_READ = 2


def scan(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders; archives are opened.")] = None,
    db: Annotated[
        str | None,
        typer.Option("--db", envvar="KOPEYKA_SCAN_DATABASE_URL", help="Every column of the database at this URL."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="What this installation writes outside its databases.")] = False,
    allow: Annotated[Path | None, typer.Option("--allow", help="Test numbers and token ranges that may lie.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Open a case of this installation's vault for each place with numbers.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for card numbers where none may be. Code 1: there are some. Code 2: not everything could be read."""
    if not (paths or db or logs):
        raise typer.BadParameter("say where: a PATH, --db URL or --logs")
    allowed = AllowedPans.read(allow.read_text("utf-8")) if allow else AllowedPans()
    found, unread = scan_report.PlaceTally(), 0
    for finding in findings(paths or [], db, _logs(data_dir) if logs else [], allowed):
        if isinstance(finding, PanFinding):
            found.add(finding)
        unread += isinstance(finding, UnreadPlace)
        show(finding, as_json)
    if not as_json:
        typer.echo(f"{found.total} card numbers found; {unread} places not read", err=True)
    if report and found.total:
        typer.echo(f"{scan_report.report(found, data_dir)} cases opened; see `kopeyka audit cases list`", err=True)
    raise typer.Exit(FOUND if found.total else NOT_ALL_READ if unread else 0)


def findings(paths: list[Path], db: str | None, logs: list[Path], allowed: AllowedPans) -> Iterator[Finding]:
    """Everything asked for, one place after another."""
    for path in (*paths, *logs):
        yield from scan_path(path, allowed)
    if db:
        with psycopg.connect(db, application_name="kopeyka scan") as connection:
            yield from scan_database(connection, allowed)


def show(finding: Finding, as_json: bool) -> None:
    """One line for one place: the mask, never the number."""
    if as_json:
        typer.echo(json.dumps(asdict(finding), ensure_ascii=False))
    elif isinstance(finding, PanFinding):
        typer.echo(f"{finding.place}: {finding.mask} ({finding.scheme})")
    else:
        typer.echo(f"{finding.place}: not read: {finding.reason}", err=True)


def _logs(path: Path | None) -> list[Path]:
    """What lies in the data directory beside the cluster: logs, runtime files, what simulators remember."""
    place = path or Settings().data_dir or default_path()
    if not place.is_dir():
        raise typer.BadParameter(f"there is no data directory {place}: say --data-dir")
    return sorted(entry for entry in place.iterdir() if entry.name not in ("postgresql", "run"))
