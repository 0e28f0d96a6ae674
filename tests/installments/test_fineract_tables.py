"""Apache Fineract's public zero-interest schedule tables, scenario by scenario, beside ours.

Source: Apache Fineract (Apache-2.0), ``fineract-e2e-tests-runner``, feature files by name and scenarios by their ids.
Figures only, in our own form: see ``fineract_tables``.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from installments.errors import PriceTooSmall
from installments.schedule import build_schedule
from tests.installments.fineract import read_heading
from tests.installments.fineract_tables import DIFFERENT, Scenario, counts, owed, scenarios, tables

SCENARIOS = list(scenarios())
README = Path(__file__).parents[2] / "installments" / "README.md"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_scenario_ends_as_published(scenario: Scenario) -> None:
    read = tables(scenario)

    assert any(each.is_published for each in read)
    assert [each.said for each in read] == [each.expected for each in read], [each.line for each in read]


def test_a_difference_is_one_and_has_its_reason() -> None:
    different = [each for scenario in SCENARIOS for each in tables(scenario) if each.because]

    assert {each.because for each in different} == set(DIFFERENT)
    assert not [each.line for each in different if each.said == each.published]


def test_other_differences_are_how_parts_are_shown() -> None:
    """Where it is not kopecks or the rule of money in advance, what is owed of parts, in their order, is the same."""
    another = (None, "buyers_money", "kopecks_down")
    shown = [each for scenario in SCENARIOS for each in tables(scenario) if each.because not in another]

    assert [owed(each.said) for each in shown] == [owed(each.published) for each in shown]


def test_no_scenario_stands_twice() -> None:
    assert not [name for name, times in Counter((each.feature, each.id) for each in SCENARIOS).items() if times > 1]


def test_a_part_of_nothing_is_refused() -> None:
    """LoanRepayment-Part4 C4354 cuts 1.00 and 0.40 in two whole units and gets a part of 0.00; we make no such plan."""
    for price in ("1.00", "0.40"):
        kopecks, product, _, _ = read_heading(f"{price} in 2 every 1 months from 26.10.2025 due 26.11.2025 first 0%")
        with pytest.raises(PriceTooSmall):
            build_schedule(kopecks, product, first_due_on=date(2025, 11, 26))


def test_the_readme_says_what_is_checked() -> None:
    assert counts() in " ".join(README.read_text("utf-8").split())
