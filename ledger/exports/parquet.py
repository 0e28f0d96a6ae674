"""The book as a Parquet file for analytics; needs the extra ``kopeyka[parquet]``.

Same columns as the CSV table, with types. Rows leave in groups, so memory stays flat.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ledger import ids
from ledger.database import Engine
from ledger.exports import reading
from ledger.exports.reading import ExportedEntry, Period

ROW_GROUP_POSTINGS_MAX = 20_000
"""Postings held in memory at once: about thirty megabytes."""

SCHEMA = pa.schema(
    [
        pa.field("entry_id", pa.string(), nullable=False),
        pa.field("number", pa.int16(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("happened_on", pa.date32(), nullable=False),
        pa.field("happened_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("debit", pa.string(), nullable=False),
        pa.field("credit", pa.string(), nullable=False),
        pa.field("commodity", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("amount", pa.int64(), nullable=False),
        pa.field("debit_version", pa.int64(), nullable=False),
        pa.field("debit_balance", pa.int64(), nullable=False),
        pa.field("credit_version", pa.int64(), nullable=False),
        pa.field("credit_balance", pa.int64(), nullable=False),
        pa.field("metadata", pa.string()),
    ]
)


async def write(engine: Engine, book: str, out: Path, period: Period = reading.WHOLE) -> int:
    """Write the file; the number of postings in it. It appears under its name when complete.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    unfinished = out.with_name(f"{out.name}.part")
    count = 0
    try:
        async with reading.snapshot(engine) as session:
            number = await reading.book_number(session, book)
            with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
                rows: list[dict[str, object]] = []
                async for entry in reading.read_entries(session, number, period):
                    rows += entry_rows(entry)
                    if len(rows) >= ROW_GROUP_POSTINGS_MAX:
                        count += _flush(writer, rows)
                count += _flush(writer, rows)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def entry_rows(entry: ExportedEntry) -> list[dict[str, object]]:
    """The rows of one entry; each repeats what belongs to the entry as a whole."""
    head = {
        "entry_id": ids.show("ent", entry.id),
        "reference": entry.reference,
        "kind": entry.kind,
        "happened_on": entry.happened_on,
        "happened_at": entry.happened_at,
        "recorded_at": entry.recorded_at,
        "metadata": json.dumps(entry.metadata, ensure_ascii=False) if entry.metadata else None,
    }
    return [
        head
        | {
            "number": posting.number,
            "debit": posting.debit,
            "credit": posting.credit,
            "commodity": posting.commodity,
            "amount": posting.amount,
            "debit_version": posting.debit_version,
            "debit_balance": posting.debit_balance,
            "credit_version": posting.credit_version,
            "credit_balance": posting.credit_balance,
        }
        for posting in entry.postings
    ]


def _flush(writer: pq.ParquetWriter, rows: list[dict[str, object]]) -> int:
    count = len(rows)
    if rows:
        writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        rows.clear()
    return count
