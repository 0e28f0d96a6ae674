"""Accounts: where money stands. Opened once, moved only by entries, never deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ledger import repository
from ledger.database import Session, text
from ledger.entry import check_metadata
from ledger.errors import EntryRejected, InvariantBroken
from ledger.ids import new_account_number
from ledger.journal import MAIN_BOOK
from ledger.money import AMOUNT_MAX

CODE_CHARACTERS_MAX = 250
PAGE_MAX = 200
"""Accounts on one page."""
BOOKS_MAX = 32_767
"""Books of one database: the book is a smallint in every key."""
SCALE_MAX = 6
"""Decimals of a commodity."""
NUMBER_TRIES_MAX = 8
"""Random numbers tried for a new account before we believe that something is wrong."""

_CODE = re.compile(r"(asset|liability|equity|income|expense|memo)(:[A-Za-z0-9_.-]{1,64}){1,6}")
_BOOK = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_COMMODITY = re.compile(r"RUB|PTS:[a-z0-9_-]{1,32}")
_DEBIT_NORMAL = ("asset", "expense", "memo")

Side = Literal["debit", "credit"]


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What an account is opened with."""

    code: str
    """A path that says what it is: ``liability:merchant_payable:mer_…``."""
    commodity: str = "RUB"
    normal_side: Side | None = None
    """The side that grows it; follows the first word of the code when not given."""
    available_min: int | None = None
    """What must stay available; 0 means that it may not be overdrawn."""
    balance_max: int | None = None
    """The ceiling of its balance, incoming holds included."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """An account with its four counters. Balances are on its normal side."""

    code: str
    commodity: str
    normal_side: Side
    available_min: int | None
    balance_max: int | None
    version: int
    """How many postings it has seen."""
    debits_posted: int
    credits_posted: int
    debits_held: int
    credits_held: int
    opened_at: datetime
    closed_at: datetime | None
    metadata: Mapping[str, Any]

    @property
    def balance(self) -> int:
        """What is booked."""
        net = self.debits_posted - self.credits_posted
        return net if self.normal_side == "debit" else -net

    @property
    def available(self) -> int:
        """What can be spent: the balance less what holds may take."""
        return self.balance - (self.credits_held if self.normal_side == "debit" else self.debits_held)

    @property
    def pending(self) -> int:
        """What the balance will be when every hold is posted."""
        return self.available + (self.debits_held if self.normal_side == "debit" else self.credits_held)


_COLUMNS = """a.code, a.commodity, a.normal_side, a.available_min, a.balance_max, a.version, a.debits_posted,
    a.credits_posted, a.debits_held, a.credits_held, a.opened_at, a.closed_at, coalesce(a.metadata, '{}') AS metadata"""


async def open_account(session: Session, terms: AccountTerms, *, now: datetime, book: str = MAIN_BOOK) -> Account:
    """Open an account; the same terms again give the account that is there.

    Raises: EntryRejected if the code has no known form or exists with other terms, or the commodity is unknown.
    """
    if not _CODE.fullmatch(terms.code) or len(terms.code) > CODE_CHARACTERS_MAX:
        raise EntryRejected("ledger.invalid_entry", field="code", expected="a path such as asset:cash:main")
    if not -AMOUNT_MAX <= (terms.available_min or 0) <= 0:
        raise EntryRejected("ledger.invalid_entry", field="available_min", expected=f"from -{AMOUNT_MAX} to 0")
    if not 0 <= (terms.balance_max or 0) <= AMOUNT_MAX:
        raise EntryRejected("ledger.invalid_entry", field="balance_max", expected=f"from 0 to {AMOUNT_MAX}")
    check_metadata(terms.metadata)
    side = terms.normal_side or ("debit" if terms.code.split(":")[0] in _DEBIT_NORMAL else "credit")
    for _ in range(NUMBER_TRIES_MAX):
        is_new = await repository.call(
            session,
            """SELECT open_account(:book, :number, :code, :commodity, :side, :available_min, :balance_max, :now,
                      CAST(:metadata AS jsonb))""",
            book=book, number=new_account_number(), code=terms.code, commodity=terms.commodity, side=side,
            available_min=terms.available_min, balance_max=terms.balance_max, now=now,
            metadata=json.dumps(terms.metadata) if terms.metadata else None,
        )  # fmt: skip
        if is_new is not None:
            account = await find_account(session, terms.code, book=book)
            assert account is not None
            return account
    raise InvariantBroken("no free account number was found", book=book)


async def find_account(session: Session, code: str, *, book: str = MAIN_BOOK) -> Account | None:
    """The account, or nothing."""
    row = (
        await session.execute(
            text(f"""SELECT {_COLUMNS} FROM books AS b JOIN accounts AS a ON a.book = b.number
                      WHERE b.name = :book AND a.code = :code"""),  # noqa: S608  # our own column list
            {"book": book, "code": code},
        )
    ).first()
    return None if row is None else Account(**row._mapping)


async def lock_accounts(session: Session, codes: Iterable[str], *, book: str = MAIN_BOOK) -> None:
    """Take at once the accounts that several bookings of this transaction will move one after another.

    Whoever books once needs it not. An account that is not open yet is passed over.
    Locks: the accounts, in their one order.
    """
    await session.execute(
        text("SELECT lock_accounts(:book, CAST(:codes AS text[]))"), {"book": book, "codes": sorted(codes)}
    )


async def list_accounts(
    session: Session, *, prefix: str = "", after: str = "", limit: int = PAGE_MAX, book: str = MAIN_BOOK
) -> tuple[list[Account], bool]:
    """Accounts under a path in the order of their codes, and whether there are more."""
    assert 1 <= limit <= PAGE_MAX
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM books AS b JOIN accounts AS a ON a.book = b.number
                  WHERE b.name = :book AND a.code > :after AND a.code >= :prefix AND starts_with(a.code, :prefix)
                  ORDER BY a.code LIMIT :limit"""),  # noqa: S608  # our own column list
        {"book": book, "after": after, "prefix": prefix, "limit": limit + 1},
    )
    found = [Account(**row._mapping) for row in rows]
    return found[:limit], len(found) > limit


async def close_account(session: Session, code: str, *, now: datetime, book: str = MAIN_BOOK) -> None:
    """Close an account that is at zero and holds nothing; entries on it are refused from then on.

    Raises: EntryRejected with ``ledger.unknown_account`` or ``ledger.account_not_empty``.
    """
    await repository.call(session, "SELECT close_account(:book, :code, :now)", book=book, code=code, now=now)


async def open_book(session: Session, name: str, number: int, *, now: datetime) -> None:
    """Open a book: a set of accounts that is kept, closed and placed together. Repeating it changes nothing.

    Raises: EntryRejected if the name has no known form, or name and number do not belong together.
    """
    if not _BOOK.fullmatch(name) or not 1 <= number <= BOOKS_MAX:
        raise EntryRejected("ledger.invalid_entry", field="book", expected="a lower-case name and a number from 1")
    await repository.call(session, "SELECT open_book(:name, :number, :now)", name=name, number=number, now=now)


async def open_commodity(session: Session, code: str, scale: int, *, now: datetime) -> None:
    """Make a commodity known: ``PTS:<programme>`` with its number of decimals. Repeating it changes nothing.

    Raises: EntryRejected if the code has no known form, or is known with other decimals.
    """
    if not _COMMODITY.fullmatch(code) or not 0 <= scale <= SCALE_MAX:
        raise EntryRejected(
            "ledger.invalid_entry", field="commodity", expected="RUB or PTS:<programme>, 0 to 6 decimals"
        )
    await repository.call(
        session, "SELECT open_commodity(:code, CAST(:scale AS smallint), :now)", code=code, scale=scale, now=now
    )
