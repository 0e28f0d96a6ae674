"""Period close: after it nothing may be dated on or before its last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.exc import DBAPIError

from ledger.database import Session, text
from ledger.errors import refusal_of
from ledger.journal import MAIN_BOOK


@dataclass(frozen=True, slots=True)
class PeriodClose:
    """A closed period with the proof of its balances."""

    closed_through_on: date
    """The last closed Moscow day."""
    closed_at: datetime
    closed_by: str
    accounts: int
    postings: int
    proof: str
    """SHA-256 over the lines ``code debits credits`` of every account, hexadecimal."""


async def close_period(
    session: Session, *, through_on: date, closed_by: str, now: datetime, book: str = MAIN_BOOK
) -> PeriodClose:
    """Close every day through ``through_on`` and keep the balances with their proof.

    Raises: EntryRejected with ``ledger.period_closed`` or ``ledger.period_not_over``.
    Locks: the whole book, once the bookings that run have ended.
    """
    try:
        row = (
            await session.execute(
                text(f"SELECT {_COLUMNS} FROM close_period(:book, :through_on, :closed_by, :now) AS c"),  # noqa: S608
                {"book": book, "through_on": through_on, "closed_by": closed_by, "now": now},
            )
        ).one()
    except DBAPIError as error:
        raise refusal_of(error) or error from None
    return PeriodClose(**row._mapping)


async def list_closes(session: Session, *, book: str = MAIN_BOOK) -> list[PeriodClose]:
    """The closes of a book, the latest first."""
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM books AS b JOIN period_closes AS c ON c.book = b.number
                  WHERE b.name = :book ORDER BY c.closed_through_on DESC"""),  # noqa: S608  # our own column list
        {"book": book},
    )
    return [PeriodClose(**row._mapping) for row in rows]


_COLUMNS = "c.closed_through_on, c.closed_at, c.closed_by, c.accounts, c.postings, encode(c.proof, 'hex') AS proof"


async def open_from(session: Session, *, book: str = MAIN_BOOK) -> date | None:
    """The first Moscow day that is not closed; nothing when none was ever closed."""
    found: date | None = await session.scalar(
        text("SELECT closed_through_on + 1 FROM books WHERE name = :book"), {"book": book}
    )
    return found
