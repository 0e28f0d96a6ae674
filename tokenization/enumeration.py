"""Who asks for many tokens that are not there is guessing: a wait for that caller, and a line in the log.

A token has 144 random bits and cannot be guessed; a digits token has a dozen digits and, where there are millions of
cards, could be. Counted in the process, for callers and people alone: our own services ask for everybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from tokenization import refusals
from tokenization.card_errors import TokenNotFound, TooManyUnknownTokens
from tokenization.ending import CardDoing

UNKNOWN_MAX = 20
"""People mistype and records grow old; nobody asks for this many by mistake."""
WINDOW = timedelta(minutes=10)
CALLERS_MAX = 10_000
"""Callers remembered at once; the longest silent are forgotten first."""
OURS = "service:"


@dataclass(slots=True)
class UnknownTokens:
    """When each caller last asked for tokens that are not there."""

    _asked: dict[str, deque[datetime]] = field(default_factory=dict)

    def refuse(self, actor: str, now: datetime) -> None:
        """Raises: TooManyUnknownTokens."""
        asked = self._asked.get(actor)
        while asked and asked[0] <= now - WINDOW:
            asked.popleft()
        if asked and len(asked) >= UNKNOWN_MAX:
            raise TooManyUnknownTokens(wait_seconds=int((asked[0] + WINDOW - now).total_seconds()) + 1)

    def note(self, actor: str, now: datetime) -> bool:
        """Count one more; whether it was the one too many."""
        if actor.startswith(OURS):
            return False
        asked = self._asked.pop(actor, None) or deque(maxlen=UNKNOWN_MAX)
        asked.append(now)
        self._asked[actor] = asked
        while len(self._asked) > CALLERS_MAX:
            del self._asked[next(iter(self._asked))]
        return len(asked) == UNKNOWN_MAX


@asynccontextmanager
async def guarded(transactions: Transactions, unknown: UnknownTokens, doing: CardDoing) -> AsyncIterator[Session]:
    """A transaction for somebody who asks by token; a token that is not there is told and counted.

    Raises: TooManyUnknownTokens; TokenNotFound; what the block raises.
    """
    unknown.refuse(doing.actor, doing.at)
    try:
        async with refusals.kept(transactions) as session:
            try:
                yield session
            except TokenNotFound as refusal:
                if refusal.event is None:
                    refusal.event = replace(
                        doing.event("card.looked_up", "card:unknown", code=refusal.code), outcome=AuditOutcome.REFUSED
                    )
                raise
    except TokenNotFound:
        if unknown.note(doing.actor, doing.at):
            async with transactions() as session:
                await stage(session, [doing.event("tokens.guessed", "card:unknown", unknown=UNKNOWN_MAX)])
        raise
