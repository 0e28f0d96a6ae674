"""Reading a book for an export: one snapshot, pages by key, constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from ledger.clock import MOSCOW, moscow_day
from ledger.database import Engine, Session, text
from ledger.errors import EntryRejected

PAGE_POSTINGS_MAX = 5_000
"""Postings read in one statement: a few milliseconds, about two megabytes."""
STATEMENT_TIMEOUT_SECONDS_MAX = 120
"""Summing the days of a very large book takes longer than a request may."""
READER_PAUSE_SECONDS_MAX = 120
"""How long whoever takes the export may stop between two pages before the snapshot is given up."""
_FIRST_KEY = (UUID(int=0), 0)


@dataclass(frozen=True, slots=True)
class Period:
    """The Moscow days exported, both ends included; an open end is the end of the book."""

    from_on: date | None = None
    through_on: date | None = None

    @property
    def starts_at(self) -> datetime | None:
        """The first instant of the period."""
        return None if self.from_on is None else _midnight(self.from_on)

    @property
    def ends_at(self) -> datetime | None:
        """The first instant after the period."""
        return None if self.through_on is None else _midnight(self.through_on + timedelta(days=1))


WHOLE = Period()
"""From the first entry to the last."""


@dataclass(frozen=True, slots=True)
class ExportedPosting:
    """A posting as the books keep it, with the codes of its accounts."""

    number: int
    debit: str
    credit: str
    amount: int
    commodity: str
    debit_version: int
    debit_balance: int
    credit_version: int
    credit_balance: int


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """An entry as the books keep it."""

    id: UUID
    reference: str
    kind: str
    happened_at: datetime
    recorded_at: datetime
    metadata: dict[str, Any]
    postings: tuple[ExportedPosting, ...]

    @property
    def happened_on(self) -> date:
        """The accounting day: Moscow's."""
        return moscow_day(self.happened_at)


@dataclass(frozen=True, slots=True)
class ExportedAccount:
    """An account with what it held before the period and at its end, debits less credits."""

    code: str
    commodity: str
    opened_at: datetime
    opening: int
    closing: int


@asynccontextmanager
async def snapshot(engine: Engine) -> AsyncIterator[Session]:
    """A read-only session that sees one moment of the books, however long it reads."""
    async with Session(engine) as session:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        await session.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_SECONDS_MAX}s'"))
        await session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{READER_PAUSE_SECONDS_MAX}s'"))
        yield session


async def book_number(session: Session, book: str) -> int:
    """The key of a book. Raises: EntryRejected with ``ledger.unknown_book``."""
    number = await session.scalar(text("SELECT number FROM books WHERE name = :book"), {"book": book})
    if number is None:
        raise EntryRejected("ledger.unknown_book", book=book)
    return int(number)


async def read_scales(session: Session) -> dict[str, int]:
    """Decimals of every commodity: 2 for ``RUB``."""
    rows = await session.execute(text("SELECT code, scale FROM commodities ORDER BY code"))
    return {row.code: row.scale for row in rows}


async def read_entries(session: Session, book: int, period: Period) -> AsyncIterator[ExportedEntry]:
    """Every entry of the period, in the order of ids, that is nearly the order of booking."""
    head: Any = None
    postings: list[ExportedPosting] = []
    async for row in _posting_rows(session, book, period):
        if row.number == 1 and head is not None:
            yield _entry(head, postings)
            postings = []
        if row.number == 1:
            head = row
        postings.append(_posting(row))
    if head is not None:
        yield _entry(head, postings)


async def read_accounts(session: Session, book: int, period: Period) -> AsyncIterator[ExportedAccount]:
    """Every account by code with its balances at both ends of the period.

    The closing balance of a whole book is the stored counter, not a sum of what is exported,
    so that an assertion of it proves something.
    """
    await _plan(session, "on")
    rows = await session.stream(
        text("""
            SELECT a.code, a.commodity, a.opened_at,
                   coalesce(o.debits - o.credits, 0) AS opening,
                   CASE WHEN CAST(:through_on AS date) IS NULL THEN a.debits_posted - a.credits_posted
                        ELSE coalesce(c.debits - c.credits, 0) END AS closing
              FROM accounts AS a
              LEFT JOIN turnovers_through(:book, CAST(:before_on AS date)) AS o ON o.account = a.number
              LEFT JOIN turnovers_through(:book, CAST(:through_on AS date)) AS c ON c.account = a.number
             WHERE a.book = :book ORDER BY a.code
        """),
        {
            "book": book,
            "before_on": period.from_on and period.from_on - timedelta(days=1),
            "through_on": period.through_on,
        },
    )
    async for row in rows:
        yield ExportedAccount(row.code, row.commodity, row.opened_at, row.opening, row.closing)


async def _posting_rows(session: Session, book: int, period: Period) -> AsyncIterator[Any]:
    key = _FIRST_KEY
    await _plan(session, "off")
    while True:
        page = (
            await session.execute(
                _POSTINGS,
                {
                    "book": book,
                    "entry_id": key[0],
                    "number": key[1],
                    "starts_at": period.starts_at,
                    "ends_at": period.ends_at,
                    "page": PAGE_POSTINGS_MAX,
                },
            )
        ).all()
        for row in page:
            yield row
        if len(page) < PAGE_POSTINGS_MAX:
            return
        key = (page[-1].entry_id, page[-1].number)


async def _plan(session: Session, sorting: str) -> None:
    """Keep the pages of postings on their key: with statistics of before a large load, PostgreSQL would
    sort the whole book for each page (measured: five times slower)."""
    names = ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin")
    await session.execute(
        text("SELECT " + ", ".join(f"set_config('enable_{name}', '{sorting}', true)" for name in names))
    )


_POSTINGS = text("""
    SELECT p.entry_id, p.number, d.code AS debit, c.code AS credit, p.amount, p.commodity,
           p.debit_version, p.debit_balance, p.credit_version, p.credit_balance,
           head.happened_at, head.recorded_at, head.reference, head.kind, head.metadata
      FROM postings AS p
      JOIN postings AS head ON head.book = p.book AND head.entry_id = p.entry_id AND head.number = 1
      JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
      JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
     WHERE p.book = :book AND (p.entry_id, p.number) > (:entry_id, :number)
       AND (CAST(:starts_at AS timestamptz) IS NULL OR head.happened_at >= :starts_at)
       AND (CAST(:ends_at AS timestamptz) IS NULL OR head.happened_at < :ends_at)
     ORDER BY p.entry_id, p.number LIMIT :page
""")


def _entry(head: Any, postings: list[ExportedPosting]) -> ExportedEntry:
    return ExportedEntry(
        id=head.entry_id,
        reference=head.reference,
        kind=head.kind,
        happened_at=head.happened_at,
        recorded_at=head.recorded_at,
        metadata=head.metadata or {},
        postings=tuple(postings),
    )


def _posting(row: Any) -> ExportedPosting:
    return ExportedPosting(
        number=row.number,
        debit=row.debit,
        credit=row.credit,
        amount=row.amount,
        commodity=row.commodity,
        debit_version=row.debit_version,
        debit_balance=row.debit_balance,
        credit_version=row.credit_version,
        credit_balance=row.credit_balance,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), MOSCOW)
