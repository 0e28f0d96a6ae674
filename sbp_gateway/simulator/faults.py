"""Faults to order: what goes wrong, how often, repeatable by seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

DELAYED_SECONDS = 1.0
"""How much longer a delayed answer takes."""

Work = Callable[[Request], Awaitable[ASGIApp]]
"""What an endpoint does, and its answer."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each fault happens: 0 never, 1 always."""

    lost_request: float = 0.0
    """We never hear the request."""
    lost_answer: float = 0.0
    """We carry the request out and the answer is cut off."""
    delayed_answer: float = 0.0
    """The answer takes a second longer."""
    lost_notification: float = 0.0
    duplicate_notification: float = 0.0
    late_notification: float = 0.0
    """It starts three seconds later."""
    reordered_notification: float = 0.0
    """Another notification overtakes it."""
    wrong_amount: float = 0.0
    """The notification tells another amount than was paid."""
    rejected_payment: float = 0.0
    """The buyer's bank says no; the buyer may try again."""
    late_success: float = 0.0
    """The money moves only when the link's time and everybody's patience are over."""
    refund_refused: float = 0.0
    """The bank decides against a refund that NSPK took."""
    refund_pending: float = 0.0
    """The bank takes an hour to decide on a refund."""
    seed: int = 0


@dataclass(slots=True)
class Faults:
    """Draws faults at the present rates."""

    rates: FaultRates = field(default_factory=FaultRates)
    counts: dict[str, int] = field(default_factory=dict)
    """How many of each there were."""
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  # must be repeatable

    def set(self, wanted: Mapping[str, Any]) -> FaultRates:
        """Take new rates, keeping those not named; the seed starts anew.

        Raises: ValueError if a name is unknown or a rate is not from 0 to 1.
        """
        known = {entry.name for entry in fields(FaultRates)}
        for name, value in wanted.items():
            if name not in known or not isinstance(value, int | float) or (name != "seed" and not 0 <= value <= 1):
                raise ValueError(f"not a fault or not a rate: {name}")
        self.rates = replace(self.rates, **wanted)
        self._chance = random.Random(self.rates.seed)  # noqa: S311  # must be repeatable
        return self.rates

    def happens(self, name: str) -> bool:
        """Whether the fault happens this time."""
        rate = float(getattr(self.rates, name))
        if rate == 0 or self._chance.random() >= rate:
            return False
        self.counts[name] = self.counts.get(name, 0) + 1
        return True

    def around(self, work: Work) -> Work:
        """An endpoint whose requests and answers are lost and delayed as ordered."""

        async def endpoint(request: Request) -> ASGIApp:
            if self.happens("lost_request"):
                return CutConnection()
            answer = await work(request)
            if self.happens("delayed_answer"):
                await asyncio.sleep(DELAYED_SECONDS)
            return CutConnection() if self.happens("lost_answer") else answer

        return endpoint


class CutConnection:
    """An answer that breaks off: the client sees the connection end before the body does."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Promise a body and leave."""
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]},
        )
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
