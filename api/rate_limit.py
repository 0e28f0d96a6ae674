"""Rate limits: a token bucket for each API key and class of routes, in each process.

Source: draft-ietf-httpapi-ratelimit-headers, the structured form of both headers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ledger.clock import monotonic

BURST_SECONDS = 2
"""What may come at once: so many seconds' worth."""
BUCKETS_MAX = 20_000

RouteClass = Literal["reads", "writes"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller may still do."""

    is_granted: bool
    route_class: RouteClass
    left: int
    reset_seconds: int
    """When the bucket will be full, or, if refused, when one more request will be granted."""
    limit: int
    window_seconds: int = BURST_SECONDS

    def headers(self) -> list[tuple[bytes, bytes]]:
        """``RateLimit`` and ``RateLimit-Policy``."""
        name = self.route_class
        return [
            (b"ratelimit", f'"{name}";r={self.left};t={self.reset_seconds}'.encode()),
            (b"ratelimit-policy", f'"{name}";q={self.limit};w={self.window_seconds}'.encode()),
        ]


@dataclass(slots=True)
class Buckets:
    """The buckets of one process. A bucket is full when it has not been seen."""

    per_second: int
    burst_seconds: int = BURST_SECONDS
    _buckets: dict[tuple[str, RouteClass], tuple[float, float]] = field(default_factory=dict)

    def take(self, key_id: str, route_class: RouteClass) -> Allowance:
        """Take one request out of the caller's bucket, if there is one in it."""
        now = monotonic()
        full = self.per_second * self.burst_seconds
        tokens, at = self._buckets.get((key_id, route_class), (float(full), now))
        tokens = min(full, tokens + (now - at) * self.per_second)
        is_granted = tokens >= 1
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets.clear()
        tokens -= is_granted
        self._buckets[key_id, route_class] = (tokens, now)
        wait = (full - tokens if is_granted else 1 - tokens) / self.per_second
        return Allowance(is_granted, route_class, int(tokens), max(1, int(wait + 0.999)), full, self.burst_seconds)
