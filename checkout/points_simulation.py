"""What a rule would have done: past baskets reckoned again by another rule, before anybody is promised anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from checkout.errors import InvalidPointsRule
from checkout.points_baskets import PAGE_MAX, SIMULATED_MAX, PastBasket, past_baskets
from checkout.points_rules import Programme, Rule, check_rule, earned, spendable
from ledger.database import Session

DAYS_MAX = 366


@dataclass(slots=True)
class Day:
    """One Moscow day of past baskets, as it was and as it would have been."""

    orders: int = 0
    amount_kopecks: int = 0
    accrued: int = 0
    """Points earned then."""
    accrued_then: int = 0
    """Points that would have been earned."""
    spent: int = 0
    spendable_then: int = 0
    """The most points that could have paid."""
    above_cap_then: int = 0
    """Orders whose points the rule would have refused."""

    def add(self, past: PastBasket, rule: Rule) -> None:
        """Count one basket."""
        points_max = spendable(past.lines, rule)
        self.orders += 1
        self.amount_kopecks += int(past.amount)
        self.accrued += past.accrued
        self.accrued_then += earned(past.lines, rule, past.amount)
        self.spent += past.points
        self.spendable_then += points_max
        self.above_cap_then += past.points > points_max


@dataclass(frozen=True, slots=True)
class Simulation:
    """A rule tried on past baskets."""

    programme: Programme
    days: dict[date, Day] = field(default_factory=dict)
    is_whole: bool = True
    """False when there were more baskets than one simulation reads."""

    @property
    def total(self) -> Day:
        """All days in one."""
        names = Day.__slots__
        return Day(**{name: sum(getattr(day, name) for day in self.days.values()) for name in names})

    @property
    def liability_change_kopecks(self) -> int:
        """How much more (or less) the merchant would have promised."""
        return (self.total.accrued_then - self.total.accrued) * self.programme.point_kopecks


def simulate(programme: Programme, rule: Rule, baskets: Iterable[PastBasket], into: dict[date, Day]) -> None:
    """Count baskets into their days by ``rule``."""
    assert rule.point_kopecks == programme.point_kopecks, "what a point is worth never changes"
    for past in baskets:
        into.setdefault(past.paid_on, Day()).add(past, rule)


async def simulate_on_past(
    session: Session, programme: Programme, rule: Rule, first_on: date, last_on: date
) -> Simulation:
    """Reckon the programme's paid baskets of some Moscow days by ``rule``. Nothing is written.

    Raises: InvalidPointsRule.
    """
    check_rule(rule)
    if not 0 <= (last_on - first_on).days < DAYS_MAX:
        raise InvalidPointsRule(field="last_on", days_max=DAYS_MAX)
    days: dict[date, Day] = {}
    after, read = "", 0
    while read < SIMULATED_MAX:
        page = await past_baskets(session, programme.code, first_on, last_on, after)
        simulate(programme, rule, page, days)
        read += len(page)
        if len(page) < PAGE_MAX:
            return Simulation(programme, dict(sorted(days.items())))
        after = page[-1].order_id
    return Simulation(programme, dict(sorted(days.items())), is_whole=False)
