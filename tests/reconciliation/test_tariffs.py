"""Fees by dated tariffs."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.database import Engine, transaction
from ledger.money import Kopecks, Rounding
from reconciliation.errors import NoTariff
from reconciliation.repository import load_tariffs
from reconciliation.tariffs import Tariff, fee_for, tariff_on


def tariff(from_on: str = "2023-05-01", basis_points: int = 40, cap: int | None = 150_000) -> Tariff:
    limit = None if cap is None else Kopecks(cap)
    return Tariff("everyday", "sbp", date.fromisoformat(from_on), basis_points, limit, Rounding.DOWN, "a test")


@pytest.mark.parametrize(
    ("amount", "fee"),
    [
        pytest.param(937_900, 3_751, id="cut to the kopeck: 9379.00 costs 37.51"),
        pytest.param(380_600, 1_522, id="3806.00 costs 15.22"),
        pytest.param(392_300, 1_569, id="3923.00 costs 15.69"),
        pytest.param(249, 0, id="less than a kopeck is nothing"),
        pytest.param(250, 1, id="one kopeck"),
        pytest.param(37_500_000, 150_000, id="at the cap"),
        pytest.param(100_000_000, 150_000, id="over the cap"),
    ],
)
def test_a_fee_is_a_share_cut_to_the_kopeck_and_capped(amount: int, fee: int) -> None:
    assert fee_for(tariff(), Kopecks(amount)) == fee


@given(st.integers(1, 100_000_000), st.integers(0, 10_000), st.none() | st.integers(0, 200_000))
def test_a_fee_is_never_more_than_the_payment_or_the_cap(amount: int, basis_points: int, cap: int | None) -> None:
    fee = fee_for(tariff(basis_points=basis_points, cap=cap), Kopecks(amount))
    assert 0 <= fee <= amount
    assert cap is None or fee <= cap


def test_the_latest_tariff_that_has_begun_is_in_force() -> None:
    both = [tariff("2023-05-01", 40), tariff("2027-01-01", 50)]
    on = {day: tariff_on(both, tariff_group="everyday", rail="sbp", on=date.fromisoformat(day)) for day in DAYS}
    assert [on[day].basis_points for day in DAYS] == [40, 40, 50, 50]


DAYS = ("2023-05-01", "2026-12-31", "2027-01-01", "2030-01-01")


@pytest.mark.parametrize(("group", "rail", "day"), [
    pytest.param("everyday", "sbp", "2023-04-30", id="before the first"),
    pytest.param("luxury", "sbp", "2026-01-01", id="an unknown group"),
    pytest.param("everyday", "card", "2026-01-01", id="another rail"),
])  # fmt: skip
def test_without_a_tariff_there_is_no_fee_to_guess(group: str, rail: str, day: str) -> None:
    with pytest.raises(NoTariff):
        tariff_on([tariff()], tariff_group=group, rail=rail, on=date.fromisoformat(day))


async def test_the_groups_of_the_bank_of_russia_are_there(engine: Engine) -> None:
    async with transaction(engine) as session:
        found = {each.tariff_group: (each.basis_points, each.cap) for each in await load_tariffs(session, "sbp")}
    assert found == {
        "government": (0, None), "everyday": (40, 150_000), "utilities": (20, 1_000), "standard": (70, 150_000),
    }  # fmt: skip
