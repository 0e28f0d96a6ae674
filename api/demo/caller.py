"""Calls that arrive once: keys, repeats, dropped answers on purpose, and retries after real losses."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from api.demo.errors import DemoFailed
from api.demo.sale import Story
from api.demo.wire import Answer, Connection, ConnectionLost
from ledger.clock import machine_now, monotonic

REPEATED_SHARE = 0.10
"""Of the POSTs is sent again under the same key after its answer came."""
DROPPED_SHARE = 0.03
"""Of the POSTs loses its answer at first: we hang up and send it again."""
RETRY_SECONDS_MAX = 120.0
"""PostgreSQL may be recovering meanwhile."""
WAIT_SECONDS_MIN = 0.05
WAIT_SECONDS_MAX = 1.0
LATER = frozenset({409, 429, 500, 502, 503, 504})
"""Answers after which the same request under the same key is sent again, 409 only while the first is under way."""


@dataclass(slots=True)
class Tally:
    """What the callers did and met."""

    posts: int = 0
    """Different ones, each under its own key."""
    repeated: int = 0
    replayed: int = 0
    """Repeats that the door said it had answered before."""
    dropped: int = 0
    retried: int = 0
    """After connections that broke and answers that asked to come back."""
    differing: list[str] = field(default_factory=list)
    """Repeats whose answer was not the same: must stay empty."""
    refused: Counter[str] = field(default_factory=Counter)
    """Final refusals by their code."""


@dataclass(slots=True)
class Caller:
    """One client of the door, with connections of its own."""

    api: Connection
    run: str
    """Makes the keys of this run unlike those of another."""
    seed: int
    tally: Tally
    repeated_share: float = REPEATED_SHARE
    dropped_share: float = DROPPED_SHARE

    async def post(self, path: str, body: Any, what: str, *, story: Story | None = None) -> Answer:
        """POST under the key of ``what``, with the trouble that is due to it, and give the final answer.

        Raises: DemoFailed if there is none after ``RETRY_SECONDS_MAX``.
        """
        answer, _ = await self.timed_post(path, body, what, story=story)
        return answer

    async def timed_post(self, path: str, body: Any, what: str, *, story: Story | None = None) -> tuple[Answer, float]:
        """The same, and the seconds until the answer came."""
        chance = random.Random(f"{self.seed}/{what}")  # noqa: S311  # must be repeatable
        key = {"idempotency-key": f"demo-{self.run}-{what}"}
        self.tally.posts += 1
        if chance.random() < self.dropped_share:
            self.tally.dropped += 1
            await self._drop(path, body, key)
            if story is not None:
                story.append((machine_now(), f"POST {short(path)}: we hung up before the answer came"))
        begun = monotonic()
        answer = await self._insist("POST", path, body, key)
        seconds = monotonic() - begun
        if chance.random() < self.repeated_share:
            await self._repeat(path, body, key, answer)
            if story is not None:
                story.append(
                    (machine_now(), f"POST {short(path)}: sent again under the same key; the same bytes came back")
                )
        if answer.status >= 400:
            self.tally.refused[str(answer.json().get("code"))] += 1
        return answer, seconds

    async def get(self, path: str) -> Any:
        """What the door shows. Raises: DemoFailed if it shows nothing."""
        answer = await self._insist("GET", path, None, {})
        if answer.status != 200:
            raise DemoFailed(f"GET {path} was answered with {answer.status}: {answer.body[:600].decode()}")
        return answer.json()

    async def _drop(self, path: str, body: Any, key: dict[str, str]) -> None:
        with suppress(ConnectionLost):  # it was to be lost anyway
            await self.api.tell("POST", path, body, key)

    async def _repeat(self, path: str, body: Any, key: dict[str, str], first: Answer) -> None:
        again = await self._insist("POST", path, body, key)
        self.tally.repeated += 1
        self.tally.replayed += again.is_replayed
        if (again.status, again.body) != (first.status, first.body):
            self.tally.differing.append(f"POST {path} {key['idempotency-key']}")

    async def _insist(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        deadline, wait = monotonic() + RETRY_SECONDS_MAX, WAIT_SECONDS_MIN
        while True:
            try:
                answer = await self.api.ask(method, path, body, headers)
                if answer.status not in LATER or not is_for_later(answer):
                    return answer
                said = f"{answer.status} {answer.body[:600].decode(errors='replace')}"
            except ConnectionLost as lost:
                said = str(lost)
            if monotonic() + wait > deadline:
                raise DemoFailed(f"{method} {path} has no answer after {RETRY_SECONDS_MAX:.0f} s: {said}")
            self.tally.retried += 1
            await asyncio.sleep(wait)
            wait = min(wait * 2, WAIT_SECONDS_MAX)


def is_for_later(answer: Answer) -> bool:
    """Whether the door asks for the same request once more."""
    return answer.status != 409 or answer.json().get("code") == "idempotency.in_progress"


def short(path: str) -> str:
    """A path without the ids in it."""
    return "/".join("…" if "_" in part else part for part in path.split("/"))
