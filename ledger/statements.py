"""Statements (выписки) and the list of entries: reading the books page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger.balances import known_account
from ledger.database import Session, text
from ledger.journal import MAIN_BOOK

PAGE_MAX = 200
"""Lines of a statement and entries of a list on one page."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting as one of its accounts sees it."""

    version: int
    entry_id: UUID
    number: int
    counter_account: str
    debit: int
    credit: int
    balance: int
    kind: str
    reference: str
    happened_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of an account's movements between two balances, in the order they were booked."""

    account: str
    commodity: str
    opening: int
    closing: int
    lines: tuple[StatementLine, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class ListedPosting:
    """A posting of a listed entry."""

    debit: str
    credit: str
    amount: int
    commodity: str
    debit_version: int
    debit_balance: int
    credit_version: int
    credit_balance: int


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry of a list, whole."""

    id: UUID
    reference: str
    kind: str
    happened_at: datetime
    recorded_at: datetime
    metadata: Mapping[str, Any]
    postings: tuple[ListedPosting, ...]


async def statement(
    session: Session, code: str, *, after_version: int = 0, limit: int = PAGE_MAX, book: str = MAIN_BOOK
) -> Statement:
    """A page of the account's movements after a version. The last line's version is the next page's start.

    Raises: EntryRejected with ``ledger.unknown_account``.
    """
    assert 1 <= limit <= PAGE_MAX
    account = await known_account(session, code, book=book)
    arguments = {"book": book, "code": code, "after": after_version, "limit": limit + 1}
    rows = (await session.execute(text(_LINES), arguments)).all()
    lines = tuple(StatementLine(**row._mapping) for row in rows[:limit])
    if lines:
        change = lines[0].debit - lines[0].credit
        opening = lines[0].balance - (change if account.normal_side == "debit" else -change)
        closing = lines[-1].balance
    else:
        opening = closing = account.balance
    return Statement(code, account.commodity, opening, closing, lines, len(rows) > limit)


_LINES = """
    WITH me AS (
        SELECT a.book, a.number FROM books AS b JOIN accounts AS a ON a.book = b.number
         WHERE b.name = :book AND a.code = :code
    ), legs AS (
        (SELECT p.debit_version AS version, p.entry_id, p.number, p.credit AS counter, p.amount AS debit, 0 AS credit,
                p.debit_balance AS balance, p.book
           FROM me JOIN postings AS p ON p.book = me.book AND p.debit = me.number AND p.debit_version > :after
          ORDER BY p.debit_version LIMIT :limit)
        UNION ALL
        (SELECT p.credit_version, p.entry_id, p.number, p.debit, 0, p.amount, p.credit_balance, p.book
           FROM me JOIN postings AS p ON p.book = me.book AND p.credit = me.number AND p.credit_version > :after
          ORDER BY p.credit_version LIMIT :limit)
    )
    SELECT l.version, l.entry_id, l.number, c.code AS counter_account, l.debit, l.credit, l.balance,
           head.kind, head.reference, head.happened_at, head.recorded_at
      FROM legs AS l
      JOIN accounts AS c ON c.book = l.book AND c.number = l.counter
      JOIN postings AS head ON head.book = l.book AND head.entry_id = l.entry_id AND head.number = 1
     ORDER BY l.version LIMIT :limit"""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to list; what is not given does not narrow."""

    kind: str | None = None
    reference_prefix: str | None = None
    account_prefix: str | None = None
    happened_from: datetime | None = None
    happened_to: datetime | None = None


async def list_entries(
    session: Session,
    wanted: EntryFilter,
    *,
    after: UUID | None = None,
    limit: int = PAGE_MAX,
    book: str = MAIN_BOOK,
) -> tuple[list[ListedEntry], bool]:
    """Entries in the order of their ids (the time they were made), and whether there are more."""
    assert 1 <= limit <= PAGE_MAX
    narrow = [condition for name, condition in _FILTERS.items() if getattr(wanted, name) is not None]
    sql = _HEADS.format(narrow="".join(f" AND {condition}" for condition in narrow))
    arguments = {name: getattr(wanted, name) for name in _FILTERS} | {
        "book": book,
        "after": after,
        "limit": limit + 1,
    }
    rows = (await session.execute(text(sql), arguments)).all()
    return [_listed(row) for row in rows[:limit]], len(rows) > limit


_FILTERS = {
    "kind": "head.kind = :kind",
    "reference_prefix": "head.reference >= :reference_prefix AND starts_with(head.reference, :reference_prefix)",
    "happened_from": "head.happened_at >= :happened_from",
    "happened_to": "head.happened_at < :happened_to",
    "account_prefix": """EXISTS (SELECT FROM postings AS p JOIN accounts AS a ON a.book = p.book
        AND a.number IN (p.debit, p.credit) WHERE p.book = head.book AND p.entry_id = head.entry_id
        AND starts_with(a.code, :account_prefix))""",
}

_HEADS = """
    WITH heads AS (
        SELECT head.* FROM books AS b JOIN postings AS head ON head.book = b.number AND head.number = 1
         WHERE b.name = :book AND (CAST(:after AS uuid) IS NULL OR head.entry_id > :after){narrow}
         ORDER BY head.entry_id LIMIT :limit
    )
    SELECT h.entry_id, h.reference, h.kind, h.happened_at, h.recorded_at, coalesce(h.metadata, '{{}}') AS metadata,
           array_agg(ARRAY[d.code, c.code, p.commodity] ORDER BY p.number) AS names,
           array_agg(ARRAY[p.amount, p.debit_version, p.debit_balance, p.credit_version, p.credit_balance]
                     ORDER BY p.number) AS figures
      FROM heads AS h JOIN postings AS p ON p.book = h.book AND p.entry_id = h.entry_id
      JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
      JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
     GROUP BY h.entry_id, h.reference, h.kind, h.happened_at, h.recorded_at, h.metadata ORDER BY h.entry_id"""


def _listed(row: Any) -> ListedEntry:
    postings = tuple(
        ListedPosting(debit, credit, amount, commodity, *state)
        for (debit, credit, commodity), (amount, *state) in zip(row.names, row.figures, strict=True)
    )
    return ListedEntry(row.entry_id, row.reference, row.kind, row.happened_at, row.recorded_at, row.metadata, postings)
