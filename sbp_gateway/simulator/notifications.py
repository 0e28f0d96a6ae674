"""Notifications from NSPK to the agent: sent in the background, again when there is no answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sbp_gateway.simulator.faults import Faults
from sbp_gateway.simulator.scripts import NO_SCRIPT, NotificationFault, Script

SENDERS = 16
"""Notifications on their way at once."""
QUEUE_MAX = 100_000
TRIES_MAX = 8
LATE_SECONDS = 3.0
OVERTAKEN_SECONDS_MAX = 5.0
"""How long a notification waits to be overtaken by another."""
OVERTAKING_SECONDS = 0.3
"""How far the other one is ahead then."""
WRONG_BY_KOPECKS = 100
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
    _overtaken: list[asyncio.Event] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SENDERS))
    _client: aiohttp.ClientSession | None = None

    def notify(
        self, notification: Mapping[str, Any], delay_seconds: float = 0.0, script: Script = NO_SCRIPT, path: str = PATH
    ) -> None:
        """Send a notification soon, unless the script or the faults say otherwise."""
        if not self.agent_url or self._happens(NotificationFault.LOST, script) or len(self._tasks) >= QUEUE_MAX:
            return
        said = {**notification, **self._wrong(notification, script)}
        copies = 2 if self._happens(NotificationFault.DUPLICATE, script) else 1
        delay_seconds += script.delay_seconds + (LATE_SECONDS if self.faults.happens("late_notification") else 0.0)
        overtaken = None
        self._let_overtaken_go()
        if self._happens(NotificationFault.REORDERED, script):
            overtaken = asyncio.Event()
            self._overtaken.append(overtaken)
        for _ in range(copies):
            self._begin(self._send(said, path, delay_seconds, overtaken))

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something after a while."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            work()

        self._begin(wait())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _happens(self, fault: NotificationFault, script: Script) -> bool:
        return fault in script.notification or self.faults.happens(f"{fault}_notification")

    def _wrong(self, notification: Mapping[str, Any], script: Script) -> dict[str, Any]:
        if "amount" not in notification:
            return {}
        if script.wrong_amount is not None:
            return {"amount": script.wrong_amount}
        return {"amount": notification["amount"] + WRONG_BY_KOPECKS} if self.faults.happens("wrong_amount") else {}

    def _let_overtaken_go(self) -> None:
        for event in self._overtaken:
            event.set()
        self._overtaken.clear()

    async def _send(
        self, notification: dict[str, Any], path: str, delay_seconds: float, overtaken: asyncio.Event | None = None
    ) -> None:
        self.waiting += 1
        try:
            if overtaken is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(overtaken.wait(), OVERTAKEN_SECONDS_MAX)
                    delay_seconds += OVERTAKING_SECONDS
            if delay_seconds:
                await asyncio.sleep(delay_seconds)
            for attempt in range(TRIES_MAX):
                async with self._places:
                    if await self._post(path, notification):
                        self.sent += 1
                        return
                await asyncio.sleep(0.2 * 2**attempt)
            self.given_up += 1
        finally:
            self.waiting -= 1

    async def _post(self, path: str, notification: dict[str, Any]) -> bool:
        if self._client is None:
            # whom to trust is asked of the environment now; aiohttp asked it when it was imported
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
            self._client = aiohttp.ClientSession(
                self.agent_url, connector=connector, timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
            )
        try:
            async with self._client.post(path, json=notification) as response:
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
