"""Notifications from NSPK to the agent: sent in the background, again when there is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sbp_gateway.simulator.faults import Faults

SENDERS = 16
"""Notifications on their way at once."""
QUEUE_MAX = 100_000
TRIES_MAX = 8
LATE_SECONDS = 3.0
ANSWER_SECONDS_MAX = 10.0
PATH = "/nspk/payment/v2/qrc/notification"


@dataclass(slots=True)
class Notifier:
    """Sends notifications to the agent."""

    agent_url: str
    faults: Faults
    sent: int = 0
    given_up: int = 0
    waiting: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SENDERS))
    _client: aiohttp.ClientSession | None = None

    def notify(self, notification: Mapping[str, Any], delay_seconds: float = 0.0) -> None:
        """Send a notification soon, unless the faults say otherwise."""
        if not self.agent_url or self.faults.happens("lost_notification") or len(self._tasks) >= QUEUE_MAX:
            return
        copies = 2 if self.faults.happens("duplicate_notification") else 1
        if self.faults.happens("late_notification"):
            delay_seconds += LATE_SECONDS
        for _ in range(copies):
            task = asyncio.create_task(self._send(dict(notification), delay_seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, notification: dict[str, Any], delay_seconds: float) -> None:
        self.waiting += 1
        try:
            if delay_seconds:
                await asyncio.sleep(delay_seconds)
            for attempt in range(TRIES_MAX):
                async with self._places:
                    if await self._post(notification):
                        self.sent += 1
                        return
                await asyncio.sleep(0.2 * 2**attempt)
            self.given_up += 1
        finally:
            self.waiting -= 1

    async def _post(self, notification: dict[str, Any]) -> bool:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                self.agent_url, timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
            )
        try:
            async with self._client.post(PATH, json=notification) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def close(self) -> None:
        """Drop what is still waiting."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
