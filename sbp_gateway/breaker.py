"""The circuit breaker: when most calls to the other side fail, further ones are refused before they are sent.

A pure state machine; time comes in by argument, in milliseconds of a clock that never goes back. DECISIONS.md, 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

CALLS_MIN = 20
"""Fewer calls than this prove nothing."""
FAILURES_PERCENT_MIN = 60
"""Of the calls of a window; a third of the answers lost is a bad day, not an outage."""
WINDOW_MS = 30_000
"""Over which calls are counted, then anew. A silent NSPK costs 5 s a call, so 20 must fit in."""
OPEN_MS = 5_000
"""How long nothing is sent before one call tries the way."""


class BreakerState(StrEnum):
    """Whether calls go out."""

    CLOSED = "closed"
    """They do, and are counted."""
    OPEN = "open"
    """None does."""
    HALF_OPEN = "half_open"
    """One does, to see whether the other side is back."""


ALLOWED: dict[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}),
    BreakerState.OPEN: frozenset({BreakerState.HALF_OPEN}),
    BreakerState.HALF_OPEN: frozenset({BreakerState.CLOSED, BreakerState.OPEN}),
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker of one kind of calls."""

    state: BreakerState = BreakerState.CLOSED
    since_ms: int = 0
    """When the present count began, or when the breaker came to its state."""
    calls: int = 0
    failures: int = 0
    is_probing: bool = False
    """The one call of the half-open breaker is out."""
    term: int = 0
    """How often the state changed: what a call of another term reports counts for nothing."""


def advance(breaker: Breaker, to: BreakerState, now_ms: int) -> Breaker:
    """The breaker in another state, counting from nothing."""
    assert to in ALLOWED[breaker.state], f"a breaker does not go from {breaker.state} to {to}"
    return Breaker(state=to, since_ms=now_ms, term=breaker.term + 1)


def ask(breaker: Breaker, now_ms: int) -> tuple[Breaker, bool]:
    """Whether a call may go out now, and the breaker after that answer."""
    if breaker.state is BreakerState.OPEN and now_ms >= breaker.since_ms + OPEN_MS:
        breaker = advance(breaker, BreakerState.HALF_OPEN, now_ms)
    if breaker.state is BreakerState.HALF_OPEN and not breaker.is_probing:
        return replace(breaker, is_probing=True), True
    if breaker.state is not BreakerState.CLOSED:
        return breaker, False
    if now_ms >= breaker.since_ms + WINDOW_MS:
        breaker = replace(breaker, since_ms=now_ms, calls=0, failures=0)
    return breaker, True


def report(breaker: Breaker, term: int, now_ms: int, *, failed: bool | None) -> Breaker:
    """The breaker after a call let out in ``term`` has ended. None: we gave the call up, which proves nothing."""
    if term != breaker.term:
        return breaker
    if breaker.state is BreakerState.HALF_OPEN:
        if failed is None:
            return replace(breaker, is_probing=False)
        return advance(breaker, BreakerState.OPEN if failed else BreakerState.CLOSED, now_ms)
    if failed is None:
        return breaker
    counted = replace(breaker, calls=breaker.calls + 1, failures=breaker.failures + failed)
    return advance(counted, BreakerState.OPEN, now_ms) if _is_broken(counted) else counted


def _is_broken(breaker: Breaker) -> bool:
    return breaker.calls >= CALLS_MIN and breaker.failures * 100 >= breaker.calls * FAILURES_PERCENT_MIN
