"""Refusals and failures of the books.

KopeykaError                      every error of ours: a code, a message, facts
├── Rejected                      the caller asked for what the rules refuse; final
│   └── EntryRejected             an entry, hold, account or period was refused by the books
├── Unavailable                   try again later (retryable)
│   └── LedgerBusy                the queue of entries is full
└── InvariantBroken               our bug: page someone, never catch

Codes are stable (``ledger.overdrawn``); HTTP lives only in the door's table.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import psycopg
from sqlalchemy.exc import DBAPIError

REFUSED = "KP001"
"""SQLSTATE of a refusal said by the books' own functions."""
OUT_OF_RANGE = "22003"
"""SQLSTATE of a sum that does not fit a column of the books."""
REFERENCE_KEYS = ("postings_reference", "hold_events_reference_key", "holds_reference_key")
"""Unique keys that hold a reference to one effect, across entries and holds."""


class KopeykaError(Exception):
    """Something was refused or failed."""

    code: ClassVar[str] = "kopeyka.error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.facts = facts


class Rejected(KopeykaError):
    """The rules refuse this."""

    code = "kopeyka.rejected"


class Unavailable(KopeykaError):
    """Not possible just now; the same request may be repeated."""

    code = "kopeyka.unavailable"
    retryable = True


class InvariantBroken(KopeykaError):
    """What must always be true is not."""

    code = "kopeyka.invariant_broken"


LEDGER_REFUSALS: dict[str, str] = {
    "ledger.unknown_book": "There is no such book.",
    "ledger.unknown_account": "There is no such account in this book.",
    "ledger.unknown_commodity": "There is no such commodity.",
    "ledger.unknown_hold": "There is no such hold in this book.",
    "ledger.unknown_entry": "There is no such entry in this book.",
    "ledger.account_closed": "The account is closed.",
    "ledger.account_differs": "An account with this code exists and has other terms.",
    "ledger.account_not_empty": "Only an account at zero that holds nothing can be closed.",
    "ledger.book_differs": "The book's name or number belongs to another book.",
    "ledger.commodity_differs": "The commodity is known with another number of decimals.",
    "ledger.wrong_commodity": "The account counts another commodity.",
    "ledger.overdrawn": "The account would fall below what must stay available.",
    "ledger.over_ceiling": "The account would rise above its ceiling.",
    "ledger.period_closed": "The period is closed: nothing may be dated on or before its last day.",
    "ledger.period_not_over": "Only a day that is over can be closed.",
    "ledger.reference_reused": "The reference was used for another body.",
    "ledger.entry_id_reused": "The entry id was used by another entry.",
    "ledger.version_changed": "The account has moved since the version the entry was made for.",
    "ledger.available_too_low": "Less would stay available than the entry asks for.",
    "ledger.amount_overflow": "The amount does not fit the books.",
    "ledger.linked_entry_refused": "Another entry of the same chain was refused.",
    "ledger.linked_entry_known": "Part of the chain was booked before: repeat it whole or give new references.",
    "ledger.hold_not_open": "The hold was already posted, released or expired.",
    "ledger.hold_expired": "The hold has expired.",
    "ledger.hold_not_expired": "The hold has not expired yet.",
    "ledger.hold_exceeded": "More is asked for than is held.",
    "ledger.already_reversed": "The entry was already reversed.",
    "ledger.invalid_entry": "The entry breaks a rule of form.",
}
"""Every code the books refuse with, and what it says."""


class EntryRejected(Rejected):
    """The books refuse this."""

    code = "ledger.invalid_entry"

    def __init__(self, code: str, /, message: str | None = None, **facts: Any) -> None:
        super().__init__(message or LEDGER_REFUSALS[code], **facts)
        self.code = code  # type: ignore[misc]  # one class, a code for each refusal of the books


class LedgerBusy(Unavailable):
    """Too many entries are waiting to be booked."""

    code = "ledger.busy"


def refusal_of(error: DBAPIError | psycopg.Error) -> EntryRejected | None:
    """The refusal inside a database error, if the books said it."""
    diagnostic = getattr(error.orig if isinstance(error, DBAPIError) else error, "diag", None)
    if diagnostic is None:
        return None
    if diagnostic.sqlstate == REFUSED:
        return EntryRejected(str(diagnostic.message_primary), **json.loads(diagnostic.message_detail or "{}"))
    if diagnostic.sqlstate == OUT_OF_RANGE:
        return EntryRejected("ledger.amount_overflow", amount_max=2**63 - 1)
    if diagnostic.constraint_name in REFERENCE_KEYS:
        return EntryRejected("ledger.reference_reused")
    return None
