"""The credit bureau over HTTP: plans are told of by the worker, each event again under its own id until it is taken.

Source: no bureau's interface is public; the shape is ours, and the simulator keeps to it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import aiohttp

from api.bank_address import bureau_address
from api.settings import Settings
from installments import bureau_deliveries as deliveries
from installments.bureau import line_of
from installments.bureau_deliveries import BureauDelivery
from ledger.clock import Clock
from ledger.database import Engine, is_in_transaction, transaction

SEND_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 4
ACKNOWLEDGEMENT_CHARACTERS_MAX = 100


class BureauCalls:
    """The network side of telling a bureau. Connects when there is first something to tell."""

    def __init__(self, engine: Engine, url: str, key: str, clock: Clock) -> None:
        self._engine, self._url, self._key, self._clock = engine, url, key, clock
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def tell_due(self) -> int:
        """Tell what is due; how many events were sent. Without an address they wait."""
        if not self._url:
            return 0
        async with transaction(self._engine) as session:
            due = await deliveries.claim_bureau_events(session, now=self._clock.now())
        for delivery in due:
            status, said = await self._send(delivery)
            async with transaction(self._engine) as session:
                await self._keep(session, delivery, status, said)
        return len(due)

    async def _send(self, delivery: BureauDelivery) -> tuple[int, dict[str, Any]]:
        """The bureau's answer; status 0 when nobody knows."""
        assert not is_in_transaction(), "the bureau is called while a transaction is open"
        try:
            async with self._connected().post(
                f"{self._url.rstrip('/')}/bureau/v1/events", data=body_of(delivery), allow_redirects=False
            ) as answer:
                said = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}
        return answer.status, said if isinstance(said, dict) else {}

    async def _keep(self, session: Any, delivery: BureauDelivery, status: int, said: dict[str, Any]) -> None:
        event, now = delivery.event, self._clock.now()
        number = str(said.get("acknowledgement") or "")[:ACKNOWLEDGEMENT_CHARACTERS_MAX]
        if status in (200, 201) and number:
            await deliveries.acknowledge_bureau_event(session, event.id, number, now=now)
        elif status == 422:
            await deliveries.refuse_bureau_event(session, event.id, str(said.get("reason") or "refused"))
        else:
            await deliveries.retry_bureau_event(session, event.id, delivery.attempt, now=now)

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SEND_SECONDS_MAX),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                headers={"content-type": "application/json", "authorization": f"Bearer {self._key}"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client


def bureau_of(settings: Settings, engine: Engine, clock: Clock) -> BureauCalls:
    """The way to the bureau. Raises: StartRefused if it is not safe."""
    return BureauCalls(engine, bureau_address(settings), settings.bureau_key.get_secret_value(), clock)


def body_of(delivery: BureauDelivery) -> bytes:
    """The event as it is exported, and with ``opened`` of whom it tells: name and birth date, nothing else."""
    said = json.loads(line_of(delivery.event))
    if delivery.subject is not None:
        subject = asdict(delivery.subject)
        said["subject"] = subject | {"born_on": subject["born_on"] and subject["born_on"].isoformat()}
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
