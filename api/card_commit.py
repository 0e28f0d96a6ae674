"""The vault's queues: cards that come in together are kept together, tokens asked for together are opened together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    return GroupCommit(url, commit_batch, connect=_line, writers=writers)


def reads_together(
    url: str, ring: KeyRing, *, now: Callable[[], datetime], writers: int = 2
) -> GroupCommit[Sequence[CardAsk], Opened]:
    """A queue of tokens to be opened, one or many a job."""

    async def commit_batch(line: Line, jobs: Sequence[Sequence[CardAsk]]) -> Sequence[Opened]:
        return await together.read_batch(line, ring, jobs, now=now())

    return GroupCommit(url, commit_batch, weigh=len, connect=_line, writers=writers)


async def _line(url: str) -> Line:
    """A writer's own line: PostgreSQL works on one batch while another waits for its fsync."""
    return await Line.open(url, BY_KEYS)
