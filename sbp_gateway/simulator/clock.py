"""The simulator's own time, which a test may move ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ledger.clock import machine_now

AHEAD_SECONDS_MAX = 10 * 366 * 86_400


@dataclass(slots=True)
class SimulatorClock:
    """The machine's time and how far NSPK is ahead of it. Moves only forward, as time does."""

    remember: Callable[[Mapping[str, Any]], None]
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """NSPK's time, UTC."""
        return machine_now() + self.ahead

    def advance(self, seconds: int) -> datetime:
        """Move NSPK's time ahead. Raises: ValueError if it is not ahead, or ten years and more."""
        if not 0 < seconds <= AHEAD_SECONDS_MAX - self.ahead.total_seconds():
            raise ValueError("seconds: write how far to move ahead, at most ten years in all")
        self.ahead += timedelta(seconds=seconds)
        self.remember({"clock_ahead_seconds": int(self.ahead.total_seconds())})
        return self.now()

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "clock_ahead_seconds" in line:
            self.ahead = timedelta(seconds=line["clock_ahead_seconds"])
