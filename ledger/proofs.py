"""Proofs: what must be true of the books, checked over every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import repository
from ledger.database import Session, text
from ledger.journal import MAIN_BOOK

PROOFS = {
    "trial_balance": "Debits equal credits in every commodity.",
    "balances_equal_postings": "Stored balances equal the sum of postings, after each posting and now.",
    "versions_contiguous": "The versions of every account run from 1 without a gap.",
    "holds_equal_held": "What accounts hold equals their open holds.",
    "days_equal_postings": "Day totals and what is not folded yet equal the sum of postings.",
    "entries_whole": "Every entry has its postings from 1 without a gap.",
    "in_transit_zero": "What one book sent to another has arrived.",
    "entries_sealed": "Every entry up to the log's last checkpoint is a leaf of it, and is what was sealed.",
}


@dataclass(frozen=True, slots=True)
class BrokenProof:
    """One place where a proof does not hold."""

    proof: str
    account: str | None
    facts: Mapping[str, Any]


async def broken_proofs(session: Session, *, book: str = MAIN_BOOK) -> list[BrokenProof]:
    """Every place where a proof of the book does not hold; none is what one wants to see.

    Reads every posting: minutes for tens of millions, so it runs at night and by ``kopeyka verify``.
    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    number = await repository.number_of(session, book)
    rows = await session.execute(text("SELECT proof, account, facts FROM broken_proofs(:number)"), {"number": number})
    broken = [BrokenProof(row.proof, row.account, row.facts) for row in rows]
    return broken + await _unsealed(session, number)


async def _unsealed(session: Session, number: int) -> list[BrokenProof]:
    """Entries without their leaf, leaves without their entry, and entries that are no longer what was sealed."""
    rows = await session.execute(
        text("SELECT entry_id, idx, flaw FROM entries_without_their_leaf(:number)"), {"number": number}
    )
    return [
        BrokenProof("entries_sealed", None, {"entry_id": str(row.entry_id), "leaf": row.idx, "flaw": row.flaw})
        for row in rows
    ]
