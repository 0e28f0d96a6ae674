"""The retry budget: at most a tenth of the calls may be repetitions, so that we never double an outage.

A pure token bucket; one for each process and provider. DECISIONS.md, 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

PERCENT_OF_CALLS = 10
CREDIT_MAX = 1_000
"""Ten retries may be saved up. In hundredths of a retry."""
_RETRY = 100


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """What may still be spent on repeating calls."""

    credit: int = CREDIT_MAX
    """Hundredths of a retry."""


def earn(budget: RetryBudget) -> RetryBudget:
    """A first call was made."""
    return replace(budget, credit=min(CREDIT_MAX, budget.credit + PERCENT_OF_CALLS))


def spend(budget: RetryBudget) -> RetryBudget | None:
    """The budget less one retry; nothing when it does not suffice."""
    return replace(budget, credit=budget.credit - _RETRY) if budget.credit >= _RETRY else None
