"""``kopeyka export``."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.cli.options import BookOption, DataDirOption, with_engine
from api.data_dir import StartRefused
from ledger.database import Engine
from ledger.exports import beancount, csv_table, hledger, onec_csv
from ledger.exports.reading import Period
from ledger.journal import MAIN_BOOK


class Format(StrEnum):
    """What a book may be exported as."""

    HLEDGER = "hledger"
    BEANCOUNT = "beancount"
    CSV = "csv"
    ONEC = "1c"
    PARQUET = "parquet"


WRITERS = {
    Format.HLEDGER: hledger.write,
    Format.BEANCOUNT: beancount.write,
    Format.CSV: csv_table.write,
    Format.ONEC: onec_csv.write,
}
DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], show_default=False)]


def export(
    form: Annotated[Format, typer.Argument(metavar="FORMAT", help="hledger, beancount, csv, 1c or parquet.")],
    out: Annotated[Path | None, typer.Option(help="A file; standard output when not given.")] = None,
    book: BookOption = MAIN_BOOK,
    from_on: DayOption = None,
    through_on: DayOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write the book in a form that other tools read."""
    period = Period(from_on and from_on.date(), through_on and through_on.date())
    if form is Format.PARQUET and out is None:
        raise StartRefused("Parquet is not for the screen: give --out FILE")

    async def work(engine: Engine) -> int:
        if form is Format.PARQUET and out is not None:
            return await write_parquet(engine, book, out, period)
        return await WRITERS[form](engine, book, out or sys.stdout, period)

    written = with_engine(data_dir, work)
    Console(stderr=True, highlight=False).print(f"{written} written" + (f" to {out}" if out else ""))


async def write_parquet(engine: Engine, book: str, out: Path, period: Period) -> int:
    """Parquet needs a library that is an extra."""
    try:
        from ledger.exports import parquet
    except ImportError:
        raise StartRefused("Parquet needs an extra: pip install 'kopeyka[parquet]'") from None
    return await parquet.write(engine, book, out, period)
