"""What a process remembers of tills for seconds, so that a scan asks the database once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from checkout import repository, rollout
from checkout.merchants import Terminal
from ledger.clock import monotonic
from ledger.database import Engine, transaction
from ledger.errors import Unavailable

KEPT_SECONDS = 3.0
"""How long a rail that was put on or off may still be told otherwise at a scan; an attempt by it is refused at once."""
TERMINALS_MAX = 10_000
RAILS_SECONDS_MAX = 0.3
"""How long a scan waits to learn which rails are on: loyalty is told without them."""


@dataclass(frozen=True, slots=True)
class KnownTill:
    """A till and the rails that are on at it."""

    terminal: Terminal
    rails: tuple[str, ...]
    is_in_time: bool
    """False if it could not be learnt in time which rails are on."""


@dataclass(slots=True)
class TillMemory:
    """Tills seen in the last seconds."""

    _known: dict[str, tuple[KnownTill, float]] = field(default_factory=dict)

    async def till(self, engine: Engine, terminal_id: str, *, now: datetime) -> KnownTill:
        """The till. Raises: TerminalNotFound; what the database raises when the till itself must be looked up."""
        known, seen_at = self._known.get(terminal_id, (None, float("-inf")))
        if known is not None and monotonic() - seen_at < KEPT_SECONDS:
            return known
        if known is None:
            async with transaction(engine) as session:
                terminal = await repository.load_terminal(session, terminal_id)
        else:
            terminal = known.terminal  # a till never moves to another store
        found = await self._read(engine, terminal, now=now)
        if found.is_in_time:
            if len(self._known) >= TERMINALS_MAX:
                self._known.clear()
            self._known[terminal_id] = (found, monotonic())
        return found

    async def _read(self, engine: Engine, terminal: Terminal, *, now: datetime) -> KnownTill:
        try:
            async with asyncio.timeout(RAILS_SECONDS_MAX), transaction(engine) as session:
                return KnownTill(terminal, await rollout.rails_on(session, terminal.id, now=now), is_in_time=True)
        except (TimeoutError, Unavailable):
            return KnownTill(terminal, (), is_in_time=False)
