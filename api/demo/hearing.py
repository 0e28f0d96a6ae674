"""What the demo hears of payments: the door's list of events, read on from where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from api.demo.caller import Caller
from api.demo.errors import DemoFailed
from ledger.clock import monotonic

PAGE = 200
READ_SECONDS = 0.05
SILENCE_SECONDS_MAX = 180.0
"""Payments are waited for as long as some are still booked: the slowest are polled after a minute."""


class Awaited(Protocol):
    """A sale whose payment is to be heard of."""

    order_id: str
    paid_at: float
    """By the monotonic clock: when its payer said yes."""


@dataclass(slots=True)
class Hearing:
    """Which orders are known to be paid."""

    caller: Caller
    expected: dict[str, Awaited] = field(default_factory=dict)
    paid: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By order: the data of its event."""
    booked_seconds: list[float] = field(default_factory=list)
    """From the payer's yes to the event, for each order."""
    twice: list[str] = field(default_factory=list)
    """Orders that were told to be paid more than once: must stay empty."""
    heard_at: float = 0.0
    cursor: str = ""
    """How far the list has been read."""
    read_seconds: float = READ_SECONDS
    """Between two readings of a list that has nothing new."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def expect(self, sale: Awaited) -> None:
        """The payer of a sale is about to pay."""
        sale.paid_at = monotonic()
        self.expected[sale.order_id] = sale

    @property
    def unbooked(self) -> int:
        """Payments that are not heard of yet."""
        return len(self.expected) - len(self.paid)

    async def wait_below(self, count: int) -> None:
        """Wait until fewer payments than ``count`` are on their way."""
        if self.unbooked < count:
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self.unbooked < count)

    async def wait_for_all(self) -> None:
        """Wait until every expected payment is heard of.

        Raises: DemoFailed when nothing is heard for ``SILENCE_SECONDS_MAX``.
        """
        self.heard_at = monotonic()
        while self.unbooked:
            if monotonic() - self.heard_at > SILENCE_SECONDS_MAX:
                raise DemoFailed(f"{self.unbooked} payments were not booked: nothing is heard of them any more")
            await asyncio.sleep(READ_SECONDS)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Read the list in the background while the block runs. What goes wrong there ends the block."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            yield
            listening.cancel()

    async def _listen(self) -> None:
        while True:
            page = await self.caller.get(f"/v1/events?type=order.paid&limit={PAGE}&after={quote(self.cursor)}")
            self.cursor = page["next"] or self.cursor
            for event in page["items"]:
                self._take(event)
            if page["items"]:
                async with self._changed:
                    self._changed.notify_all()
            if not page["has_more"]:
                await asyncio.sleep(self.read_seconds)

    def _take(self, event: dict[str, Any]) -> None:
        order_id = event["object_id"]
        self.heard_at = monotonic()
        if order_id in self.paid:
            self.twice.append(order_id)
            return
        self.paid[order_id] = event["data"]
        if (sale := self.expected.get(order_id)) is not None:
            self.booked_seconds.append(self.heard_at - sale.paid_at)
