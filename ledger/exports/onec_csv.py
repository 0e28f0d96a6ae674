"""The book as the Дт–Кт table that accountants and 1C know: semicolons, Russian headings, decimal comma.

Every posting of ours is already one line of theirs. The first word of the content is our kind,
so no cell can begin with a sign that a spreadsheet would run as a formula.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Literal, TextIO

from ledger import ids
from ledger.clock import MOSCOW
from ledger.database import Engine
from ledger.exports import reading
from ledger.exports.csv_table import csv_line
from ledger.exports.naming import decimal_amount
from ledger.exports.reading import ExportedEntry, Period
from ledger.exports.writing import write_lines

Encoding = Literal["utf-8-sig", "cp1251"]
"""UTF-8 with a mark for spreadsheets, or Windows-1251 for old configurations of 1C."""

COLUMNS = (
    "Дата",
    "Время",
    "Номер",
    "НомерПроводки",
    "Содержание",
    "СчетДт",
    "СчетКт",
    "Сумма",
    "Валюта",
    "ДатаРегистрации",
)


async def write(
    engine: Engine,
    book: str,
    out: Path | TextIO,
    period: Period = reading.WHOLE,
    *,
    encoding: Encoding = "utf-8-sig",
) -> int:
    """Write the table; the number of its lines, the heading included. A stream brings its own encoding.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    return await write_lines(lines(engine, book, period), out, encoding=encoding)


async def lines(engine: Engine, book: str, period: Period = reading.WHOLE) -> AsyncIterator[str]:
    """The table line by line."""
    async with reading.snapshot(engine) as session:
        number = await reading.book_number(session, book)
        scales = await reading.read_scales(session)
        yield csv_line(COLUMNS, ";")
        async for entry in reading.read_entries(session, number, period):
            for row in entry_rows(entry, scales):
                yield csv_line(row, ";")


def entry_rows(entry: ExportedEntry, scales: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    """The lines of one entry, by Moscow time."""
    happened = entry.happened_at.astimezone(MOSCOW)
    recorded = entry.recorded_at.astimezone(MOSCOW)
    for posting in entry.postings:
        yield (
            f"{happened:%d.%m.%Y}",
            f"{happened:%H:%M:%S}",
            ids.show("ent", entry.id),
            posting.number,
            f"{entry.kind} {entry.reference}",
            posting.debit,
            posting.credit,
            decimal_amount(posting.amount, scales[posting.commodity], ","),
            posting.commodity,
            f"{recorded:%d.%m.%Y %H:%M:%S}",
        )
