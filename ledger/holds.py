"""Holds (резервы): money set aside until it is posted, released or expired.

A hold is a posting that may still happen. Placing it lowers what both accounts have available;
posting books all or a part of it; releasing and expiring give it back. Every step has its own
reference and is idempotent by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

from ledger import entry as forms
from ledger import repository
from ledger.database import Session, text
from ledger.entry import Entry, Posting
from ledger.errors import EntryRejected
from ledger.ids import new_uuid
from ledger.journal import MAIN_BOOK

PAGE_MAX = 200
"""Holds on one page, and holds expired in one call."""

HoldState = Literal["open", "posted", "released", "expired"]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What to set aside."""

    reference: str
    kind: str
    debit: str
    credit: str
    amount: int
    happened_at: datetime
    commodity: str = "RUB"
    expires_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as the books keep it."""

    id: UUID
    reference: str
    kind: str
    debit: str
    credit: str
    commodity: str
    amount: int
    amount_posted: int
    amount_released: int
    state: HoldState
    happened_at: datetime
    expires_at: datetime | None
    recorded_at: datetime
    metadata: Mapping[str, Any]

    @property
    def amount_held(self) -> int:
        """What is still set aside."""
        return self.amount - self.amount_posted - self.amount_released


async def place(session: Session, request: HoldRequest, *, now: datetime, book: str = MAIN_BOOK) -> Hold:
    """Set money aside.

    Raises: EntryRejected if an account is unknown or would fall below its limit, or the reference was
    used for another body. Locks: both accounts, in their one order.
    """
    as_entry = Entry(
        request.reference,
        request.kind,
        request.happened_at,
        (Posting(request.debit, request.credit, request.amount, request.commodity),),
        request.metadata,
    )
    forms.check(as_entry)
    if request.expires_at is not None and request.expires_at <= request.happened_at:
        raise EntryRejected("ledger.invalid_entry", field="expires_at", expected="later than happened_at")
    digest = _hash("place", forms.body_hash(as_entry), request.expires_at)
    hold_id = await repository.call(
        session,
        """SELECT place_hold(:book, :id, :reference, :hash, :kind, :debit, :credit, :commodity, :amount,
                  :happened_at, :expires_at, CAST(:metadata AS jsonb))""",
        book=book, id=new_uuid(now), reference=request.reference, hash=digest, kind=request.kind,
        debit=request.debit, credit=request.credit, commodity=request.commodity, amount=int(request.amount),
        happened_at=request.happened_at, expires_at=request.expires_at,
        metadata=json.dumps(request.metadata) if request.metadata else None,
    )  # fmt: skip
    hold = await find_hold(session, hold_id, book=book)
    assert hold is not None
    return hold


async def post_part(
    session: Session, hold_id: UUID, *, reference: str, happened_at: datetime, now: datetime,
    amount: int | None = None, keep_rest: bool = False, metadata: Mapping[str, Any] | None = None,
    book: str = MAIN_BOOK,
) -> UUID:  # fmt: skip
    """Book a hold, whole or ``amount`` of it, and give the entry's id; the rest is released unless kept.

    Дт the hold's debit account  Кт the hold's credit account  amount

    Raises: EntryRejected if the hold is unknown, not open, expired, or holds less.
    Locks: the hold, then both accounts in their one order.
    """
    _check_step(reference, 1 if amount is None else amount, happened_at)
    forms.check_metadata(metadata or {})
    result = await repository.call(
        session,
        """SELECT post_hold(:book, :id, :entry_id, :reference, :hash, CAST(:amount AS bigint), :keep_rest,
                  :happened_at, :metadata)""",
        book=book, id=hold_id, entry_id=new_uuid(now), reference=reference, amount=amount, keep_rest=keep_rest,
        hash=_hash("post", hold_id, amount, keep_rest), happened_at=happened_at,
        metadata=json.dumps({**(metadata or {}), "hold_id": str(hold_id)}),
    )  # fmt: skip
    assert isinstance(result, UUID)
    return result


async def release(
    session: Session, hold_id: UUID, *, reference: str, happened_at: datetime, book: str = MAIN_BOOK
) -> int:
    """Give back what is still held, and say how much it was.

    Raises: EntryRejected if the hold is unknown, not open, or expired. Locks: as ``post_part``.
    """
    _check_step(reference, 1, happened_at)
    return await _release(session, hold_id, reference, happened_at, "released", book)


async def due_holds(session: Session, *, now: datetime, limit: int = PAGE_MAX, book: str = MAIN_BOOK) -> list[UUID]:
    """Holds whose time has passed, the longest over first."""
    assert 1 <= limit <= PAGE_MAX
    due = await session.scalars(
        text("""SELECT h.id FROM books AS b JOIN holds AS h ON h.book = b.number
                 WHERE b.name = :book AND h.state = 'open' AND h.expires_at <= :now
                 ORDER BY h.expires_at LIMIT :limit"""),
        {"book": book, "now": now, "limit": limit},
    )
    return list(due)


async def expire(session: Session, hold_id: UUID, *, now: datetime, book: str = MAIN_BOOK) -> bool:
    """Give back a hold whose time has passed; false if a posting at the last moment, or another worker, was first.

    One to a transaction: several would take their accounts in no order. Locks: as ``post_part``.
    """
    try:
        async with session.begin_nested():
            await _release(session, hold_id, f"expiry:{hold_id}", now, "expired", book)
    except EntryRejected:
        return False
    return True


async def find_hold(session: Session, hold_id: UUID, *, book: str = MAIN_BOOK) -> Hold | None:
    """The hold, or nothing."""
    row = (await session.execute(text(_SELECT + " AND h.id = :id"), {"book": book, "id": hold_id})).first()
    return None if row is None else _hold(row)


async def list_holds(
    session: Session, *, account: str | None = None, state: HoldState | None = None, after: UUID | None = None,
    limit: int = PAGE_MAX, book: str = MAIN_BOOK,
) -> tuple[list[Hold], bool]:  # fmt: skip
    """Holds in the order they were placed, and whether there are more."""
    assert 1 <= limit <= PAGE_MAX
    rows = await session.execute(
        text(
            _SELECT
            + """ AND (CAST(:account AS text) IS NULL OR :account IN (d.code, c.code))
                  AND (CAST(:state AS text) IS NULL OR h.state = :state)
                  AND (CAST(:after AS uuid) IS NULL OR h.id > :after) ORDER BY h.id LIMIT :limit"""
        ),
        {"book": book, "account": account, "state": state, "after": after, "limit": limit + 1},
    )
    found = [_hold(row) for row in rows]
    return found[:limit], len(found) > limit


_SELECT = """
    SELECT h.id, h.reference, h.kind, d.code AS debit, c.code AS credit, h.commodity, h.amount, h.amount_posted,
           h.amount_released, h.state, h.happened_at, h.expires_at, h.recorded_at,
           coalesce(h.metadata, '{}') AS metadata
      FROM books AS b JOIN holds AS h ON h.book = b.number
      JOIN accounts AS d ON d.book = h.book AND d.number = h.debit
      JOIN accounts AS c ON c.book = h.book AND c.number = h.credit
     WHERE b.name = :book"""


def _hold(row: Row[Any]) -> Hold:
    return Hold(**row._mapping)


def _check_step(reference: str, amount: int, happened_at: datetime) -> None:
    forms.check(Entry(reference, "hold", happened_at, (Posting("asset:a", "asset:b", amount),)))


def _hash(*parts: object) -> UUID:
    return UUID(bytes=hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:16])


async def _release(session: Session, hold_id: UUID, reference: str, happened_at: datetime, what: str, book: str) -> int:
    result = await repository.call(
        session,
        "SELECT release_hold(:book, :id, :reference, :hash, :happened_at, :what)",
        book=book, id=hold_id, reference=reference, hash=_hash(what, hold_id), happened_at=happened_at, what=what,
    )  # fmt: skip
    return int(result)
