"""What comes back to the demo's tills is chosen by the seed, never more than was sold; phones show each code once."""

from __future__ import annotations

import random
from datetime import timedelta

from api.demo.caller import Caller, Tally
from api.demo.hearing import Hearing
from api.demo.till_baskets import read_baskets
from api.demo.till_phones import ShownCard
from api.demo.till_returns import Returns, choose_goods
from api.demo.till_sale import TillSale
from api.demo.wire import Connection
from checkout.time_codes import step_of
from ledger.clock import machine_now

LINES = [
    {"line": 1, "measure": "piece", "quantity": 3, "rail_kopecks": 1_000, "points": 10},
    {"line": 2, "measure": "gram", "quantity": 1_125, "rail_kopecks": 777, "points": 0},
]


def returns(seed: int, share: float) -> Returns:
    """Of a shop that nothing has been heard in yet."""
    return Returns(Hearing(Caller(Connection("http://127.0.0.1:1"), "test", 1, Tally())), seed, share)


def test_goods_come_back_whole_or_by_pieces_and_never_more_than_was_sold() -> None:
    kinds = set()

    for seed in range(300):
        goods = choose_goods(LINES, random.Random(seed))
        gone = {each["line"]: each["quantity"] for each in goods.items} or {1: 3, 2: 1_125}
        assert gone.get(1, 1) in (1, 2, 3)
        assert gone.get(2, 1_125) == 1_125
        assert goods.amount == {0: 0, 1: 333, 2: 666, 3: 1_000}[gone.get(1, 0)] + (777 if 2 in gone else 0)
        assert goods.points == {0: 0, 1: 3, 2: 6, 3: 10}[gone.get(1, 0)]
        kinds.add((len(goods.items), gone.get(1)))

    assert kinds >= {(0, 3), (1, 1), (1, 2), (1, None), (2, 3)}


async def test_nobody_brings_back_what_is_not_known_to_be_paid() -> None:
    (basket,) = read_baskets(1)
    sale, at_store = TillSale(basket, "sbp", "ord_1", tenders={"lines": LINES}), returns(1, 1.0)
    at_store.consider(sale)

    await at_store.take_back(at_store.hearing.caller, basket.store, basket.on)

    assert (at_store.made, at_store.due) == ([], {basket.store: [sale]})


def test_the_same_seed_brings_the_same_goods_back() -> None:
    first, second = returns(7, 0.2), returns(7, 0.2)
    for basket in read_baskets(200):
        first.consider(TillSale(basket, "sbp"))
        second.consider(TillSale(basket, "card"))

    baskets = [[sale.basket for of_store in each.due.values() for sale in of_store] for each in (first, second)]
    assert 10 < len(baskets[0]) < 80
    assert baskets[0] == baskets[1]


def test_a_phone_shows_each_code_once() -> None:
    now = machine_now()
    phone = ShownCard("1S0001", b"secret", 30, 6)

    shown = [phone.next_code(now), phone.next_code(now), phone.next_code(now + timedelta(seconds=30))]

    assert shown[1] is None
    assert shown[0] is not None
    assert shown[0].startswith("1S0001")
    assert shown[2] not in (None, shown[0])
    assert phone.last_step == step_of(now) + 1
