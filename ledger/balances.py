"""Balances in time: as the books knew them, and as the world was.

Two clocks. ``recorded_at`` is when we learnt: found by a search over the balances stored with every
posting. ``happened_at`` is when the world moved: day totals plus the part of one day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ledger.accounts import Account, Side, find_account
from ledger.database import Session, text
from ledger.errors import EntryRejected
from ledger.journal import MAIN_BOOK


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance as the books knew it."""

    version: int
    posted: int


@dataclass(frozen=True, slots=True)
class Turnover:
    """All that went through an account up to an instant, and what was left."""

    debits: int
    credits: int
    balance: int


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One account of a trial balance (оборотно-сальдовая ведомость)."""

    code: str
    commodity: str
    normal_side: Side
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        """What is left, on the normal side."""
        return on_side(self.normal_side, self.debits, self.credits)


def on_side(side: Side, debits: int, credits: int) -> int:
    """Debits and credits as a balance on the account's normal side."""
    return debits - credits if side == "debit" else credits - debits


async def known_account(session: Session, code: str, *, book: str = MAIN_BOOK) -> Account:
    """The account.

    Raises: EntryRejected with ``ledger.unknown_account``.
    """
    account = await find_account(session, code, book=book)
    if account is None:
        raise EntryRejected("ledger.unknown_account", account=code)
    return account


async def balance_recorded_at(session: Session, code: str, at: datetime, *, book: str = MAIN_BOOK) -> Balance:
    """What the books said at ``at``, whatever was booked or back-dated later.

    Raises: EntryRejected with ``ledger.unknown_account``.
    """
    await known_account(session, code, book=book)
    row = (
        await session.execute(
            text("""SELECT r.version, r.balance FROM books AS b
                      JOIN accounts AS a ON a.book = b.number AND a.code = :code,
                           balance_recorded(a.book, a.number, :at) AS r WHERE b.name = :book"""),
            {"book": book, "code": code, "at": at},
        )
    ).one()
    return Balance(version=row.version, posted=row.balance)


async def balance_happened_at(session: Session, code: str, at: datetime, *, book: str = MAIN_BOOK) -> Turnover:
    """What was true at ``at``, with everything that was booked since with an earlier date.

    Raises: EntryRejected with ``ledger.unknown_account``.
    """
    account = await known_account(session, code, book=book)
    row = (
        await session.execute(
            text("""SELECT t.debits, t.credits FROM books AS b
                      JOIN accounts AS a ON a.book = b.number AND a.code = :code,
                           turnover_happened(a.book, a.number, :at) AS t WHERE b.name = :book"""),
            {"book": book, "code": code, "at": at},
        )
    ).one()
    return Turnover(row.debits, row.credits, on_side(account.normal_side, row.debits, row.credits))


async def trial_balance(session: Session, *, through_on: date | None = None, book: str = MAIN_BOOK) -> list[TrialLine]:
    """Every account that has moved, now or at the end of a Moscow day. Debits equal credits in each commodity."""
    if through_on is None:
        sql = """SELECT a.code, a.commodity, a.normal_side, a.debits_posted AS debits, a.credits_posted AS credits
                   FROM books AS b JOIN accounts AS a ON a.book = b.number
                  WHERE b.name = :book AND a.version > 0 ORDER BY a.code"""
    else:
        sql = """SELECT a.code, a.commodity, a.normal_side, t.debits, t.credits
                   FROM books AS b, turnovers_through(b.number, :through_on) AS t, accounts AS a
                  WHERE b.name = :book AND a.book = b.number AND a.number = t.account ORDER BY a.code"""
    rows = await session.execute(text(sql), {"book": book, "through_on": through_on})
    return [TrialLine(**row._mapping) for row in rows]
