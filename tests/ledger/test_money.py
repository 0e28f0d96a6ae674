from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import Kopecks, Rounding, kopecks_of, roubles, share_of, split_evenly

amounts = st.integers(0, 10**15).map(Kopecks)


@given(amounts, st.integers(1, 64))
def test_parts_add_up_and_the_odd_kopecks_are_on_the_first(amount: Kopecks, count: int) -> None:
    first, *later = split_evenly(amount, count)

    assert first + sum(later) == amount
    assert len(set(later)) <= 1
    assert all(0 <= first - part < count for part in later)


@given(amounts, st.integers(0, 10_000))
def test_a_share_rounds_where_it_is_told_to(amount: Kopecks, basis_points: int) -> None:
    down, half, up = (share_of(amount, basis_points, rounding) for rounding in Rounding)

    assert down <= half <= up <= down + 1
    assert down * 10_000 <= amount * basis_points <= up * 10_000


def test_a_banks_own_fees_are_cut_off_to_the_kopeck() -> None:
    assert share_of(Kopecks(937_900), 40) == 3_751


@given(st.integers(-(10**15), 10**15))
def test_roubles_and_kopecks_go_round(amount: int) -> None:
    assert kopecks_of(roubles(amount)) == amount


@pytest.mark.parametrize("text", ["0.001", "1e-3", "NaN", "Infinity", "ten"])
def test_what_is_not_whole_kopecks_is_refused(text: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        kopecks_of(text)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda m: m / 2, id="division"),
        pytest.param(lambda m: 10 / m, id="division by money"),
        pytest.param(lambda m: m // 2, id="whole division"),
        pytest.param(lambda m: m % 2, id="remainder"),
        pytest.param(lambda m: divmod(m, 2), id="division with remainder"),
        pytest.param(lambda m: m * 0.5, id="times a float"),
        pytest.param(lambda m: m + 0.5, id="plus a float"),
        pytest.param(lambda _m: Kopecks(1.0), id="from a float"),  # type: ignore[arg-type]
        pytest.param(lambda _m: Kopecks(True), id="from a boolean"),
    ],
)
def test_money_refuses_what_would_lose_a_kopeck(operation) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError):
        operation(Kopecks(101))


def test_money_stays_money_in_arithmetic() -> None:
    money = Kopecks(150)

    for result in (money + 1, 1 + money, money - 1, 200 - money, money * 2, 2 * money, -money, abs(-money)):
        assert type(result) is Kopecks
    assert str(money) == "1.50"
