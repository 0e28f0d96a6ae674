"""The journal: the only door into the books.

Every entry goes through one SQL function, ``book_entries``, which takes one or a thousand and
answers for each. Python checks forms, lays entries out as arrays, and reads the answer back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, AsyncCursor

from ledger import entry as forms
from ledger.database import Session, driver_connection, text
from ledger.direct import Line
from ledger.entry import Booked, BookedPosting, Entry, Posting, Refused, Verdict
from ledger.errors import EntryRejected, refusal_of
from ledger.ids import new_uuid, new_uuid_digits
from ledger.sql_arrays import SqlArray, array, array_with_gaps, bigint, instant

MAIN_BOOK = "main"

_TYPES = (
    "text", "uuid[]", "text[]", "text[]", "uuid[]", "timestamptz[]", "text[]", "int4[]", "text[]",
    "int4[]", "int2[]", "int4[]", "int4[]", "text[]", "int8[]", "int4[]", "text[]", "int8[]", "int8[]",
)  # fmt: skip
_POSTING_KINDS = ("int4", "int2", "int4", "int4", "text", "int8")
_CONDITION_KINDS = ("int4", "text", "int8", "int8")
_ANSWER = """SELECT first_entry, last_entry, verdict, recorded_at, entry_ids, code, facts,
       debit_versions, debit_balances, credit_versions, credit_balances FROM book_entries"""
BOOK_ENTRIES = f"{_ANSWER}({', '.join(f'%s::{type_}' for type_ in _TYPES)})"
BOOK_ENTRIES_DIRECT = f"{_ANSWER}({', '.join(f'${place}::{type_}' for place, type_ in enumerate(_TYPES, 1))})"
BOOK_ENTRY_DIRECT = """
SELECT recorded_at, debit_version, debit_balance, credit_version, credit_balance
  FROM book_entry($1::text, $2::uuid, $3::text, $4::text, $5::uuid, $6::timestamptz, $7::text, $8::text, $9::text,
                  $10::text, $11::int8)
"""
_SHORT_ROAD_ENDS = frozenset({"KP002", "22003", "23505", "23514"})
"""Why ``book_entry`` may give up: a closed day, a refused or known reference, an account or a limit."""


async def post(session: Session, entry: Entry, *, now: datetime, book: str = MAIN_BOOK) -> Booked:
    """Book one entry; the same reference and body again gives the first answer.

    Raises: EntryRejected if the books refuse it. Locks: its accounts, in their one order.
    """
    forms.check(entry)
    (verdict,) = await book_batch(await driver_connection(session), [entry], now=now, book=book)
    if isinstance(verdict, Refused):
        raise verdict.error()
    return verdict


async def post_batch(
    session: Session, entries: Sequence[Entry], *, now: datetime, book: str = MAIN_BOOK
) -> list[Verdict]:
    """Book up to 1,000 entries in order; one refused entry does not sink the others unless linked.

    Refusals are answers, not exceptions, and are remembered by reference.
    Raises: EntryRejected if an entry breaks a rule of form or the book is unknown; nothing is booked then.
    Locks: all accounts of the batch, in their one order.
    """
    if not entries:
        return []
    forms.check_batch(entries)
    return await book_batch(await driver_connection(session), entries, now=now, book=book)


async def post_batch_as(
    session: Session, entries: Sequence[Entry], ids: Sequence[UUID], *, now: datetime, book: str = MAIN_BOOK
) -> datetime | list[Verdict]:
    """As ``post_batch``, under ids chosen before (an entry's own goes first).

    Gives only the time when every entry was booked now under its id: the caller knew all else before it asked, and
    the accounts are not kept waiting while it is told again.
    The caller has checked the forms with ``entry.check_batch``.
    """
    assert len(ids) == len(entries)
    rows = await _rows(await driver_connection(session), _arguments(entries, now, book, ids))
    if len(rows) == 1 and rows[0][2] == "booked":
        recorded_at: datetime = rows[0][3]
        return recorded_at
    return _all_verdicts(rows, entries)


async def dry_run(session: Session, entries: Sequence[Entry], *, now: datetime, book: str = MAIN_BOOK) -> list[Verdict]:
    """What ``post_batch`` would answer, with the balances after it, booking nothing."""
    savepoint = await session.begin_nested()
    try:
        return await post_batch(session, entries, now=now, book=book)
    finally:
        await savepoint.rollback()


async def reverse(
    session: Session,
    entry_id: UUID,
    *,
    reference: str,
    happened_at: datetime,
    now: datetime,
    book: str = MAIN_BOOK,
) -> Booked:
    """Undo an entry with one that books the same amounts the other way (сторно).

    Дт each credited account  Кт each debited account  the same amounts

    An entry is reversed once; the same ``reference`` again gives the first answer.
    Raises: EntryRejected with ``ledger.unknown_entry`` or ``ledger.already_reversed``, or another refusal of the books.
    """
    original = await find_entry(session, entry_id, book=book)
    if original is None:
        raise EntryRejected("ledger.unknown_entry", entry_id=str(entry_id))
    reversal = Entry(
        reference=reference,
        kind=forms.REVERSAL,
        happened_at=happened_at,
        postings=forms.reversed_postings(original.postings),
        metadata={"reverses": str(entry_id)},
    )
    (verdict,) = await book_batch(await driver_connection(session), [reversal], now=now, book=book)
    if isinstance(verdict, Refused):
        raise verdict.error()
    return verdict


async def find_entry(session: Session, entry_id: UUID, *, book: str = MAIN_BOOK) -> Entry | None:
    """The entry as it was booked, or nothing."""
    rows = (
        await session.execute(
            text("""
                SELECT p.number, p.amount, p.commodity, d.code AS debit, c.code AS credit,
                       p.happened_at, p.reference, p.kind, p.metadata
                  FROM books AS b
                  JOIN postings AS p ON p.book = b.number AND p.entry_id = :entry_id
                  JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
                  JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
                 WHERE b.name = :book ORDER BY p.number
            """),
            {"entry_id": entry_id, "book": book},
        )
    ).all()
    if not rows:
        return None
    head = rows[0]
    return Entry(
        id=entry_id,
        reference=head.reference,
        kind=head.kind,
        happened_at=head.happened_at,
        metadata=head.metadata or {},
        postings=tuple(Posting(row.debit, row.credit, row.amount, row.commodity) for row in rows),
    )


async def book_batch(
    connection: AsyncConnection[Any], entries: Sequence[Entry], *, now: datetime, book: str = MAIN_BOOK
) -> list[Verdict]:
    """The hot path under ``post_batch``: one round trip on a bare psycopg connection.

    The caller has checked the forms with ``entry.check_batch``.
    """
    return _all_verdicts(await _rows(connection, _arguments(entries, now, book)), entries)


async def _rows(connection: AsyncConnection[Any], arguments: tuple[str | SqlArray, ...]) -> list[tuple[Any, ...]]:
    try:
        async with AsyncCursor(connection) as cursor:
            await cursor.execute(BOOK_ENTRIES, arguments, prepare=True, binary=True)
            return await cursor.fetchall()
    except psycopg.Error as error:
        raise refusal_of(error) or error from None


async def book_at_once(line: Line, entries: Sequence[Entry], *, now: datetime, book: str = MAIN_BOOK) -> list[Verdict]:
    """Book a batch as a transaction of its own.

    One entry of one posting takes a shorter road, and the long one when that ends in a refusal.
    The caller has checked the forms with ``entry.check_batch``.
    Raises: EntryRejected if the book is unknown; psycopg.Error if the line broke: then nobody knows.
    """
    if len(entries) == 1 and len(entries[0].postings) == 1 and not entries[0].conditions:
        booked = await _book_alone(line, entries[0], now=now, book=book)
        if booked is not None:
            return [booked]
    try:
        rows = await line.call(BOOK_ENTRIES_DIRECT, _arguments(entries, now, book))
    except psycopg.Error as error:
        raise refusal_of(error) or error from None
    return _all_verdicts(rows, entries)


async def _book_alone(line: Line, entry: Entry, *, now: datetime, book: str) -> Booked | None:
    """The short road; nothing if it did not lead to the end, and nothing was changed then."""
    (posting,) = entry.postings
    entry_id = entry.id or new_uuid(now)
    arguments = (
        book, entry_id.bytes, entry.reference, entry.kind, bytes.fromhex(forms.body_digits(entry)),
        instant(entry.happened_at), json.dumps(entry.metadata) if entry.metadata else None,
        posting.debit, posting.credit, posting.commodity, bigint(posting.amount),
    )  # fmt: skip
    try:
        ((recorded_at, *state),) = await line.call(BOOK_ENTRY_DIRECT, arguments)
    except psycopg.Error as error:
        if error.sqlstate in _SHORT_ROAD_ENDS:
            return None
        raise
    return Booked(entry_id, recorded_at, (BookedPosting(posting, *state),))


def _all_verdicts(rows: Sequence[tuple[Any, ...]], entries: Sequence[Entry]) -> list[Verdict]:
    verdicts = [verdict for row in rows for verdict in _verdicts(row, entries)]
    assert len(verdicts) == len(entries)
    return verdicts


def _arguments(
    entries: Sequence[Entry], now: datetime, book: str, ids: Sequence[UUID] | None = None
) -> tuple[str | SqlArray, ...]:
    """The entries as the arrays ``book_entries`` takes: by entry, by posting, by condition."""
    codes = sorted({code for entry in entries for p in entry.postings for code in (p.debit, p.credit)})
    place = {code: index for index, code in enumerate(codes, 1)}
    chains, chain = [], 1
    postings: list[tuple[int, int, int, int, str, int]] = []
    conditions: list[tuple[int, str, int | None, int | None]] = []
    for index, entry in enumerate(entries, 1):
        chains.append(chain)
        chain += not entry.is_linked
        for number, p in enumerate(entry.postings, 1):
            postings.append((index, number, place[p.debit], place[p.credit], p.commodity, p.amount))
        for c in entry.conditions:
            conditions.append((index, c.account, c.if_version, c.min_available_after))
    return (
        book,
        array("uuid", _id_digits(entries, now, ids)),
        array("text", [entry.reference for entry in entries]),
        array("text", [entry.kind for entry in entries]),
        array("uuid", [forms.body_digits(entry) for entry in entries]),
        array("timestamptz", [entry.happened_at for entry in entries]),
        array_with_gaps("text", [json.dumps(entry.metadata) if entry.metadata else None for entry in entries]),
        array("int4", chains),
        array("text", codes),
        *map(array, _POSTING_KINDS, zip(*postings, strict=True)),
        *map(array_with_gaps, _CONDITION_KINDS, zip(*conditions, strict=True) if conditions else ((),) * 4),
    )


def _id_digits(entries: Sequence[Entry], now: datetime, ids: Sequence[UUID] | None) -> list[str]:
    """What each entry is called: by its own id, by the one chosen for it, or by a new one."""
    chosen = [one.hex for one in ids] if ids else new_uuid_digits(now, len(entries))
    return [entry.id.hex if entry.id else one for entry, one in zip(entries, chosen, strict=True)]


def _verdicts(row: tuple[Any, ...], entries: Sequence[Entry]) -> Iterator[Verdict]:
    """The verdicts of one run of entries that met the same fate."""
    first, last, verdict, recorded_at, entry_ids, code, facts, *books = row
    if verdict == "refused":
        facts = {key: value for key, value in facts.items() if key != "entry"}
        yield from (Refused(code, facts, entry_id) for entry_id in entry_ids)
        return
    states = zip(*books, strict=True)
    for entry, entry_id in zip(entries[first - 1 : last], entry_ids, strict=True):
        yield Booked(
            entry_id,
            recorded_at,
            tuple(BookedPosting(posting, *next(states)) for posting in entry.postings),
            verdict == "replayed",
        )
