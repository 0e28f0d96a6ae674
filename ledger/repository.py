"""How the ledger calls its own SQL functions."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError

from ledger.database import Session, text
from ledger.errors import EntryRejected, refusal_of


async def call(session: Session, sql: str, **arguments: Any) -> Any:
    """The single value a function of the books answers.

    Raises: EntryRejected if the books refuse.
    """
    try:
        return await session.scalar(text(sql), arguments)
    except DBAPIError as error:
        raise refusal_of(error) or error from None


async def number_of(session: Session, book: str) -> int:
    """The number of a book.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    number = await session.scalar(text("SELECT number FROM books WHERE name = :book"), {"book": book})
    if number is None:
        raise EntryRejected("ledger.unknown_book", book=book)
    return int(number)
