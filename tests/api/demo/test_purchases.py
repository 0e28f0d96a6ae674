"""The input file, and what it adds up to."""

from __future__ import annotations

from collections import Counter

from api.demo.purchases import read_purchases, turnover


def test_the_file_adds_up_to_what_its_source_says() -> None:
    purchases = read_purchases(is_all=True)

    assert len(purchases) == 69_659
    assert turnover(purchases) == 2_500_315_63 * 100  # dollars and cents, read as roubles
    assert sum(purchase.amount == 0 for purchase in purchases) == 80


def test_the_first_quarter_has_the_rows_its_source_says() -> None:
    purchases = read_purchases()

    assert len(purchases) == 31_798
    assert sum(purchase.amount == 0 for purchase in purchases) == 73
    assert {purchase.bought_on.month for purchase in purchases} == {1, 2, 3}


def test_equal_rows_are_different_purchases() -> None:
    purchases = read_purchases(is_all=True)
    said = Counter((p.customer, p.bought_on, p.discs, p.amount) for p in purchases)

    assert sum(count - 1 for count in said.values()) == 255
    assert len({purchase.number for purchase in purchases}) == len(purchases)


def test_a_short_run_takes_the_first_rows_of_the_file() -> None:
    purchases = read_purchases(orders=100)

    assert {p.position for p in purchases} == set(sorted(p.position for p in read_purchases())[:100])
    assert purchases == sorted(purchases, key=lambda purchase: purchase.bought_on)
    assert all(purchase.placed_at.date() == purchase.bought_on for purchase in purchases)


def test_runs_one_after_another_take_each_row_once() -> None:
    parts = read_purchases(orders=40), read_purchases(orders=60, skipped=40)
    apart = [purchase for part in parts for purchase in part]

    assert sorted(apart, key=lambda p: p.position) == sorted(read_purchases(orders=100), key=lambda p: p.position)
    assert len(read_purchases(skipped=31_000)) == 798
    assert read_purchases(skipped=31_798) == []
