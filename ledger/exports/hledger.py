"""The book as an hledger journal that passes ``hledger check --strict``.

The last transactions assert every stored balance, so hledger itself proves that the postings
exported add up to what our books say.
Source: hledger manual, Journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

from ledger import ids
from ledger.database import Engine
from ledger.exports import reading
from ledger.exports.naming import commodity_symbol, decimal_amount, hledger_account
from ledger.exports.reading import ExportedAccount, ExportedEntry, Period
from ledger.exports.writing import write_lines

OPENING_BALANCES = "Equity:opening balances"
"""The other side of the balances a partial export starts with; ends at zero. No code of ours has a space."""
_EMPTY_BOOK_ON = date(2000, 1, 1)


async def write(engine: Engine, book: str, out: Path | TextIO, period: Period = reading.WHOLE) -> int:
    """Write the journal; the number of its directives and transactions.

    Raises: EntryRejected with ``ledger.unknown_book``.
    """
    return await write_lines(blocks(engine, book, period), out)


async def blocks(engine: Engine, book: str, period: Period = reading.WHOLE) -> AsyncIterator[str]:
    """The journal piece by piece: commodities, accounts, opening, entries, assertions."""
    async with reading.snapshot(engine) as session:
        number = await reading.book_number(session, book)
        scales = await reading.read_scales(session)
        last_on = period.from_on or _EMPTY_BOOK_ON

        yield f"; Book {book}. Debits are positive. Days are Moscow's.\n\n"
        for commodity, scale in scales.items():
            yield commodity_directive(commodity, scale)
        if period.from_on is not None:
            yield f"account {OPENING_BALANCES}\n"
        async for account in reading.read_accounts(session, number, period):
            yield f"account {hledger_account(account.code)}\n"
            if period.from_on is not None and account.opening:
                yield opening_transaction(account, scales[account.commodity], period.from_on)
        async for entry in reading.read_entries(session, number, period):
            last_on = max(last_on, entry.happened_on)
            yield entry_transaction(entry, scales)
        async for account in reading.read_accounts(session, number, period):
            yield assertion(account, scales[account.commodity], last_on + timedelta(days=1))


def commodity_directive(commodity: str, scale: int) -> str:
    """``commodity 1000.00 RUB``: how many decimals the amounts have."""
    return f"commodity 1000.{'0' * scale} {_symbol(commodity)}\n"


def entry_transaction(entry: ExportedEntry, scales: Mapping[str, int]) -> str:
    """An entry: its id as the code, its kind as the description, two lines a posting."""
    lines = [
        f"\n{entry.happened_on} * ({ids.show('ent', entry.id)}) {entry.kind}\n",
        f"    ; reference: {entry.reference}\n",
        f"    ; happened_at: {entry.happened_at.isoformat()}\n",
    ]
    for posting in entry.postings:
        amount = _amount(posting.amount, posting.commodity, scales[posting.commodity])
        lines.append(f"    {hledger_account(posting.debit)}  {amount}\n")
        lines.append(f"    {hledger_account(posting.credit)}  -{amount}\n")
    return "".join(lines)


def opening_transaction(account: ExportedAccount, scale: int, on: date) -> str:
    """What the account held when the period began, against one equity account."""
    return (
        f"\n{on} * opening balance\n"
        f"    {hledger_account(account.code)}  {_amount(account.opening, account.commodity, scale)}\n"
        f"    {OPENING_BALANCES}  {_amount(-account.opening, account.commodity, scale)}\n"
    )


def assertion(account: ExportedAccount, scale: int, on: date) -> str:
    """A transaction of nothing that stops hledger if the balance is another."""
    return (
        f"\n{on} * balance assertion\n"
        f"    {hledger_account(account.code)}  {_amount(0, account.commodity, scale)}"
        f" == {_amount(account.closing, account.commodity, scale)}\n"
    )


def _symbol(commodity: str) -> str:
    symbol = commodity_symbol(commodity)
    return symbol if symbol.isalpha() else f'"{symbol}"'


def _amount(amount: int, commodity: str, scale: int) -> str:
    return f"{decimal_amount(amount, scale)} {_symbol(commodity)}"
