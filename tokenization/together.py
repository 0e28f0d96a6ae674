"""Many callers at once: what they ask becomes one statement, one set of events and one fsync.

The door brings a queue that hands over whatever waits (``ledger.group_commit`` fits) and carries it out with
``tokenize_batch`` or ``read_batch``. Nobody gets an answer before its events are committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from pci.database import Transactions
from pci.keys.ring import KeyRing
from tokenization import cards, short_road
from tokenization.card import OpenCard, Tokenized
from tokenization.card_errors import CardTampered, TokenRefused
from tokenization.cards import CardAsk, CardIn
from tokenization.short_road import Line

Job = TypeVar("Job", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


class CardQueue(Protocol[Job, Answer]):
    """Where jobs wait to be carried out together."""

    async def submit(self, job: Job) -> Answer:
        """Wait until the job is committed and give its answer."""


async def tokenize_batch(
    line: Line, transactions: Transactions, ring: KeyRing, jobs: Sequence[CardIn], *, now: datetime
) -> list[Tokenized]:
    """Carry out what waits. Each card was checked and its merchant's keys opened before it was queued."""
    kept = await short_road.keep_new(line, ring, jobs, now=now)
    if kept is not None:
        return kept
    async with transactions() as session:
        return await cards.tokenize_many(session, ring, jobs, now=now)


async def read_batch(
    line: Line, ring: KeyRing, jobs: Sequence[Sequence[CardAsk]], *, now: datetime
) -> list[list[OpenCard | TokenRefused | CardTampered]]:
    """Carry out what waits: each job is one token or many. Refusals are answers, and their events are committed too."""
    opened = iter(await short_road.open_cards(line, ring, [ask for job in jobs for ask in job], now=now))
    return [[next(opened) for _ in job] for job in jobs]


async def tokenize(queue: CardQueue[CardIn, Tokenized], ring: KeyRing, card: CardIn, *, now: datetime) -> Tokenized:
    """Keep a card together with whatever else waits.

    Raises: CardRefused, before it can spoil the batch; Sealed; ProviderUnavailable.
    """
    card.details.check(now)
    await cards.prepare(ring, card.terms.merchant_id, now)
    return await queue.submit(card)
