"""The way to NSPK: what may be repeated, when nothing is sent, how long anybody waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ledger.database import Engine, in_transaction, is_in_transaction, transaction
from sbp_gateway.breaker import CALLS_MIN, OPEN_MS, BreakerState
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk_transport import ANSWER_BYTES_MAX, READ_TIMEOUT_SECONDS, TRIES_MAX, Meter, NspkTransport
from sbp_gateway.retry_budget import CREDIT_MAX

PATH = "/payment/v2/qrc-status"
GOOD = {"code": "RQ00000", "message": "", "data": ["said"]}


@dataclass
class Counted(Meter):
    """Counts what the transport tells."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: int = 0
    states: dict[str, BreakerState] = field(default_factory=dict)

    def call(self, kind: str, outcome: str) -> None:
        self.calls[kind, outcome] += 1

    def retry(self) -> None:
        self.retries += 1

    def breaker(self, kind: str, state: BreakerState) -> None:
        self.states[kind] = state


@dataclass
class Other:
    """A server on the other side that answers as the script says, and the way to it."""

    script: list[Any]
    """Each answer: an envelope, a status, or "cut"; the last goes on for ever."""
    heard: list[str] = field(default_factory=list)
    meter: Counted = field(default_factory=Counted)
    now_ms: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append(f"{request.method} {request.rel_url}")
        said = self.script[min(len(self.heard), len(self.script)) - 1]
        if said == "cut":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if said == "silent":
            await asyncio.sleep(60)
        return web.json_response(said, status=400 if said.get("code", "").startswith("RQ05") else 200)


@asynccontextmanager
async def reached(
    *script: Any, clock: Callable[[Other], int] | None = None
) -> AsyncIterator[tuple[NspkTransport, Other]]:
    other = Other(list(script))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other.answer)
    async with TestServer(app) as server:
        options: dict[str, Any] = {} if clock is None else {"clock": lambda: clock(other)}
        transport = NspkTransport(str(server.make_url("/")), meter=other.meter, **options)
        yield transport, other
        await transport.close()


async def lose(transport: NspkTransport, *, is_safe: bool) -> type[Exception]:
    with pytest.raises((NspkUnknown, NspkUnavailable)) as lost:
        await transport.call("PUT" if is_safe else "POST", PATH, {}, is_safe=is_safe)
    return lost.type


async def test_a_safe_call_is_repeated_until_it_is_answered() -> None:
    async with reached("cut", {"code": "RQ07999"}, GOOD) as (transport, other):
        assert await transport.call("PUT", PATH, {"qrcIds": []}, is_safe=True, params={"a": "b"}) == ["said"]

    assert other.heard == [f"PUT {PATH}?a=b"] * 3
    assert other.meter.retries == 2
    assert other.meter.calls == {("read", "unknown"): 2, ("read", "processed"): 1}


async def test_what_moves_money_is_sent_once() -> None:
    async with reached("cut") as (transport, other):
        assert await lose(transport, is_safe=False) is NspkUnknown

    assert len(other.heard) == 1
    assert other.meter.retries == 0


async def test_a_refusal_is_not_repeated_and_counts_as_an_answer() -> None:
    async with reached({"code": "RQ05001", "message": "no"}) as (transport, other):
        for _ in range(CALLS_MIN + 1):
            with pytest.raises(NspkRefused):
                await transport.call("PUT", PATH, {}, is_safe=True)

    assert len(other.heard) == CALLS_MIN + 1
    assert other.meter.states == {"read": BreakerState.CLOSED}


async def test_tries_have_a_limit() -> None:
    async with reached("cut") as (transport, other):
        await lose(transport, is_safe=True)

    assert len(other.heard) == TRIES_MAX


async def test_retries_are_a_tenth_of_the_calls() -> None:
    steps = ["cut", *[GOOD] * 4] * 60  # a fifth is lost: too little for the breaker, too much for the budget
    async with reached(*steps) as (transport, other):
        calls = 0
        while len(other.heard) < len(steps) - TRIES_MAX:
            calls += 1
            with suppress(NspkUnknown):
                await transport.call("PUT", PATH, {}, is_safe=True)

    assert other.meter.retries == len(other.heard) - calls
    assert other.meter.retries <= calls / 10 + CREDIT_MAX / 100


async def test_in_an_outage_nothing_is_sent_and_one_call_finds_the_way_back() -> None:
    async with reached(*["cut"] * CALLS_MIN, GOOD, clock=lambda other: other.now_ms) as (transport, other):
        assert {await lose(transport, is_safe=False) for _ in range(CALLS_MIN)} == {NspkUnknown}
        assert await lose(transport, is_safe=False) is NspkUnavailable
        assert len(other.heard) == CALLS_MIN
        assert other.meter.states["write"] is BreakerState.OPEN

        other.now_ms += OPEN_MS
        assert await transport.call("POST", PATH, {}, is_safe=False) == ["said"]
        assert other.meter.states["write"] is BreakerState.CLOSED


async def test_an_open_breaker_of_writes_lets_reads_through() -> None:
    async with reached(*["cut"] * CALLS_MIN, GOOD, clock=lambda other: other.now_ms) as (transport, _):
        for _ in range(CALLS_MIN):
            await lose(transport, is_safe=False)

        assert await transport.call("PUT", PATH, {}, is_safe=True) == ["said"]


async def test_a_refusal_of_the_breaker_is_not_repeated() -> None:
    async with reached("cut", clock=lambda other: other.now_ms) as (transport, other):
        while other.meter.states.get("read") is not BreakerState.OPEN:
            await lose(transport, is_safe=True)
        heard, calls = len(other.heard), other.meter.calls.total()

        assert await lose(transport, is_safe=True) is NspkUnavailable

    assert (len(other.heard), other.meter.calls.total()) == (heard, calls + 1)


async def test_a_call_given_up_proves_nothing() -> None:
    async with reached("silent", clock=lambda other: other.now_ms) as (transport, other):
        for _ in range(CALLS_MIN):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(transport.call("POST", PATH, {}, is_safe=False), 0.01)

        assert other.meter.states == {"write": BreakerState.CLOSED}


async def test_nobody_there_means_that_nothing_was_sent() -> None:
    transport = NspkTransport("http://127.0.0.1:9")

    assert await lose(transport, is_safe=False) is NspkUnavailable
    await transport.close()


async def test_no_call_is_longer_than_its_deadline() -> None:
    async with reached("silent") as (transport, _):
        began = monotonic()
        with pytest.raises(NspkUnknown):
            await transport.call("PUT", PATH, {}, is_safe=True, seconds_max=0.3)

    assert monotonic() - began < READ_TIMEOUT_SECONDS, "it waited for less than one answer"


async def test_an_answer_without_end_is_none() -> None:
    async with reached({"code": "RQ00000", "data": "x" * ANSWER_BYTES_MAX}) as (transport, other):
        assert await lose(transport, is_safe=False) is NspkUnknown

    assert len(other.heard) == 1


async def test_the_world_is_not_talked_to_inside_a_transaction(engine: Engine) -> None:
    async with reached(GOOD) as (transport, other):
        with pytest.raises(AssertionError, match="transaction is open"):
            await in_transaction(engine, lambda _session: transport.call("PUT", PATH, {}, is_safe=True))
        async with transaction(engine):
            assert is_in_transaction()
            assert not await asyncio.create_task(_asked())  # another task may

        assert await transport.call("PUT", PATH, {}, is_safe=True) == ["said"]

    assert len(other.heard) == 1


async def _asked() -> bool:
    return is_in_transaction()


@pytest.mark.parametrize("is_safe", [True, False])
async def test_without_an_address_nothing_is_sent_and_nobody_waits(is_safe: bool) -> None:
    meter = Counted()
    transport = NspkTransport("", meter=meter)

    assert await lose(transport, is_safe=is_safe) is NspkUnavailable
    assert meter.retries == 0
