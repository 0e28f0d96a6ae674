"""The scoring by history: each rule at its border, a score within its range, and the same answer to the same facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installments.buyer_errors import (
    BuyerRejected,
    DebtWrittenOff,
    FirstPlanTooLarge,
    LimitShareExceeded,
    TooManyPlans,
)
from installments.scoring import SCORE_MAX, SCORINGS, ScoringFacts
from ledger.money import Kopecks

HISTORY = SCORINGS["history"]
GOOD = ScoringFacts(
    price=Kopecks(10_000_00), limit=Kopecks(100_000_00), used=Kopecks(0), plans_open=0, plans_repaid=1,
    plans_written_off=0, days_since_arrears=None, plans_max=10, first_plan_max=Kopecks(50_000_00),
    share_after_arrears_basis_points=5000,
)  # fmt: skip
SUMS = st.integers(0, 100_000_000).map(Kopecks)
FACTS = st.builds(
    ScoringFacts, SUMS.filter(bool), SUMS, SUMS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 3),
    st.none() | st.integers(0, 4_000), st.integers(1, 20), SUMS, st.integers(0, 10_000),
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        pytest.param({}, (), id="a good buyer"),
        pytest.param({"plans_written_off": 1}, (DebtWrittenOff,), id="a debt written off"),
        pytest.param({"plans_open": 9}, (), id="nine plans"),
        pytest.param({"plans_open": 10}, (TooManyPlans,), id="ten plans"),
        pytest.param({"plans_repaid": 0, "price": Kopecks(50_000_00)}, (), id="a first plan at its cap"),
        pytest.param({"plans_repaid": 0, "price": Kopecks(50_000_01)}, (FirstPlanTooLarge,), id="above the cap"),
        pytest.param({"price": Kopecks(50_000_01)}, (), id="a second plan has no cap"),
        pytest.param({"days_since_arrears": 900, "used": Kopecks(40_000_00)}, (), id="half of the limit"),
        pytest.param({"days_since_arrears": 900, "used": Kopecks(40_000_01)}, (LimitShareExceeded,), id="above half"),
        pytest.param({"plans_open": 10, "plans_written_off": 1}, (DebtWrittenOff, TooManyPlans), id="two at once"),
    ],
)
def test_each_rule_holds_to_its_border(change: dict[str, Any], reasons: tuple[type[BuyerRejected], ...]) -> None:
    assessed = HISTORY.assess(replace(GOOD, **change))

    assert (assessed.reasons, assessed.is_passed) == (reasons, not reasons)


@given(FACTS)
def test_a_score_is_within_its_range_and_the_same_again(facts: ScoringFacts) -> None:
    first = HISTORY.assess(facts)

    assert 0 <= first.score <= SCORE_MAX
    assert HISTORY.assess(facts) == first


@given(FACTS)
def test_a_better_history_never_scores_less(facts: ScoringFacts) -> None:
    score = HISTORY.assess(facts).score

    assert HISTORY.assess(replace(facts, plans_repaid=facts.plans_repaid + 1)).score >= score
    assert HISTORY.assess(replace(facts, plans_written_off=0)).score >= score
    assert HISTORY.assess(replace(facts, days_since_arrears=None)).score >= score
    assert HISTORY.assess(replace(facts, used=Kopecks(0))).score >= score
