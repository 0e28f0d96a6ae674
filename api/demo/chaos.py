"""The killer: SIGKILL for an api process, the worker and PostgreSQL while orders are under way."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api.demo.errors import DemoFailed
from api.demo.premises import Premises
from ledger.clock import monotonic

VICTIMS = ("api", "worker", "postgres", "api", "postgres", "worker")
"""Twice each, spread evenly over the run."""
VICTIMS_OF_PLANS = ("api", "worker", "worker", "api", "worker", "api")
"""PostgreSQL lives: the second worker of plans is the demo itself."""
BACK_SECONDS_MAX = 90.0
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Killer:
    """Kills, waits until the victim is back, and kills the next when its time has come."""

    premises: Premises
    progress: Callable[[], float]
    """From 0 to 1: how much of the run is done."""
    seed: int
    victims: tuple[str, ...] = VICTIMS
    kills: dict[str, int] = field(default_factory=dict)

    async def work(self) -> None:
        """Kill every victim once at its share of the run.

        Raises: DemoFailed if one does not come back.
        """
        chance = random.Random(self.seed)  # noqa: S311  # must be repeatable
        for number, victim in enumerate(self.victims, 1):
            while self.progress() < number / (len(self.victims) + 1):  # noqa: ASYNC110  # progress is a number, not an event
                await asyncio.sleep(LOOK_SECONDS)
            pid = chance.choice(self._pids(victim))
            os.kill(pid, signal.SIGKILL)
            self.kills[victim] = self.kills.get(victim, 0) + 1
            await self._wait_until_replaced(victim, pid)

    async def _wait_until_replaced(self, victim: str, pid: int) -> None:
        deadline = monotonic() + BACK_SECONDS_MAX
        while not (pids := self._pids(victim)) or pid in pids:
            if monotonic() > deadline:
                raise DemoFailed(f"{victim} did not come back: {self.premises.last_words()}")
            await asyncio.sleep(LOOK_SECONDS)

    def _pids(self, victim: str) -> list[int]:
        told = self.premises.runtime()
        if victim == "postgres":
            return [pid for pid in [told.get("postgres_pid")] if pid]
        return list(told.get("pids", {}).get(victim, []))


@asynccontextmanager
async def killing(killer: Killer, *, is_on: bool) -> AsyncIterator[None]:
    """Let the killer go about while the run lasts."""
    async with asyncio.TaskGroup() as tasks:
        if is_on:
            tasks.create_task(killer.work())
        yield


def first(failed: BaseExceptionGroup[Any]) -> BaseException:
    """What went wrong first of all that did."""
    found: BaseException = failed
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
