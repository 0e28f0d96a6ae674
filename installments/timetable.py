"""When a charge is made, and when it is made again: the timetable of collection, as data.

The hours are spread by chance that the plan's own id decides, so that a night's charges do not fall on one minute
and a repeat of the same day makes the same hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from ledger.clock import MOSCOW, moscow_day

TRIES_MAX = 8
"""Of one round. Schemes punish more: fifteen declined tries of one card in thirty days."""
GAP_MIN = timedelta(hours=2)
"""Between two tries: a bank that has just refused for want of money refuses again."""


@dataclass(frozen=True, slots=True)
class ChargeHour:
    """A place in the timetable, by Moscow's time: no earlier than buyers are awake, no later than evening."""

    after_days: int
    """After the day of the round."""
    at: time
    spread: timedelta


FIRST = ChargeHour(0, time(10), timedelta(hours=4))
"""Source: own decision (installments/DECISIONS.md): salaries and transfers of the morning have arrived."""
RETRIES = (
    ChargeHour(0, time(18), timedelta(hours=3)),
    ChargeHour(1, time(11), timedelta(hours=6)),
    ChargeHour(3, time(11), timedelta(hours=6)),
    ChargeHour(7, time(11), timedelta(hours=6)),
    ChargeHour(14, time(11), timedelta(hours=6)),
    ChargeHour(30, time(11), timedelta(hours=6)),
    ChargeHour(60, time(11), timedelta(hours=6)),
)
"""Those on or after the next installment's day fall away: what is missing is merged into that installment.

Source: Kill Bill's example of +1, +1, +8, +6 days (killbill-docs#254, a public page) and Klarna's rule that a part that
failed again is added to the next (its customer pages); the days themselves are our own decision.
"""


def first_try_at(plan_id: str, due_on: date, *, now: datetime) -> datetime:
    """When a round's first charge is made; at once if that hour has passed."""
    return max(now, at_hour(plan_id, due_on, FIRST))


def next_try_at(plan_id: str, due_on: date, tries: int, *, next_due_on: date | None, now: datetime) -> datetime | None:
    """When a soft refusal is tried again; nothing when the rest is merged into the next installment, or given up."""
    if tries >= TRIES_MAX:
        return None
    for hour in RETRIES:
        at = at_hour(plan_id, due_on, hour)
        if at >= now + GAP_MIN:
            return at if next_due_on is None or moscow_day(at) < next_due_on else None
    return None


def at_hour(plan_id: str, due_on: date, hour: ChargeHour) -> datetime:
    """A place of the timetable for one plan: the same whenever it is asked."""
    seed = hashlib.sha256(f"{plan_id}:{due_on}:{hour.after_days}:{hour.at}".encode()).digest()
    seconds = int.from_bytes(seed[:4], "big") % int(hour.spread.total_seconds())
    return datetime.combine(due_on + timedelta(days=hour.after_days), hour.at, MOSCOW) + timedelta(seconds=seconds)
