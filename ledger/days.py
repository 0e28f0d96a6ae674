"""Day totals: turnover by account and Moscow day, folded behind the horizon of running transactions."""

from __future__ import annotations

from ledger import repository
from ledger.database import Session
from ledger.journal import MAIN_BOOK


async def fold(session: Session, *, book: str = MAIN_BOOK) -> int:
    """Fold some thousands of final postings into day totals, and say how many; 0 when nothing waits.

    Locks: the book's row, skipped when another folds it.
    """
    return int(await repository.call(session, "SELECT fold_day_totals(:book)", book=book))
