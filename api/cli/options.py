"""Options that several commands share, and the way from a command to the books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from api import installation
from api.settings import Settings
from ledger.database import STATEMENT_TIMEOUT_MS, Engine, create_engine

T = TypeVar("T")

DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the embedded PostgreSQL keeps its data.", show_default=False),
]
BookOption = Annotated[str, typer.Option("--book", help="Which book.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def with_engine(
    data_dir: Path | None,
    work: Callable[[Engine], Awaitable[T]],
    *,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
) -> T:
    """Run ``work`` on the books: those the settings name, or the embedded ones, started when needed."""

    async def run(url: str) -> T:
        engine = create_engine(url, statement_timeout_ms=statement_timeout_ms)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    with installation.databases(Settings(), data_dir) as databases:
        return asyncio.run(run(databases.app))
