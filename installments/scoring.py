"""Scoring (скоринг): what a policy thinks of a buyer, by facts alone, as a score with its reasons.

A house with a model of its own writes a second class with ``name``, ``version`` and ``assess`` and adds it to
``SCORINGS``; a decision policy picks it by name. It sees facts that tell nobody who the buyer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from installments.buyer_errors import (
    BuyerRejected,
    DebtWrittenOff,
    FirstPlanTooLarge,
    LimitShareExceeded,
    TooManyPlans,
)
from ledger.money import Kopecks, share_of

SCORE_MAX = 1000


@dataclass(frozen=True, slots=True)
class ScoringFacts:
    """What a scoring is told."""

    price: Kopecks
    limit: Kopecks
    used: Kopecks
    plans_open: int
    plans_repaid: int
    plans_written_off: int
    days_since_arrears: int | None
    """Since the last night that saw arrears long enough to freeze; none: never."""
    plans_max: int
    first_plan_max: Kopecks
    share_after_arrears_basis_points: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a scoring says."""

    is_passed: bool
    score: int
    """0 to 1000; it decides nothing by itself here, and is kept to be compared with what came."""
    reasons: tuple[type[BuyerRejected], ...]
    """Why not, the weightiest first."""


class ScoringPolicy(Protocol):
    """Judges a buyer by facts."""

    @property
    def name(self) -> str:
        """By which decision policies pick it."""

    @property
    def version(self) -> int:
        """Grows when the same facts may give another answer."""

    def assess(self, facts: ScoringFacts) -> Assessment:
        """Judge. No clock, no chance, no network: the same facts give the same answer."""


@dataclass(frozen=True, slots=True)
class HistoryScoring:
    """By the buyer's own history with us: a first plan is small, after arrears only a share of the limit may be used.

    The score is points of that history and no estimate of a probability: nothing was fitted to anything.
    """

    name: str = "history"
    version: int = 1

    def assess(self, facts: ScoringFacts) -> Assessment:
        """Judge by history."""
        reasons = tuple(reason for is_broken, reason in self._rules(facts) if is_broken)
        return Assessment(not reasons, self._score(facts), reasons)

    def _rules(self, facts: ScoringFacts) -> tuple[tuple[bool, type[BuyerRejected]], ...]:
        share = share_of(facts.limit, facts.share_after_arrears_basis_points)
        is_new = facts.plans_repaid == 0
        return (
            (facts.plans_written_off > 0, DebtWrittenOff),
            (facts.plans_open >= facts.plans_max, TooManyPlans),
            (is_new and facts.price > facts.first_plan_max, FirstPlanTooLarge),
            (facts.days_since_arrears is not None and facts.used + facts.price > share, LimitShareExceeded),
        )

    def _score(self, facts: ScoringFacts) -> int:
        after = int(facts.used + facts.price)
        load = min(SCORE_MAX, after * SCORE_MAX // max(1, int(facts.limit)))
        points = 600 + 40 * min(facts.plans_repaid, 10) - load * 3 // 10 - 400 * min(facts.plans_written_off, 1)
        if facts.days_since_arrears is not None:
            points -= max(0, 200 - facts.days_since_arrears // 2)
        return max(0, min(SCORE_MAX, points))


SCORINGS: Mapping[str, ScoringPolicy] = {"history": HistoryScoring()}
"""Every scoring that a decision policy may name."""
