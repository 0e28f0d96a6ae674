"""The till's input comes to the same kopeck however a line is measured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.demo.till_baskets import priced, read_baskets, turnover
from checkout.baskets import Line, Measure
from ledger.money import Kopecks


def test_the_file_is_four_weeks_of_ten_stores() -> None:
    baskets = read_baskets()
    assert (len(baskets), len({basket.store for basket in baskets}), len({basket.on for basket in baskets})) == (
        2_224,
        10,
        28,
    )
    assert turnover(baskets) == 669_979_500
    assert sum(basket.value == 0 for basket in baskets) == 3
    assert [basket.at for basket in baskets] == sorted(basket.at for basket in baskets)


def test_every_line_of_the_file_comes_to_what_the_file_says() -> None:
    for basket in read_baskets():
        for told in basket.lines:
            body = told.body()
            line = Line(
                body["article"], body["name"], Measure(body["measure"]), body["quantity"],
                Kopecks(body["price_kopecks"]), Kopecks(body["discount_kopecks"]),
            )  # fmt: skip
            assert line.amount == told.value
            assert line.quantity >= 1


@given(st.integers(0, 10**8), st.integers(0, 100_000))
def test_a_price_is_found_for_every_sum(gross: int, quantity: int) -> None:
    measure, amount, price = priced(gross, quantity)
    assert Line("a", "a", Measure(measure), amount, Kopecks(price), Kopecks(0)).gross == gross
