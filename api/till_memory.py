"""What a process remembers of tills for seconds, so that a scan asks the database once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from api.open_rails import open_rails
from checkout import repository
from checkout.merchants import Terminal
from ledger.clock import monotonic
from ledger.database import Engine, transaction
from ledger.errors import Unavailable

KEPT_SECONDS = 3.0
"""How long a rail that was put on or off may still be told otherwise at a scan; an attempt by it is refused at once."""
STALE_SECONDS_MAX = 30.0
"""While one scan reads a till's rails anew, the others go by what was known so short a time ago."""
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
    _reading: dict[str, asyncio.Task[KnownTill]] = field(default_factory=dict)

    async def till(self, engine: Engine, terminal_id: str, *, now: datetime) -> KnownTill:
        """The till. Raises: TerminalNotFound; what the database raises when the till itself must be looked up."""
        known, seen_at = self._known.get(terminal_id, (None, float("-inf")))
        age = monotonic() - seen_at
        if known is not None and (age < KEPT_SECONDS or (age < STALE_SECONDS_MAX and terminal_id in self._reading)):
            return known
        task = self._reading.get(terminal_id)
        if task is None:
            terminal = None if known is None else known.terminal  # a till never moves to another store
            task = asyncio.create_task(self._read(engine, terminal_id, terminal, now=now))
            self._reading[terminal_id] = task
            task.add_done_callback(lambda _done: self._reading.pop(terminal_id, None))
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Know nothing: the next scan reads."""
        self._known.clear()

    async def _read(self, engine: Engine, terminal_id: str, terminal: Terminal | None, *, now: datetime) -> KnownTill:
        if terminal is None:
            async with transaction(engine) as session:
                terminal = await repository.load_terminal(session, terminal_id)
        try:
            async with asyncio.timeout(RAILS_SECONDS_MAX), transaction(engine) as session:
                rails = await open_rails(session, terminal, now=now)
        except (TimeoutError, Unavailable):
            return KnownTill(terminal, (), is_in_time=False)
        found = KnownTill(terminal, rails, is_in_time=True)
        if len(self._known) >= TERMINALS_MAX:
            self._known.clear()
        self._known[terminal_id] = (found, monotonic())
        return found
