"""Prometheus metrics. With ``PROMETHEUS_MULTIPROC_DIR`` set, ``/metrics`` adds up all workers of the machine."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from sbp_gateway.breaker import BreakerState
from sbp_gateway.nspk_transport import Meter

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

requests = Counter("kopeyka_http_requests", "Requests answered.", ["method", "route", "status"])
seconds = Histogram("kopeyka_http_request_seconds", "How long answers took.", ["method", "route"], buckets=SECONDS)
idempotency = Counter(
    "kopeyka_idempotency_outcomes",
    "What idempotency keys met: new, replayed, in_progress, mismatch, expired, recovered.",
    ["outcome"],
)
nspk_calls = Counter(
    "kopeyka_nspk_calls",
    "Tries to call NSPK by outcome: processed, refused, unknown, unavailable (not sent), given_up.",
    ["kind", "outcome"],
)
nspk_retries = Counter("kopeyka_nspk_retries", "Safe calls to NSPK repeated, out of the retry budget.")
nspk_breaker = Gauge(
    "kopeyka_nspk_breaker",
    "The breaker of calls to NSPK: 0 closed, 1 half open, 2 open; the worst of all processes.",
    ["kind"],
    multiprocess_mode="livemax",
)
in_flight = Gauge("kopeyka_http_requests_in_flight", "Requests being carried out.", multiprocess_mode="livesum")

card_numbers = Counter(
    "kopeyka_card_numbers", "Card numbers that met the wall: refused in a body, stopped in an answer.", ["outcome"]
)

plan_setbacks = Counter(
    "kopeyka_plan_setbacks", "Plans that a step of the night could not work on and has put aside, each try.", ["step"]
)

_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


class NspkMeter(Meter):
    """Counts calls to NSPK, or to the provider whose name goes before each kind."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def call(self, kind: str, outcome: str) -> None:
        """A try ended."""
        nspk_calls.labels(f"{self._prefix}{kind}", outcome).inc()

    def retry(self) -> None:
        """A call is repeated."""
        nspk_retries.inc()

    def breaker(self, kind: str, state: BreakerState) -> None:
        """A breaker came to a state, or stays in it."""
        nspk_breaker.labels(f"{self._prefix}{kind}").set(_BREAKER_LEVELS[state])


_BREAKER_LEVELS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


def observe(method: str, route: str, status: int, duration: float, outcome: str | None) -> None:
    """Count one answered request. Routes are templates, so there are few of them."""
    found = _children.get((method, route, status))
    if found is None:
        found = (requests.labels(method, route, str(status)), seconds.labels(method, route))
        _children[method, route, status] = found
    found[0].inc()
    found[1].observe(duration)
    if outcome is not None:
        idempotency.labels(outcome).inc()


def exposition() -> tuple[bytes, str]:
    """Everything as Prometheus reads it, and its content type."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
