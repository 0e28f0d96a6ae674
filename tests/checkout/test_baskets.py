"""Baskets as values: what lines cost, how shares are cut, what rails take off, what of it comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.basket_errors import BasketEmpty, BasketMalformed, BasketMismatch, RailOfferInvalid
from checkout.basket_rows import OrderBasket, TendersStatus
from checkout.baskets import LINES_MAX, NOTHING, QUANTITY_MAX, Basket, Line, Measure, check_basket, part_of, spread
from checkout.item_refund_rows import ItemRefund, ItemRefundStatus, Returned, quantities
from checkout.item_refunds import items_back, what_goes_back
from checkout.offers import RailOffer, check_offer, offers_for, totals
from ledger.errors import KopeykaError
from ledger.money import Kopecks

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
TEA = Line("t-1", "Чай", Measure.PIECE, 3, Kopecks(10_001), Kopecks(2))
WEIGHTS = st.lists(st.integers(0, 5_000), min_size=1, max_size=8)


def offer(rail: str, basis_points: int) -> RailOffer:
    return RailOffer(f"rof_{rail}", "mer_1", rail, basis_points, "дешевле", AT, None, AT)


@pytest.mark.parametrize(
    ("measure", "quantity", "price", "gross"),
    [
        (Measure.PIECE, 3, 8_999, 26_997),
        (Measure.GRAM, 1_125, 64_990, 73_114),  # 731.1375 roubles
        (Measure.GRAM, 5, 10_100, 51),  # half a kopeck goes up
        (Measure.GRAM, 1, 499, 0),
        (Measure.CENTIMETER, 150, 20_001, 30_002),
        (Measure.MILLILITER, 500, 7_999, 4_000),
        (Measure.KILOGRAM, 2, 64_990, 129_980),
    ],
)
def test_a_line_is_rounded_once_to_the_kopeck(measure: Measure, quantity: int, price: int, gross: int) -> None:
    assert Line("a", "н", measure, quantity, Kopecks(price)).gross == gross


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"article": ""}, "article"), ({"article": " a"}, "article"), ({"article": "a" * 65}, "article"),
        ({"name": ""}, "name"), ({"name": "\x00"}, "name"), ({"name": "Сыр\u202e"}, "name"),
        ({"name": "н" * 129}, "name"),
        ({"quantity": 0}, "quantity"), ({"quantity": QUANTITY_MAX + 1}, "quantity"),
        ({"quantity": 10**5000}, "quantity"),
        ({"price": Kopecks(-1)}, "price_kopecks"), ({"price": Kopecks(100_000_001)}, "price_kopecks"),
        ({"discount": Kopecks(-1)}, "discount_kopecks"), ({"discount": Kopecks(30_004)}, "discount_kopecks"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_whole_is_refused_by_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(BasketMalformed) as refusal:
        check_basket(Basket((TEA, replace(TEA, **change))), None)  # type: ignore[arg-type]
    assert (refusal.value.facts["line"], refusal.value.facts["field"]) == (2, field)


def test_a_basket_has_lines_and_comes_to_the_sum_that_is_said() -> None:
    check_basket(Basket((TEA,)), 30_001)
    for basket, amount, error in (
        (Basket(()), None, BasketEmpty),
        (Basket((TEA,) * (LINES_MAX + 1)), None, BasketMalformed),
        (Basket((TEA,)), 30_003, BasketMismatch),
    ):
        with pytest.raises(error):
            check_basket(basket, amount)


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, percent=st.integers(0, 100))
def test_shares_add_up_and_none_is_above_its_line(weights: list[int], percent: int) -> None:
    total = sum(weights) * percent // 100

    shares = spread(total, weights)

    assert sum(shares) == total
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * sum(weights) - total * weight) < max(sum(weights), 1)


@settings(max_examples=60, deadline=None)
@given(share=st.integers(0, 10_000), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_line_taken_apart_gives_back_its_share(share: int, pieces: list[int]) -> None:
    quantity, gone, back = sum(pieces), 0, 0
    for taken in pieces:
        part = part_of(share, quantity, before=gone, taken=taken)
        assert part >= 0
        gone, back = gone + taken, back + part
    assert back == share


def test_a_plan_costs_no_more_than_the_cheapest_rail() -> None:
    made = offers_for("ord_1", Kopecks(10_050), [offer("sbp", 200), offer("card", 50), offer("koshelek_pay", 0)])

    assert [(each.rail, int(each.discount)) for each in made] == [("sbp", 201), ("card", 50), ("dolyame", 201)]
    assert offers_for("ord_1", Kopecks(10_050), []) == []


def test_an_offer_leaves_a_kopeck_for_the_rail() -> None:
    assert [int(each.discount) for each in offers_for("ord_1", Kopecks(2), [offer("sbp", 5_000)])] == [1, 1]
    assert offers_for("ord_1", Kopecks(1), [offer("sbp", 5_000)]) == []


@pytest.mark.parametrize(
    "change", [{"rail": "cash"}, {"basis_points": 5_001}, {"basis_points": -1}, {"note": ""}, {"valid_until": AT}]
)
def test_an_offer_that_says_nothing_or_too_much_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RailOfferInvalid):
        check_offer(replace(offer("sbp", 200), **change))  # type: ignore[arg-type]


def sold(promo: int, points: int, offered: int) -> OrderBasket:
    """Three teas and a quarter of nuts, paid by a code, points of ten kopecks, and a rail with an offer."""
    basket = Basket(
        (TEA, Line("n-1", "Орехи", Measure.GRAM, 250, Kopecks(40_000)), replace(TEA, price=NOTHING, discount=NOTHING))
    )
    promo_shares = spread(promo, [int(line.amount) for line in basket.lines])
    caps = [(int(line.amount) - share) // 10 for line, share in zip(basket.lines, promo_shares, strict=True)]
    return OrderBasket(
        order_id="ord_1", basket=basket, promo=Kopecks(promo), promo_shares=promo_shares, points=points,
        points_value=Kopecks(points * 10), points_shares=spread(points, caps), offer=Kopecks(offered),
        amount=Kopecks(basket.subtotal - promo - points * 10 - offered), loyalty_card_id="lcd_1", presentment_id=None,
        redemption_id="rdm_1", offer_rail="sbp", refunded=NOTHING, points_back=0, status=TendersStatus.CONFIRMED,
        created_at=AT, expires_at=AT,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    promo=st.integers(0, 20_000),
    points=st.integers(0, 1_500),
    offered=st.integers(0, 500),
    order=st.permutations(range(5)),
)
def test_goods_that_come_back_in_any_order_bring_back_all_of_it(
    promo: int, points: int, offered: int, order: list[int]
) -> None:
    of_order, live = sold(promo, points, offered), list[ItemRefund]()
    assert all(rest >= 0 for rest in of_order.rests)
    pieces = [Returned(1, 1), Returned(1, 2), Returned(2, 250), Returned(3, 1), Returned(3, 2)]
    for place in order:
        live.append(given_back(of_order, [pieces[place]], live))

    assert sum_of(live) == (of_order.amount, points)
    assert set(totals(of_order, []).values()) == {of_order.before_offer}


def given_back(of_order: OrderBasket, wanted: list[Returned], live: list[ItemRefund]) -> ItemRefund:
    lines = what_goes_back(of_order, items_back(of_order, wanted, quantities(live)), live)
    amount, points = Kopecks(sum(each.amount for each in lines)), sum(each.points for each in lines)
    return ItemRefund(
        "itr_1", "ord_1", "mer_1", "ref_1", lines, amount, points, None, ItemRefundStatus.REQUESTED, AT, None
    )  # fmt: skip


def sum_of(live: list[ItemRefund]) -> tuple[int, int]:
    return sum(each.amount for each in live), sum(each.points_back for each in live)


@settings(max_examples=100, deadline=None)
@given(
    promo=st.integers(0, 20_000),
    points=st.integers(0, 1_500),
    pieces=st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(1, 3), st.booleans()), max_size=8),
)
def test_a_refund_that_the_rail_refused_leaves_no_kopeck_too_many_or_too_few(
    promo: int, points: int, pieces: list[tuple[int, int, bool]]
) -> None:
    of_order, live = sold(promo, points, 3), list[ItemRefund]()
    for line, quantity, is_earlier_refused in pieces:
        if quantity <= 3 - quantities(live).get(line, 0):
            live.append(given_back(of_order, [Returned(line, quantity)], live))
        if is_earlier_refused and live:
            live.pop(0)
    if any(quantities(live).get(line, 0) < each.quantity for line, each in enumerate(of_order.basket.lines, 1)):
        live.append(given_back(of_order, [], live))

    assert sum_of(live) == (of_order.amount, points)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([Returned(4, 1)], "checkout.items_unknown"),
        ([Returned(1, 3)], "checkout.items_not_left"),
        ([Returned(2, 249)], "checkout.measure_only_whole"),
        ([Returned(1, 1), Returned(1, 1)], "checkout.items_malformed"),
        ([Returned(1, 0)], "checkout.items_malformed"),
    ],
)
def test_what_is_not_there_does_not_come_back(wanted: list[Returned], code: str) -> None:
    with pytest.raises(KopeykaError) as refusal:
        items_back(sold(0, 0, 0), wanted, {1: 1})
    assert refusal.value.code == code


def test_all_that_is_left_comes_back_once() -> None:
    of_order = sold(0, 0, 0)

    assert items_back(of_order, [], {1: 1}) == (Returned(1, 2), Returned(2, 250), Returned(3, 3))
    with pytest.raises(KopeykaError):
        items_back(of_order, [], {1: 3, 2: 250, 3: 3})
