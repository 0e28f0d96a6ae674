"""Each rule of the law at its border: the last day or kopeck in, and the first out."""

from __future__ import annotations

from datetime import date

import pytest

from installments import law
from installments.errors import (
    BureauReportRequired,
    LicenceNotActive,
    NotConsumer,
    PenaltyAboveLaw,
    PriceDiffers,
    TermAboveLaw,
)
from ledger.money import Kopecks

BEFORE, FIRST = date(2026, 3, 31), date(2026, 4, 1)


@pytest.mark.parametrize(
    ("contract_on", "last_day"),
    [
        pytest.param(date(2026, 4, 1), date(2026, 10, 1), id="the first day of the law: six months"),
        pytest.param(date(2026, 8, 31), date(2027, 2, 28), id="a shorter month ends on its last day"),
        pytest.param(date(2027, 8, 30), date(2028, 2, 29), id="a leap February"),
        pytest.param(date(2028, 3, 31), date(2028, 9, 30), id="the last contract with six months"),
        pytest.param(date(2028, 4, 1), date(2028, 8, 1), id="the first contract with four"),
        pytest.param(date(2028, 10, 31), date(2029, 2, 28), id="four months into February"),
    ],
)
def test_a_term_ends_on_the_day_of_its_month(contract_on: date, last_day: date) -> None:
    law.check_term(contract_on, last_day)

    with pytest.raises(TermAboveLaw) as refused:
        law.check_term(contract_on, date.fromordinal(last_day.toordinal() + 1))
    assert refused.value.facts["last_day_allowed"] == last_day.isoformat()


def test_contracts_before_the_law_are_outside_it() -> None:
    assert not law.law_on(BEFORE).is_in_force
    assert law.law_on(FIRST).is_in_force

    law.check_term(BEFORE, date(2030, 1, 1))
    law.check_price(Kopecks(2), Kopecks(1), contract_on=BEFORE)
    law.check_consumer(False, contract_on=BEFORE)
    law.check_penalty(10_000, contract_on=BEFORE)
    law.check_licence(False, contract_on=BEFORE)
    assert not law.needs_bureau(Kopecks(10**9), Kopecks(1), contract_on=BEFORE)
    assert law.is_capital_enough(Kopecks(0), on=BEFORE)


def test_the_price_is_that_of_full_payment_to_the_kopeck() -> None:
    law.check_price(Kopecks(1_000_056), Kopecks(1_000_056), contract_on=FIRST)

    for dearer_or_cheaper in (1_000_057, 1_000_055):
        with pytest.raises(PriceDiffers):
            law.check_price(Kopecks(dearer_or_cheaper), Kopecks(1_000_056), contract_on=FIRST)


def test_only_consumers_and_only_with_a_licence() -> None:
    law.check_consumer(True, contract_on=FIRST)
    law.check_licence(True, contract_on=FIRST)

    with pytest.raises(NotConsumer):
        law.check_consumer(False, contract_on=FIRST)
    with pytest.raises(LicenceNotActive):
        law.check_licence(False, contract_on=FIRST)


def test_the_penalty_is_at_most_a_fifth_a_year() -> None:
    law.check_penalty(2000, contract_on=FIRST)

    with pytest.raises(PenaltyAboveLaw):
        law.check_penalty(2001, contract_on=FIRST)


@pytest.mark.parametrize(
    ("exposure", "price", "needed"),
    [
        pytest.param(0, 5_000_000, False, id="exactly fifty thousand roubles"),
        pytest.param(0, 5_000_001, True, id="a kopeck above"),
        pytest.param(4_999_999, 1, False, id="with existing debt, exactly"),
        pytest.param(5_000_000, 1, True, id="with existing debt, a kopeck above"),
    ],
)
def test_a_bureau_is_told_of_debt_above_the_threshold(exposure: int, price: int, needed: bool) -> None:
    before, new = Kopecks(exposure), Kopecks(price)

    assert law.needs_bureau(before, new, contract_on=FIRST) is needed
    law.check_bureau(before, new, is_reporting=True, contract_on=FIRST)
    if needed:
        with pytest.raises(BureauReportRequired):
            law.check_bureau(before, new, is_reporting=False, contract_on=FIRST)
    else:
        law.check_bureau(before, new, is_reporting=False, contract_on=FIRST)


def test_capital_is_at_least_five_million_roubles() -> None:
    assert law.is_capital_enough(Kopecks(500_000_000), on=FIRST)
    assert not law.is_capital_enough(Kopecks(499_999_999), on=FIRST)


def test_every_rule_says_where_it_was_read_and_how_sure_we_are() -> None:
    assert law.rules()
    assert all(rule.source and rule.grade in {"P", "2", "A"} for rule in law.rules())
    assert {rule.rule for rule in law.rules()} == set(law.Law.__dataclass_fields__)
    assert law.law_on(FIRST).is_early_payment_free
    assert law.law_on(FIRST).day_basis == "actual"
