"""Rules of points (баллы): what a basket earns and how much of it may be paid by points. No database here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from checkout.baskets import Line
from checkout.errors import InvalidPointsProgramme, InvalidPointsRule
from ledger.money import BASIS_POINTS, Kopecks, share_of

POINT_KOPECKS_MAX = 10_000
"""A point is worth at most a hundred roubles: above that it is a voucher and not a point."""
THRESHOLDS_MAX = 10
LOT_DAYS_MAX = 3_650
DELAY_DAYS_MAX = 365
EXCLUDED_MAX = 500
EARN_FROM_MAX = 100_000_000
POINTS_MAX = 1_000_000_000
"""Points moved at once: far above any basket, far below what the books can hold."""
RAIL_KOPECKS_MIN = 1
"""What a rail always brings: an order of nothing cannot be paid."""

_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Programme:
    """A merchant's points: their name, what one is worth, and the balances worth telling of."""

    code: str
    merchant_id: str
    name: str
    point_kopecks: int
    """What one point pays. Never changes: points already given are worth what was promised."""
    thresholds: tuple[int, ...]
    """Balances that raise an event when an accrual reaches them."""
    created_at: datetime

    @property
    def commodity(self) -> str:
        """The unit in the books."""
        return f"PTS:{self.code}"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a programme gives and takes points from a Moscow day on."""

    id: str
    programme: str
    valid_from_on: date
    point_kopecks: int
    earn_basis_points: int
    """Of the money paid by the rail for goods that take part."""
    line_basis_points: int = 5_000
    """How much of one line may be paid by points."""
    basket_basis_points: int = 5_000
    """How much of the whole basket may be."""
    earn_from_kopecks: int = 0
    """A smaller payment earns nothing."""
    lot_days: int = 365
    """How long earned points live."""
    delay_days: int = 0
    """How long after the purchase they cannot be spent yet."""
    return_days: int = 30
    """Points that come back by a refund live at least so long from then."""
    excluded_articles: frozenset[str] = frozenset()
    """Goods that neither earn points nor are paid by them: tobacco, gift cards."""

    def times(self, now: datetime) -> tuple[datetime, datetime]:
        """When a lot earned now can be spent, and when it expires."""
        return now + timedelta(days=self.delay_days), now + timedelta(days=self.lot_days)


def check_programme(programme: Programme) -> None:
    """Refuse a programme that breaks a rule of form. Raises: InvalidPointsProgramme."""
    few = len(programme.thresholds) <= THRESHOLDS_MAX
    if not _CODE.fullmatch(programme.code):
        raise InvalidPointsProgramme(field="code")
    if not 1 <= programme.point_kopecks <= POINT_KOPECKS_MAX:
        raise InvalidPointsProgramme(field="point_kopecks", point_kopecks_max=POINT_KOPECKS_MAX)
    if not few or any(not 1 <= each <= POINTS_MAX for each in programme.thresholds):
        raise InvalidPointsProgramme(field="thresholds", thresholds_max=THRESHOLDS_MAX)


def check_rule(rule: Rule) -> None:
    """Refuse a rule that breaks a rule of form. Raises: InvalidPointsRule."""
    bounds = {
        "earn_basis_points": (0, BASIS_POINTS), "line_basis_points": (0, BASIS_POINTS),
        "basket_basis_points": (0, BASIS_POINTS), "earn_from_kopecks": (0, EARN_FROM_MAX),
        "lot_days": (1, LOT_DAYS_MAX), "delay_days": (0, min(DELAY_DAYS_MAX, rule.lot_days - 1)),
        "return_days": (1, LOT_DAYS_MAX),
    }  # fmt: skip
    for name, (least, most) in bounds.items():
        if not least <= getattr(rule, name) <= most:
            raise InvalidPointsRule(field=name, least=least, most=most)
    if len(rule.excluded_articles) > EXCLUDED_MAX:
        raise InvalidPointsRule(field="excluded_articles", most=EXCLUDED_MAX)


def earned(lines: Sequence[Line], rule: Rule, paid: Kopecks) -> int:
    """Points for a basket of which the rail brought ``paid``: what points and codes paid earns nothing.

    Amounts: the money falls on the goods that take part by their share of the basket, cut to the kopeck; of it the
    rule's share, cut to the point.
    """
    total = sum(int(line.amount) for line in lines)
    if total < 1 or paid < rule.earn_from_kopecks:
        return 0
    taking_part = sum(int(line.amount) for line in lines if line.article not in rule.excluded_articles)
    counted = Kopecks(int(paid) * taking_part // total)
    return int(share_of(counted, rule.earn_basis_points)) // rule.point_kopecks


def spendable(lines: Sequence[Line], rule: Rule) -> int:
    """The most points this basket may be paid by, whoever has them: by line, by basket, and a kopeck for the rail."""
    total = sum(int(line.amount) for line in lines)
    by_line = sum(
        int(share_of(line.amount, rule.line_basis_points))
        for line in lines
        if line.article not in rule.excluded_articles
    )
    by_basket = int(share_of(Kopecks(total), rule.basket_basis_points))
    return max(0, min(by_line, by_basket, total - RAIL_KOPECKS_MIN)) // rule.point_kopecks


def earned_back(points: int, paid: Kopecks, back_before: Kopecks, back_now: Kopecks) -> int:
    """Of ``points`` earned by ``paid``, what one more refund takes back: after the last kopeck, all of them."""
    assert 0 <= back_before <= back_before + back_now <= paid
    return points * (int(back_before) + int(back_now)) // int(paid) - points * int(back_before) // int(paid)
