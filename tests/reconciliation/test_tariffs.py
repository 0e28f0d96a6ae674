"""Fees by dated tariffs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.database import Engine, transaction
from ledger.money import Kopecks, Rounding
from reconciliation.errors import NoTariff
from reconciliation.repository import add_bank_tariff, load_bank_tariffs, load_mcc_groups, load_tariffs
from reconciliation.tariffs import (
    BankTariff,
    MccGroup,
    Tariff,
    bank_tariff_on,
    fee_for,
    group_of_mcc,
    tariff_on,
)


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


@given(
    st.integers(1, 100_000_000), st.integers(0, 100_000_000), st.integers(0, 10_000),
    st.none() | st.integers(0, 200_000), st.sampled_from(Rounding),
)  # fmt: skip
def test_a_larger_payment_never_costs_less(
    amount: int, more: int, basis_points: int, cap: int | None, rounding: Rounding
) -> None:
    rule = replace(tariff(basis_points=basis_points, cap=cap), rounding=rounding)
    assert 0 <= fee_for(rule, Kopecks(amount)) <= fee_for(rule, Kopecks(amount + more)) <= amount + more


@given(st.integers(1, 100_000_000), st.integers(0, 10_000))
def test_the_three_roundings_are_at_most_a_kopeck_apart(amount: int, basis_points: int) -> None:
    rule = tariff(basis_points=basis_points, cap=None)
    down, half_up, up = (fee_for(replace(rule, rounding=each), Kopecks(amount)) for each in Rounding)
    assert down <= half_up <= up <= down + 1


@pytest.mark.parametrize(("rounding", "fee"), [("down", 3_751), ("half_up", 3_752), ("up", 3_752)])
def test_a_banks_rounding_is_data(rounding: str, fee: int) -> None:
    """9379.00 at 0.4 % is 37.516: registers of banks show 37.51."""
    assert fee_for(replace(BANK_TARIFF, rounding=Rounding(rounding)), Kopecks(937_900)) == fee


BANK = "100000000007"
BANK_TARIFF = BankTariff(
    BANK, "everyday", "sbp", date(2026, 1, 1), 40, Kopecks(150_000), Rounding.DOWN, True, False, "a contract"
)


def test_a_bank_charges_by_the_rule_of_the_day_and_nothing_is_guessed() -> None:
    later = replace(BANK_TARIFF, valid_from_on=date(2026, 6, 1), basis_points=30)
    found = [
        bank_tariff_on([BANK_TARIFF, later], member_id=BANK, tariff_group=group, on=date.fromisoformat(day))
        for group, day in (("everyday", "2026-05-31"), ("everyday", "2026-06-01"), ("standard", "2026-06-01"))
    ]
    assert found == [BANK_TARIFF, later, None]
    assert bank_tariff_on([later], member_id="100000000008", tariff_group="everyday", on=date(2027, 1, 1)) is None


def test_the_narrowest_range_that_holds_a_code_is_its_group() -> None:
    day = date(2026, 1, 1)
    groups = [
        MccGroup("0000", "9999", day, "standard", False, "s"), MccGroup("5400", "5499", day, "everyday", False, "s"),
        MccGroup("5400", "5499", date(2027, 1, 1), "utilities", False, "s"),
    ]  # fmt: skip
    assert [group_of_mcc(groups, mcc, on=day).tariff_group for mcc in ("5411", "5500")] == ["everyday", "standard"]
    assert group_of_mcc(groups, "5411", on=date(2027, 1, 1)).tariff_group == "utilities"
    with pytest.raises(NoTariff):
        group_of_mcc(groups, "5411", on=date(2025, 1, 1))


@pytest.mark.parametrize(
    ("mcc", "group"),
    [
        pytest.param("5411", "everyday", id="groceries"),
        pytest.param("5912", "everyday", id="a pharmacy"),
        pytest.param("8062", "everyday", id="a hospital"),
        pytest.param("4900", "utilities", id="utilities"),
        pytest.param("9311", "government", id="taxes"),
        pytest.param("5812", "standard", id="a restaurant"),
    ],
)
async def test_codes_of_trade_lead_to_the_groups_of_the_bank_of_russia(engine: Engine, mcc: str, group: str) -> None:
    async with transaction(engine) as session:
        groups, tariffs = await load_mcc_groups(session), await load_tariffs(session, "sbp")
    found = group_of_mcc(groups, mcc, on=date(2026, 11, 22))
    assert found.tariff_group == group
    assert tariff_on(tariffs, tariff_group=group, rail="sbp", on=date(2026, 11, 22)).source
    assert not any(each.is_confirmed for each in groups)


async def test_what_nobody_checked_against_the_primary_document_says_so(engine: Engine) -> None:
    async with transaction(engine) as session:
        confirmed = {each.tariff_group: each.is_confirmed for each in await load_tariffs(session, "sbp")}
    assert confirmed == {
        "government": True, "everyday": True, "utilities": False, "standard": False, "operator": True,
    }  # fmt: skip


async def test_a_banks_rule_is_written_once(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        assert await add_bank_tariff(session, BANK_TARIFF, now=now)
        assert not await add_bank_tariff(session, replace(BANK_TARIFF, basis_points=50), now=now)
        assert await load_bank_tariffs(session, "sbp", [BANK]) == [BANK_TARIFF]
        assert await load_bank_tariffs(session, "sbp", []) == []


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
        "operator": (0, None),
    }  # fmt: skip
