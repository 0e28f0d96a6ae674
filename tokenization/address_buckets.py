"""How often one address may ask on the vault's open listener: a bucket each for pages, for signing in, for reports.

Signing in costs a password hash, and reports are written down, so both are narrow; pages and cards are wide, because
thousands of buyers may share the address of their mobile operator. What is refused here is nobody's attempt at anything
yet: it is in the log lines and not in the audit log, which anybody could fill otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Final

from tokenization.errors import TooManyRequests

ADDRESSES_MAX: Final = 20_000
"""Buckets remembered at once; the longest silent are forgotten first."""
NETWORK_BITS: Final = 64
"""Of an IPv6 address: whoever has one address has so many that only the network tells them apart."""


class Errand(StrEnum):
    """What an address comes for."""

    PAGE = "page"
    SIGN_IN = "sign_in"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class BucketSize:
    """How much may come at once, and how fast it fills again."""

    burst: int
    per_second: float


SIZES: Final[dict[Errand, BucketSize]] = {
    Errand.PAGE: BucketSize(200, 50),
    Errand.SIGN_IN: BucketSize(24, 0.5),
    Errand.REPORT: BucketSize(5, 0.1),
}
"""A sign-in's burst stays below ``passwords.HASHES_WAITING_MAX``: one address cannot send all others away."""
NARROW: Final = (
    ("/vault/v1/sign-ins", Errand.SIGN_IN), ("/vault/v1/enrolments", Errand.SIGN_IN), ("/csp-reports", Errand.REPORT),
)  # fmt: skip
"""Beginnings of the paths that are posted to for more than a page."""


@dataclass(slots=True)
class AddressBuckets:
    """The buckets of one process. One that was never seen is full."""

    now: Callable[[], float] = time.monotonic
    _kept: dict[tuple[str, Errand], tuple[float, float]] = field(default_factory=dict)

    def take(self, address: str, method: str, path: str) -> None:
        """Take one request out of its bucket. Raises: TooManyRequests."""
        errand, now = errand_of(method, path), self.now()
        place, size = (network_of(address), errand), SIZES[errand]
        left, at = self._kept.pop(place, (float(size.burst), now))
        left = min(float(size.burst), left + (now - at) * size.per_second)
        is_granted = left >= 1
        self._kept[place] = (left - is_granted, now)
        while len(self._kept) > ADDRESSES_MAX:
            del self._kept[next(iter(self._kept))]
        if not is_granted:
            raise TooManyRequests(wait_seconds=int((1 - left) / size.per_second) + 1)


def errand_of(method: str, path: str) -> Errand:
    """Which bucket a request is taken from."""
    if method == "POST":
        for beginning, errand in NARROW:
            if path.startswith(beginning):
                return errand
    return Errand.PAGE


def network_of(address: str) -> str:
    """Whose bucket it is: an IPv4 address, an IPv6 network, or the word that stands for none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> (128 - NETWORK_BITS):x}/{NETWORK_BITS}"
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
