"""What baskets earn and how much of them points may pay, by rule and by property."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.baskets import Line, Measure
from checkout.errors import InvalidPointsProgramme, InvalidPointsRule
from checkout.points_rules import Programme, Rule, check_programme, check_rule, earned, earned_back, spendable
from ledger.money import Kopecks

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
RULE = Rule("prl_1", "coffee", date(2026, 11, 1), point_kopecks=100, earn_basis_points=500)
PROGRAMME = Programme("coffee", "mer_1", "Кофе", 100, (600,), NOW)


def line(article: str, kopecks: int, discount: int = 0) -> Line:
    return Line(article, article, Measure.PIECE, 1, Kopecks(kopecks), Kopecks(discount))


def test_a_basket_earns_a_share_of_the_money_the_rail_brings() -> None:
    assert earned([line("tea", 60_000), line("jam", 40_000)], RULE, Kopecks(100_000)) == 50
    assert earned([line("tea", 60_000), line("jam", 40_000)], RULE, Kopecks(50_000)) == 25
    assert earned([line("tea", 1_999)], RULE, Kopecks(1_999)) == 0


def test_goods_that_take_no_part_neither_earn_nor_are_paid_by_points() -> None:
    rule = replace(RULE, excluded_articles=frozenset({"tobacco"}))
    lines = [line("tea", 60_000), line("tobacco", 40_000)]
    assert earned(lines, rule, Kopecks(100_000)) == 30
    assert spendable(lines, rule) == 300
    assert spendable([line("tobacco", 40_000)], rule) == 0


def test_a_small_payment_earns_nothing() -> None:
    rule = replace(RULE, earn_from_kopecks=30_000)
    assert earned([line("tea", 100_000)], rule, Kopecks(29_999)) == 0
    assert earned([line("tea", 100_000)], rule, Kopecks(30_000)) == 15


def test_half_of_a_line_and_half_of_a_basket_may_be_paid_by_points() -> None:
    assert spendable([line("tea", 60_000, discount=20_000)], RULE) == 200
    assert spendable([line("tea", 60_000)], replace(RULE, line_basis_points=10_000)) == 300
    assert spendable([], RULE) == 0


def test_a_kopeck_is_always_left_to_the_rail() -> None:
    rule = replace(RULE, point_kopecks=1, line_basis_points=10_000, basket_basis_points=10_000)
    assert spendable([line("tea", 60_000)], rule) == 59_999
    assert spendable([line("tea", 1)], rule) == 0
    assert spendable([line("gift", 0)], rule) == 0


baskets = st.lists(st.builds(line, st.sampled_from(["tea", "jam", "tobacco"]), st.integers(0, 10**7)), max_size=8)
rules = st.builds(
    replace,
    st.just(RULE),
    earn_basis_points=st.integers(0, 10_000),
    line_basis_points=st.integers(0, 10_000),
    basket_basis_points=st.integers(0, 10_000),
    point_kopecks=st.integers(1, 10_000),
    excluded_articles=st.sets(st.sampled_from(["tobacco", "jam"])).map(frozenset),
)


@given(baskets, rules)
def test_points_never_pay_or_earn_more_than_the_goods_that_take_part(lines: list[Line], rule: Rule) -> None:
    taking_part = sum(each.amount for each in lines if each.article not in rule.excluded_articles)
    total = sum(each.amount for each in lines)
    assert 0 <= spendable(lines, rule) * rule.point_kopecks <= min(taking_part, max(total - 1, 0))
    assert 0 <= earned(lines, rule, Kopecks(total)) * rule.point_kopecks <= taking_part


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_refunds_of_parts_take_back_what_was_earned_and_no_more(points: int, parts: list[int]) -> None:
    paid = Kopecks(sum(parts) + 1)
    before, back = Kopecks(0), 0
    for part in [*parts, 1]:
        back += earned_back(points, paid, before, Kopecks(part))
        before = Kopecks(before + part)
    assert back == points


@pytest.mark.parametrize(
    "change",
    [
        {"earn_basis_points": -1}, {"earn_basis_points": 10_001}, {"line_basis_points": 10_001},
        {"basket_basis_points": -1}, {"earn_from_kopecks": -1}, {"earn_from_kopecks": 100_000_001}, {"lot_days": 0},
        {"lot_days": 3_651}, {"delay_days": 365}, {"delay_days": -1}, {"return_days": 0},
        {"excluded_articles": frozenset(map(str, range(501)))},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_rule_out_of_range_is_refused(change: dict[str, Any]) -> None:
    check_rule(RULE)
    with pytest.raises(InvalidPointsRule):
        check_rule(replace(RULE, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"code": "Coffee"}, {"code": ""}, {"code": "a" * 33}, {"point_kopecks": 0}, {"point_kopecks": 10_001},
        {"thresholds": (0,)}, {"thresholds": tuple(range(1, 12))}, {"thresholds": (10**9 + 1,)},
    ],
    ids=str,
)  # fmt: skip
def test_a_programme_out_of_range_is_refused(change: dict[str, Any]) -> None:
    check_programme(PROGRAMME)
    with pytest.raises(InvalidPointsProgramme):
        check_programme(replace(PROGRAMME, **change))
