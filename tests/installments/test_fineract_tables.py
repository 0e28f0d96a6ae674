"""Apache Fineract's public zero-interest schedule tables, scenario by scenario, beside ours.

Source: Apache Fineract (Apache-2.0), ``fineract-e2e-tests-runner``, feature files by name and scenarios by their ids.
Figures only, in our own form: see ``fineract_tables``.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.installments.fineract_tables import Scenario, Table, scenarios, tables

DIFFERENT = {
    "buyers_money": "what a buyer pays in advance goes to the next installment, always: the law's early payment; "
    "Fineract lets a product send it to the last or spread it. The rule is checked with goods, which have it here",
    "paid_goods": "goods that were paid for leave no paid installment behind: it shrinks, and the buyer's money is "
    "overpaid; Fineract keeps the installment as paid. What is owed and overpaid is the same",
    "overpaid_first": "what a bank takes back uses up what was overpaid before anything is owed again; Fineract lends "
    "all of it and pays it from what was overpaid. What is owed is the same",
}  # fmt: skip
"""Why a table of ours is another. Each key stands in the data after ``because``."""
SCENARIOS = list(scenarios())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_scenario_ends_as_published(scenario: Scenario) -> None:
    read = tables(scenario)

    assert any(each.is_published for each in read)
    assert [each.said for each in read] == [each.expected for each in read], [each.line for each in read]


def test_a_difference_is_one_and_has_its_reason() -> None:
    different = [each for each in _all() if each.because]

    assert {each.because for each in different} == set(DIFFERENT)
    assert not [each.line for each in different if each.said == each.published]


def test_no_scenario_stands_twice() -> None:
    twice = [name for name, times in Counter((each.feature, each.id) for each in SCENARIOS).items() if times > 1]

    assert not twice


def _all() -> list[Table]:
    return [table for scenario in SCENARIOS for table in tables(scenario) if table.is_published]


def counts() -> str:
    """What is checked, as the README says it."""
    read = _all()
    reasons = Counter(each.because for each in read if each.because)
    features = sorted({each.feature for each in SCENARIOS})
    return (
        f"{len(read)} tables of {len(SCENARIOS)} scenarios in {len(features)} files; others by our terms: "
        + ", ".join(f"{reason} {times}" for reason, times in sorted(reasons.items()))
    )
