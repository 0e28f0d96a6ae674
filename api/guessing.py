"""Guesses: codes of a few digits are safe only while few of them may be tried.

A till's one-time code has six digits and a phone's time code eight, and an API key may call thousands of times a
second. So wrong codes are counted, by till and by loyalty card, in each process; and phones and numbers under which no
loyalty card was found, by API key, or a list of phones would tell who buys where.
Source: RFC 4226, 7.3: the server limits how many attempts there are, E6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from api.errors import RateLimited
from checkout.barcode import read_barcode, step_shown
from checkout.loyalty_errors import BarcodeNotOfNow, BarcodeUnreadable
from ledger.clock import monotonic
from pci.secret import Secret

if TYPE_CHECKING:
    from api.door import Call

WRONG_AT_ONCE = 20
"""More than a till with a wrong clock sends before somebody looks at it."""
SECONDS_EACH = 30.0
"""For one more after these: a till's code is guessed in months of trying, and not in minutes."""
MISSES_AT_ONCE = 200
"""A key of a whole chain looks for cards all day, and many a buyer has none yet."""
MISS_SECONDS_EACH = 10.0
"""For one more after these: nine thousand a day, of a thousand million phones."""
NAMES_MAX = 20_000
"""What is remembered before it is looked through for what counts no more."""


@dataclass(slots=True)
class Guesses:
    """Wrong codes that were tried in this process, by what they were codes of."""

    at_once: int = WRONG_AT_ONCE
    seconds_each: float = SECONDS_EACH
    _wrong: dict[str, tuple[float, float]] = field(default_factory=dict)
    """How many still count, and at which time."""

    def refuse_more(self, name: str) -> None:
        """Raises: RateLimited when too many wrong codes of this were tried."""
        excess = self._counted(name) + 1 - self.at_once
        if excess > 0:
            raise RateLimited(retry_after_seconds=max(1, ceil(excess * self.seconds_each)))

    def count(self, name: str) -> None:
        """One more was wrong."""
        if len(self._wrong) >= NAMES_MAX:
            self._wrong = {each: kept for each, kept in self._wrong.items() if self._counted(each) > 0}
        self._wrong[name] = (self._counted(name) + 1, monotonic())

    def _counted(self, name: str) -> float:
        wrong, at = self._wrong.get(name, (0.0, 0.0))
        return max(0.0, wrong - (monotonic() - at) / self.seconds_each)


def refuse_guessing(call: Call, barcode: str, key: Secret) -> None:
    """Count a barcode whose code is wrong, and let too many of one card try no more. Raises: RateLimited."""
    try:
        read = read_barcode(barcode)
    except BarcodeUnreadable:
        return
    if read.code is None:
        return
    name = f"{call.caller.merchant_id}:{read.number}"  # whoever guesses at another's card does not lock it
    call.door.guesses.refuse_more(name)
    try:
        step_shown(read, key, now=call.now)
    except BarcodeNotOfNow:
        call.door.guesses.count(name)
