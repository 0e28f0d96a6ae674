"""Every bank's way to write money leads to the same kopecks and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.money import AMOUNT_MAX, Kopecks
from sbp_gateway.errors import MoneyUnreadable
from sbp_gateway.money_units import MoneyUnit, from_json, read, to_json, write

TEXT, NUMBER = MoneyUnit.KOPECKS_TEXT, MoneyUnit.KOPECKS_NUMBER
ROUBLES, ROUBLES_TEXT = MoneyUnit.ROUBLES_NUMBER, MoneyUnit.ROUBLES_TEXT
sums = st.integers(0, AMOUNT_MAX).map(Kopecks)


@settings(max_examples=200, deadline=None)
@given(sums, st.sampled_from(MoneyUnit))
def test_what_is_written_into_json_is_read_back(amount: Kopecks, unit: MoneyUnit) -> None:
    assert read(from_json(to_json(write(amount, unit))), unit) == amount


@pytest.mark.parametrize(
    ("unit", "said"),
    [(TEXT, '"149990"'), (NUMBER, "149990"), (ROUBLES, "1499.90"), (ROUBLES_TEXT, '"1499.90"')],
)
def test_each_bank_is_written_to_in_its_own_way(unit: MoneyUnit, said: str) -> None:
    assert to_json(write(Kopecks(149_990), unit)) == said


@pytest.mark.parametrize(("said", "kopecks"), [("10", 1000), ("10.5", 1050), ("1e2", 10_000), ("0.10000", 10)])
def test_a_json_number_of_roubles_is_read_however_it_is_written(said: str, kopecks: int) -> None:
    assert read(Decimal(said), ROUBLES) == kopecks


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        (TEXT, 149990), (TEXT, "-1"), (TEXT, "01"), (TEXT, "1.0"), (TEXT, ""), (TEXT, "9" * 19), (TEXT, "9" * 5000),
        (TEXT, "١"), (TEXT, " 1"), (TEXT, None), (NUMBER, "1"), (NUMBER, 1.0), (NUMBER, True), (NUMBER, -1),
        (NUMBER, Decimal(1)), (NUMBER, AMOUNT_MAX + 1), (ROUBLES, 0.1), (ROUBLES, Decimal("0.001")),
        (ROUBLES, Decimal("NaN")), (ROUBLES, Decimal("1E+999999")), (ROUBLES, Decimal(-1)), (ROUBLES, "1.00"),
        (ROUBLES_TEXT, "1,00"), (ROUBLES_TEXT, "1.001"), (ROUBLES_TEXT, "+1"), (ROUBLES_TEXT, Decimal(1)),
        (ROUBLES_TEXT, "1e3"), (ROUBLES_TEXT, "1 000.00"),
    ],
)  # fmt: skip
def test_what_is_no_sum_is_refused(unit: MoneyUnit, value: Any) -> None:
    with pytest.raises(MoneyUnreadable):
        read(value, unit)


@pytest.mark.parametrize("text", ['{"a": NaN}', "[Infinity]", "{"])
def test_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_json(text)


def test_lists_and_objects_are_written_with_their_decimals() -> None:
    assert to_json({"a": [Decimal("0.10"), "я", None]}) == '{"a":[0.10,"я",null]}'
