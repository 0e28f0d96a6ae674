"""The book as a CSV table, one line a posting, for machines: amounts are whole smallest units."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ledger import ids
from ledger.database import Engine
from ledger.exports import reading
from ledger.exports.reading import ExportedEntry, Period
from ledger.exports.writing import write_lines

COLUMNS = (
    "entry_id",
    "number",
    "reference",
    "kind",
    "happened_on",
    "happened_at",
    "recorded_at",
    "debit",
    "credit",
    "commodity",
    "amount",
    "debit_version",
    "debit_balance",
    "credit_version",
    "credit_balance",
    "metadata",
)


async def write(engine: Engine, book: str, out: Path | TextIO, period: Period = reading.WHOLE) -> int:
    """Write the table; the number of its lines, the heading included.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    return await write_lines(lines(engine, book, period), out)


async def lines(engine: Engine, book: str, period: Period = reading.WHOLE) -> AsyncIterator[str]:
    """The table line by line."""
    async with reading.snapshot(engine) as session:
        number = await reading.book_number(session, book)
        yield csv_line(COLUMNS)
        async for entry in reading.read_entries(session, number, period):
            for row in entry_rows(entry):
                yield csv_line(row)


def entry_rows(entry: ExportedEntry) -> Iterator[tuple[object, ...]]:
    """The lines of one entry; each repeats what belongs to the entry as a whole."""
    head = (ids.show("ent", entry.id), entry.reference, entry.kind)
    metadata = json.dumps(entry.metadata, ensure_ascii=False, separators=(",", ":")) if entry.metadata else ""
    for posting in entry.postings:
        yield (
            head[0],
            posting.number,
            *head[1:],
            entry.happened_on,
            entry.happened_at.isoformat(),
            entry.recorded_at.isoformat(),
            posting.debit,
            posting.credit,
            posting.commodity,
            posting.amount,
            posting.debit_version,
            posting.debit_balance,
            posting.credit_version,
            posting.credit_balance,
            metadata,
        )


def csv_line(values: Sequence[object], delimiter: str = ",") -> str:
    """One line, quoted where it must be, ending in CR LF. Source: RFC 4180."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter).writerow(values)
    return line.getvalue()
