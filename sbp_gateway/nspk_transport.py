"""How NSPK's agent API is called: one envelope for every answer, limits on waiting, words for every failure.

Only calls that change nothing are repeated, and few of them; when most calls fail, none is sent for a while.
Source: NSPK agent API, envelope ``{code, message, data}``; success is ``RQ00000``. DECISIONS.md, 8 and 9.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from ledger.database import is_in_transaction
from ledger.errors import KopeykaError
from sbp_gateway import retry_budget
from sbp_gateway.breaker import Breaker, BreakerState, ask, report
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.money_units import from_json
from sbp_gateway.nspk import PROCESSED

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
"""Of one try."""
CALL_SECONDS_MAX = 6.0
"""Of a call with all its tries."""
TRIES_MAX = 3
RETRY_WAIT_SECONDS = 0.1
RETRY_WAIT_SECONDS_MAX = 1.0
"""Waits are drawn evenly from nothing up to a bound that doubles from the first to the second: full jitter."""
CONNECTIONS_MAX = 32
ANSWER_BYTES_MAX = 1_000_000
"""A hundred statuses are 20 KB, a picture of a QR less than 100."""
_TECHNICAL = "RQ07"
"""How codes of technical errors begin: the request may or may not have been carried out."""
_BREAKER_OPEN = "most calls failed: none is sent for a while"
_NO_ADDRESS = "no address is set"
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_NO_ANSWER = (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError)


class Meter:
    """Hears what became of calls; this one forgets it."""

    def call(self, kind: str, outcome: str) -> None:
        """A call ended: processed, refused, unknown, unavailable or given_up."""

    def retry(self) -> None:
        """A call is repeated."""

    def breaker(self, kind: str, state: BreakerState) -> None:
        """A breaker came to a state."""


def milliseconds() -> int:
    """Of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


def read_envelope(status: int, envelope: Any) -> Any:
    """The ``data`` of NSPK's envelope. Raises: NspkRefused; NspkUnknown."""
    code, message = str(envelope["code"]), str(envelope.get("message", ""))
    if status >= 500 or code.startswith(_TECHNICAL):
        raise NspkUnknown(reason=code)
    if status != 200 or code != PROCESSED:
        raise NspkRefused(nspk_code=code, nspk_message=message)
    return envelope.get("data")


class NspkTransport:
    """The way to NSPK, or to another provider with an envelope of its own. Connects when it is first used."""

    def __init__(
        self,
        base_url: str,
        tls: ssl.SSLContext | None = None,
        *,
        read: Callable[[int, Any], Any] = read_envelope,
        meter: Meter | None = None,
        clock: Callable[[], int] = milliseconds,
    ) -> None:
        self._base_url, self._tls, self._read = base_url, tls, read
        self._meter, self._clock = meter or Meter(), clock
        self._client: aiohttp.ClientSession | None = None
        self._breakers = {"read": Breaker(), "write": Breaker()}
        self._budget = retry_budget.RetryBudget()

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        is_safe: bool,
        params: Mapping[str, str] | None = None,
        seconds_max: float = CALL_SECONDS_MAX,
    ) -> Any:
        """What the envelope holds. ``is_safe``: asking twice changes nothing, so it may be asked again.

        Raises: NspkRefused; NspkUnknown when the answer was lost or says nothing; NspkUnavailable when nothing was
        sent, so that NSPK cannot have done it.
        """
        assert not is_in_transaction(), "NSPK is called while a transaction is open"
        if not self._base_url:
            raise NspkUnavailable(reason=_NO_ADDRESS)
        deadline = self._clock() + int(seconds_max * 1000)
        if not is_safe:
            return await self._guarded("write", deadline, method, path, body, params)
        self._budget = retry_budget.earn(self._budget)
        try:
            return await self._guarded("read", deadline, method, path, body, params)
        except (NspkUnknown, NspkUnavailable) as error:
            return await self._again(error, deadline, method, path, body, params)

    async def _again(self, first: KopeykaError, deadline: int, *request: Any) -> Any:
        """What to do after a first try failed. Apart, because most calls never come here."""
        failures = [first]

        async def attempt() -> Any:
            if failures:
                raise failures.pop()
            return await self._guarded("read", deadline, *request)

        repeating = AsyncRetrying(
            stop=lambda state: (
                stop_after_attempt(TRIES_MAX)(state) or self._is_late(state, deadline) or self._is_spent()
            ),
            wait=wait_random_exponential(multiplier=RETRY_WAIT_SECONDS, max=RETRY_WAIT_SECONDS_MAX),
            retry=retry_if_exception(_may_help),
            reraise=True,
        )
        return await repeating(attempt)

    def _is_late(self, state: RetryCallState, deadline: int) -> bool:
        return self._clock() + int(state.upcoming_sleep * 1000) >= deadline

    def _is_spent(self) -> bool:
        """Take a retry from the budget, if there is one. Asked last, because asking spends."""
        left = retry_budget.spend(self._budget)
        if left is None:
            return True
        self._budget = left
        self._meter.retry()
        return False

    async def _guarded(self, kind: str, deadline: int, *request: Any) -> Any:
        """One try, unless the breaker is open; the breaker and the meter hear how it ended."""
        breaker = self._breakers[kind]
        self._breakers[kind], may = ask(breaker, self._clock())
        if not may:
            self._meter.call(kind, "unavailable")
            raise NspkUnavailable(reason=_BREAKER_OPEN)
        term, outcome = self._breakers[kind].term, "given_up"
        try:
            data = await self._once(deadline, *request)
            outcome = "processed"
            return data
        except NspkRefused:
            outcome = "refused"
            raise
        except NspkUnknown:
            outcome = "unknown"
            raise
        except NspkUnavailable:
            outcome = "unavailable"
            raise
        finally:
            self._report(kind, term, outcome)

    def _report(self, kind: str, term: int, outcome: str) -> None:
        self._meter.call(kind, outcome)
        failed = None if outcome == "given_up" else outcome in ("unknown", "unavailable")
        self._breakers[kind] = report(self._breakers[kind], term, self._clock(), failed=failed)
        self._meter.breaker(kind, self._breakers[kind].state)

    async def _once(self, deadline: int, method: str, path: str, body: Any, params: Mapping[str, str] | None) -> Any:
        seconds = min(READ_TIMEOUT_SECONDS, (deadline - self._clock()) / 1000)
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_SECONDS, total=max(seconds, 0.001))
        request = self._connected().request(
            method, path, json=body, params=params, timeout=timeout, allow_redirects=False
        )
        try:
            async with request as response:
                return self._read(response.status, from_json(await _body_of(response)))
        except _NOT_SENT as error:
            raise NspkUnavailable(reason=type(error).__name__) from None
        except _NO_ANSWER as error:
            raise NspkUnknown(reason=type(error).__name__) from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                base_url=self._base_url,
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=self._tls or True),
                headers={"Accept": "application/json", "Accept-Charset": "UTF-8"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._client._retry_connection = False  # aiohttp would repeat PUT and DELETE outside of our budget
        return self._client


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """The answer's body, if it is not endless. Raises: ValueError."""
    read = bytearray()  # what it says of its length is not asked: it may be packed
    async for piece in response.content.iter_any():
        read += piece
        if len(read) > ANSWER_BYTES_MAX:
            raise ValueError("the answer has no end")
    return bytes(read)


def _may_help(error: BaseException) -> bool:
    """Whether asking again may get an answer."""
    return isinstance(error, NspkUnknown | NspkUnavailable) and error.facts["reason"] != _BREAKER_OPEN
