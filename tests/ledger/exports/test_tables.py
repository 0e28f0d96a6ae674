"""The CSV, 1C and Parquet tables hold every posting of the book, to the kopeck."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from ledger import journal
from ledger.accounts import AccountTerms, open_account
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting
from ledger.errors import EntryRejected
from ledger.exports import beancount, csv_table, hledger, onec_csv, parquet, reading
from ledger.exports.reading import Period
from tests.ledger.exports.conftest import KeepBook


async def stored(engine: Engine, book: str) -> list[tuple[Any, ...]]:
    async with transaction(engine) as session:
        rows = await session.execute(
            text("""SELECT d.code, c.code, p.amount, p.commodity, p.debit_balance, p.credit_balance
                      FROM books AS b JOIN postings AS p ON p.book = b.number
                      JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
                      JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
                     WHERE b.name = :book ORDER BY p.entry_id, p.number"""),
            {"book": book},
        )
        return [tuple(row) for row in rows]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("page", [1, 7, 5_000])
async def test_the_csv_table_is_the_book_whatever_the_page(
    engine: Engine, now: datetime, keep_busy_book: KeepBook, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(reading, "PAGE_POSTINGS_MAX", page)
    await keep_busy_book(engine, "busy", 5, 25, now)
    out = io.StringIO()

    count = await csv_table.write(engine, "busy", out)

    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(rows) == count - 1
    assert [
        (
            row["debit"],
            row["credit"],
            int(row["amount"]),
            row["commodity"],
            int(row["debit_balance"]),
            int(row["credit_balance"]),
        )
        for row in rows
    ] == await stored(engine, "busy")
    assert {row["kind"] for row in rows} >= {"test.sale", "reversal"}


async def test_the_parquet_table_is_the_csv_table_with_types(
    engine: Engine, now: datetime, tmp_path: Path, keep_busy_book: KeepBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_POSTINGS_MAX", 10)
    await keep_busy_book(engine, "busy", 6, 25, now)
    out = io.StringIO()
    await csv_table.write(engine, "busy", out)

    count = await parquet.write(engine, "busy", tmp_path / "busy.parquet")

    table = pq.read_table(tmp_path / "busy.parquet")
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert table.num_rows == count == len(rows)
    assert table.column_names == list(parquet.SCHEMA.names)
    for column in ("entry_id", "reference", "kind", "debit", "credit", "commodity"):
        assert table[column].to_pylist() == [row[column] for row in rows]
    assert table["amount"].to_pylist() == [int(row["amount"]) for row in rows]
    assert table["happened_on"].to_pylist() == [date.fromisoformat(row["happened_on"]) for row in rows]
    assert names_in(tmp_path) == ["busy.parquet"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1251"])
async def test_the_1c_table_says_it_in_russian(
    engine: Engine, now: datetime, tmp_path: Path, encoding: onec_csv.Encoding
) -> None:
    async with transaction(engine) as session:
        for code in ("asset:cash:till", "income:sales:shop"):
            await open_account(session, AccountTerms(code), now=now)
        sale = Entry("=cmd|order 7", "till.sale", now, (Posting("asset:cash:till", "income:sales:shop", 149_990),))
        await journal.post(session, sale, now=now)

    await onec_csv.write(engine, "main", tmp_path / "main.csv", encoding=encoding)

    heading, row = csv.reader((tmp_path / "main.csv").read_text(encoding).splitlines(), delimiter=";")
    line = dict(zip(heading, row, strict=True))
    assert line["Дата"] == "22.11.2026"
    assert line["Время"] == "12:00:00"
    assert (line["СчетДт"], line["СчетКт"]) == ("asset:cash:till", "income:sales:shop")
    assert (line["Сумма"], line["Валюта"]) == ("1499,90", "RUB")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


async def test_the_1c_table_adds_up_to_the_turnover(engine: Engine, now: datetime, keep_busy_book: KeepBook) -> None:
    await keep_busy_book(engine, "busy", 7, 25, now)
    out = io.StringIO()

    await onec_csv.write(engine, "busy", out)

    rows = list(csv.DictReader(io.StringIO(out.getvalue()), delimiter=";"))
    roubles = sum(Decimal(row["Сумма"].replace(",", ".")) for row in rows if row["Валюта"] == "RUB")
    assert roubles * 100 == sum(row[2] for row in await stored(engine, "busy") if row[3] == "RUB")


async def test_days_are_moscows(engine: Engine, now: datetime) -> None:
    midnight = datetime.fromisoformat("2026-11-21T00:00:00+03:00")
    before = datetime.fromisoformat("2026-11-20T23:59:59.999999+03:00")
    async with transaction(engine) as session:
        for code in ("asset:cash:till", "income:sales:shop"):
            await open_account(session, AccountTerms(code), now=now)
        for reference, at in (("day 20", before), ("day 21", midnight)):
            sale = Entry(reference, "till.sale", at, (Posting("asset:cash:till", "income:sales:shop", 1),))
            await journal.post(session, sale, now=now)
    out = io.StringIO()

    await csv_table.write(engine, "main", out, Period(date(2026, 11, 21), date(2026, 11, 21)))

    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["reference"], row["happened_on"]) == ("day 21", "2026-11-21")


@pytest.mark.parametrize("export", [hledger, beancount, csv_table, onec_csv, parquet])
async def test_an_unknown_book_leaves_no_file(engine: Engine, tmp_path: Path, export: Any) -> None:
    with pytest.raises(EntryRejected) as refusal:
        await export.write(engine, "nowhere", tmp_path / "out")

    assert refusal.value.code == "ledger.unknown_book"
    assert names_in(tmp_path) == []
