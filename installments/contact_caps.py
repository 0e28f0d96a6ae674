"""How often and when a debtor may be written to (230-FZ), as plain questions; the figures are rules of ``law.yaml``.

Every window is counted back from the moment, to the second: what fits into any 24 hours, 7 and 31 days fits into each
calendar day, week and month too, however the law is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from installments.law import Law
from ledger.clock import MOSCOW

DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=31)


def windows(law: Law) -> list[tuple[timedelta, int]]:
    """How many messages a window of time holds."""
    caps = ((DAY, law.messages_day_max), (WEEK, law.messages_week_max), (MONTH, law.messages_month_max))
    return [(window, most) for window, most in caps if most is not None]


def may_write_at(contacts: Sequence[datetime], now: datetime, law: Law) -> datetime:
    """The first moment from ``now`` on at which one more message is within the law. ``contacts``: earlier ones."""
    told, at = sorted(contacts), now
    for window, most in windows(law):
        if sum(one > now - window for one in told) >= most:
            at = max(at, told[-most] + window)
    return in_hours(at, law)


def in_hours(at: datetime, law: Law) -> datetime:
    """The moment itself, or the next morning if a debtor is not to be disturbed then, by Moscow's time."""
    begins, ends = time(law.contact_from_hour), time(law.contact_until_hour)
    local = at.astimezone(MOSCOW)
    if begins <= local.time() < ends:
        return at
    morning = local if local.time() < begins else local + DAY
    return morning.replace(hour=begins.hour, minute=0, second=0, microsecond=0)
