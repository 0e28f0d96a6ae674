"""The vault's queues: cards that come in together are kept together, tokens asked for together are opened together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from ledger.direct import BY_KEYS, Line
from ledger.group_commit import GroupCommit
from pci.database import Transactions
from pci.keys.ring import KeyRing
from tokenization import together
from tokenization.card import OpenCard, Tokenized
from tokenization.card_errors import CardTampered, TokenRefused
from tokenization.cards import CardAsk, CardIn

Opened = list[OpenCard | TokenRefused | CardTampered]


def cards_together(
    url: str, transactions: Transactions, ring: KeyRing, *, now: Callable[[], datetime], writers: int = 2
) -> GroupCommit[CardIn, Tokenized]:
    """A queue for ``together.tokenize``; ``transactions`` are for batches with cards that are known."""

    async def commit_batch(line: Line, jobs: Sequence[CardIn]) -> Sequence[Tokenized]:
        return await together.tokenize_batch(line, transactions, ring, jobs, now=now())

    return GroupCommit(url, commit_batch, connect=_one_line(), writers=writers)


def reads_together(
    url: str, ring: KeyRing, *, now: Callable[[], datetime], writers: int = 2
) -> GroupCommit[Sequence[CardAsk], Opened]:
    """A queue of tokens to be opened, one or many a job."""

    async def commit_batch(line: Line, jobs: Sequence[Sequence[CardAsk]]) -> Sequence[Opened]:
        return await together.read_batch(line, ring, jobs, now=now())

    return GroupCommit(url, commit_batch, weigh=len, connect=_one_line(), writers=writers)


def _one_line() -> Callable[[str], Awaitable[Line]]:
    """The writers of a queue share a line: one batch is sealed while PostgreSQL works on the other.

    With a line each they commit smaller batches and wait for more fsyncs: a third fewer cards a second.
    """
    shared: Line | None = None
    one_at_a_time = asyncio.Lock()

    async def connect(url: str) -> Line:
        nonlocal shared
        async with one_at_a_time:
            if shared is None or shared.closed:
                shared = await Line.open(url, BY_KEYS)
            return shared

    return connect
