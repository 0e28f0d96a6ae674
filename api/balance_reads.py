"""The hot path of balances: what many callers ask at once is one query."""

from __future__ import annotations

from collections.abc import Sequence

from api.problems import to_bytes
from api.wire import show_whole
from ledger.direct import BY_KEYS, Line
from ledger.errors import EntryRejected, KopeykaError
from ledger.group_commit import GroupCommit
from ledger.journal import MAIN_BOOK
from ledger.sql_arrays import array

BalanceQueue = GroupCommit[str, bytes]
"""Account codes in, ``BalanceView`` in JSON out."""


def open_queue(url: str, *, queue_max: int) -> BalanceQueue:
    """The queue of a process; its line is opened when it is first needed."""
    return GroupCommit(url, read_balances, connect=_open_line, queue_max=queue_max, writers=1)


async def _open_line(url: str) -> Line:
    return await Line.open(url, BY_KEYS)


async def read_balances(line: Line, codes: Sequence[str]) -> list[bytes | KopeykaError]:
    """The balances of accounts of the main book, as they are now."""
    rows = await line.call(_READ, (MAIN_BOOK, array("text", list(set(codes)))))
    found = {row[0]: _shown(*row) for row in rows}
    return [found.get(code) or EntryRejected("ledger.unknown_account", account=code) for code in codes]


def _shown(
    code: str, commodity: str, side: str, version: int, debits: int, credits: int, debits_held: int, credits_held: int
) -> bytes:
    is_debit = side == "debit"
    balance = debits - credits if is_debit else credits - debits
    available = balance - (credits_held if is_debit else debits_held)
    pending = available + (debits_held if is_debit else credits_held)
    return to_bytes(
        {
            "account": code,
            "commodity": commodity,
            "normal_side": side,
            "balance": show_whole(balance),
            "available": show_whole(available),
            "pending": show_whole(pending),
            "version": version,
        }
    )


_READ = """
SELECT a.code, a.commodity, a.normal_side, a.version, a.debits_posted, a.credits_posted, a.debits_held, a.credits_held
  FROM books AS b JOIN accounts AS a ON a.book = b.number
 WHERE b.name = $1::text AND a.code = ANY ($2::text[])"""
