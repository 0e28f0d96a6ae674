"""Retries stay a tenth of the calls, whatever happens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_gateway.retry_budget import CREDIT_MAX, RetryBudget, earn, spend

SAVED = CREDIT_MAX // 100


@settings(max_examples=80, deadline=None)
@given(st.lists(st.booleans(), max_size=400))
def test_retries_are_a_tenth_of_the_calls_and_what_was_saved(wants_retry: list[bool]) -> None:
    budget, calls, retries = RetryBudget(), 0, 0
    for wants in wants_retry:
        budget, calls = earn(budget), calls + 1
        spent = spend(budget) if wants else None
        if spent is not None:
            budget, retries = spent, retries + 1

        assert retries * 10 <= calls + SAVED * 10
        assert 0 <= budget.credit <= CREDIT_MAX


def test_an_empty_budget_gives_nothing() -> None:
    assert spend(RetryBudget(credit=99)) is None
