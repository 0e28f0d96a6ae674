"""The book as a Beancount file that ``bean-check`` accepts.

The last directives assert every stored balance with no tolerance, so Beancount itself proves
that the postings exported add up to what our books say.
Source: Beancount Language Syntax.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

from ledger import ids
from ledger.database import Engine
from ledger.exports import reading
from ledger.exports.naming import beancount_account, commodity_symbol, decimal_amount
from ledger.exports.reading import ExportedAccount, ExportedEntry, Period
from ledger.exports.writing import write_lines

OPENED_ON = date(1900, 1, 1)
"""Beancount refuses an entry dated before its account was opened; ours may be back-dated. The true
instant is in the metadata."""
OPENING_BALANCES = "Equity:Opening-Balances"
"""The other side of the balances a partial export starts with; ends at zero. No code of ours is named so."""
_EMPTY_BOOK_ON = date(2000, 1, 1)


async def write(engine: Engine, book: str, out: Path | TextIO, period: Period = reading.WHOLE) -> int:
    """Write the file; the number of its directives.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    return await write_lines(blocks(engine, book, period), out)


async def blocks(engine: Engine, book: str, period: Period = reading.WHOLE) -> AsyncIterator[str]:
    """The file piece by piece: commodities, accounts, opening, entries, assertions."""
    async with reading.snapshot(engine) as session:
        number = await reading.book_number(session, book)
        scales = await reading.read_scales(session)
        last_on = period.from_on or _EMPTY_BOOK_ON

        yield f'option "title" "Book {book}"\n\n'
        for commodity in scales:
            yield f'{OPENED_ON} commodity {commodity_symbol(commodity)}\n  code: "{commodity}"\n'
        if period.from_on is not None:
            yield f"{OPENED_ON} open {OPENING_BALANCES}\n"
        async for account in reading.read_accounts(session, number, period):
            yield opening_directive(account)
            if period.from_on is not None and account.opening:
                yield opening_transaction(account, scales[account.commodity], period.from_on)
        async for entry in reading.read_entries(session, number, period):
            last_on = max(last_on, entry.happened_on)
            yield entry_transaction(entry, scales)
        async for account in reading.read_accounts(session, number, period):
            yield assertion(account, scales[account.commodity], last_on + timedelta(days=1))


def opening_directive(account: ExportedAccount) -> str:
    """The account under its Beancount name, with ours and the true instant of opening."""
    return (
        f"{OPENED_ON} open {beancount_account(account.code)} {commodity_symbol(account.commodity)}\n"
        f'  code: "{account.code}"\n'
        f'  opened_at: "{account.opened_at.isoformat()}"\n'
    )


def entry_transaction(entry: ExportedEntry, scales: Mapping[str, int]) -> str:
    """An entry: its kind as the narration, two lines a posting."""
    lines = [
        f'\n{entry.happened_on} * "{entry.kind}"\n',
        f'  id: "{ids.show("ent", entry.id)}"\n',
        f"  reference: {_quoted(entry.reference)}\n",
        f'  kind: "{entry.kind}"\n',
        f'  happened_at: "{entry.happened_at.isoformat()}"\n',
    ]
    for posting in entry.postings:
        amount = _amount(posting.amount, posting.commodity, scales[posting.commodity])
        lines.append(f"  {beancount_account(posting.debit)}  {amount}\n")
        lines.append(f"  {beancount_account(posting.credit)}  -{amount}\n")
    return "".join(lines)


def opening_transaction(account: ExportedAccount, scale: int, on: date) -> str:
    """What the account held when the period began, against one equity account."""
    return (
        f'\n{on} * "opening balance"\n'
        f"  {beancount_account(account.code)}  {_amount(account.opening, account.commodity, scale)}\n"
        f"  {OPENING_BALANCES}  {_amount(-account.opening, account.commodity, scale)}\n"
    )


def assertion(account: ExportedAccount, scale: int, on: date) -> str:
    """The balance at the start of the day after the last entry. Beancount would forgive a kopeck unless told."""
    return (
        f"{on} balance {beancount_account(account.code)}"
        f"  {decimal_amount(account.closing, scale)} ~ 0 {commodity_symbol(account.commodity)}\n"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _amount(amount: int, commodity: str, scale: int) -> str:
    return f"{decimal_amount(amount, scale)} {commodity_symbol(commodity)}"
