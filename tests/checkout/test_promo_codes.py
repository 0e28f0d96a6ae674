"""Promo codes: what they give, to whom, how often; and three hundred tills that ask for one code at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import DBAPIError

from checkout import promo_code_rows, promo_codes, promo_errors
from checkout.baskets import Basket, Line, Measure
from checkout.errors import CheckoutRejected
from checkout.promo_rules import (
    DISCOUNT_KOPECKS_MAX,
    PromoCode,
    PromoKind,
    PromoTerms,
    Redemption,
    RedemptionStatus,
    check_terms,
    discount_of,
    read_code,
    with_usual_limits,
)
from checkout.telling import TillActor
from ledger.database import Engine, create_engine, in_transaction, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.api.test_rail_constraints import MERCHANT, ROWS, insert
from tests.conftest import Database

BY = TillActor("caller:key_1", "req_1")
OWNER, FRIEND = "lcd_owner", "lcd_friend"
START = datetime.fromisoformat("2026-11-22T09:00:00+00:00")
REFERRAL = PromoTerms("DRUG", PromoKind.REFERRAL, START, 20_000, owner_key=OWNER, reward_kopecks=30_000)
TRIAL = PromoTerms("FIRST", PromoKind.TRIAL, START, discount_basis_points=1_000)
DISCOUNT = PromoTerms("MINUS5", PromoKind.DISCOUNT, START, discount_basis_points=500, discount_kopecks_max=5_000)


def basket(kopecks: int = 100_000) -> Basket:
    return Basket((Line("819304", "Молоко", Measure.PIECE, 1, Kopecks(kopecks)),))


class Shop:
    """A merchant's till that places as many orders as are asked for, and has codes."""

    def __init__(self, database: Database, engine: Engine, now: datetime) -> None:
        self.database, self.engine, self.now = database, engine, now
        with psycopg.connect(database.superuser_url) as connection:
            for table in ("merchants", "stores", "terminals"):
                insert(connection, table, ROWS[table])

    async def code(self, terms: PromoTerms) -> PromoCode:
        async with transaction(self.engine) as session:
            return await promo_codes.make_code(
                session, new_id("pmc", self.now), terms, merchant_id=MERCHANT, by=BY, now=self.now
            )

    def orders(self, count: int = 1) -> list[str]:
        ids = [new_id("ord", self.now) for _ in range(count)]
        with psycopg.connect(self.database.superuser_url) as connection:
            for order_id in ids:
                insert(connection, "orders", ROWS["orders"] | {"id": order_id, "number": order_id})
        return ids

    async def reserve(
        self, code: str, buyer: str | None = None, *, order_id: str | None = None, kopecks: int = 100_000,
        now: datetime | None = None, engine: Engine | None = None,
    ) -> Redemption:  # fmt: skip
        order = order_id or self.orders()[0]
        return await in_transaction(
            engine or self.engine,
            lambda session: promo_codes.reserve(session, code, order, buyer, basket(kopecks), now=now or self.now),
        )

    async def pay(self, *redemptions: Redemption) -> list[Redemption]:
        async with transaction(self.engine) as session:
            return await promo_codes.confirm_redemptions(session, [one.order_id for one in redemptions], now=self.now)

    async def release(self, *redemptions: Redemption) -> list[Redemption]:
        async with transaction(self.engine) as session:
            return await promo_codes.release_redemptions(session, [one.order_id for one in redemptions], now=self.now)

    async def give_back(self, redemption: Redemption) -> Redemption | None:
        async with transaction(self.engine) as session:
            return await promo_codes.give_back_redemption(session, redemption.order_id, now=self.now)

    async def load(self, code: PromoCode) -> PromoCode:
        async with transaction(self.engine) as session:
            return await promo_code_rows.load_code(session, code.id, merchant_id=MERCHANT)

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.superuser_url) as connection:
            return connection.execute(sql.SQL(query)).fetchall()  # type: ignore[arg-type]

    def check_counts(self) -> None:
        """Counts agree with the redemptions that they count."""
        assert self.asked(
            """SELECT p.code FROM promo_codes AS p LEFT JOIN promo_redemptions AS r ON r.promo_code_id = p.id
                WHERE redemptions_max IS NOT NULL GROUP BY p.id
               HAVING p.taken <> count(r.id) FILTER (WHERE r.status IN ('reserved', 'confirmed'))
                   OR p.confirmed <> count(r.id) FILTER (WHERE r.status = 'confirmed')"""
        ) == []  # fmt: skip


@pytest.fixture
def shop(database: Database, engine: Engine, now: datetime) -> Shop:
    return Shop(database, engine, now)


async def test_three_hundred_tills_get_three_redemptions_of_a_code_for_three(shop: Shop) -> None:
    code = await shop.code(REFERRAL)
    orders = shop.orders(300)
    engine = create_engine(shop.database.app_url, size=24)
    gate = asyncio.Semaphore(24)

    async def try_at_a_till(number: int, order_id: str) -> str:
        while True:
            async with gate:
                try:
                    return (await shop.reserve("DRUG", f"lcd_{number}", order_id=order_id, engine=engine)).status
                except CheckoutRejected as refusal:
                    return refusal.code
                except DBAPIError as error:  # a busy machine lets tills wait too long: they ask again
                    if not isinstance(error.orig, LockNotAvailable):
                        raise

    answers = Counter(await asyncio.gather(*(try_at_a_till(*each) for each in enumerate(orders))))
    await engine.dispose()

    assert answers == {"reserved": 3, "checkout.promo_code_spent": 297}
    assert (await shop.load(code)).taken == 3
    assert shop.asked("SELECT count(*) FROM promo_redemptions") == [(3,)]


async def test_the_tills_of_one_buyer_race_for_what_the_buyer_has_left(shop: Shop) -> None:
    await shop.code(replace(DISCOUNT, buyer_redemptions_max=2))
    orders = shop.orders(12)

    async def try_at_a_till(order_id: str) -> str:
        try:
            return (await shop.reserve("MINUS5", FRIEND, order_id=order_id)).status
        except CheckoutRejected as refusal:
            return refusal.code

    answers = Counter(await asyncio.gather(*map(try_at_a_till, orders)))

    assert answers == {"reserved": 2, "checkout.promo_buyer_limit": 10}
    assert shop.asked("SELECT buyer_use FROM promo_redemptions ORDER BY buyer_use") == [(1,), (2,)]


async def test_the_fourth_friend_is_refused_and_the_owner_is_rewarded_after_the_third_has_paid(shop: Shop) -> None:
    code = await shop.code(REFERRAL)
    friends = [await shop.reserve("drug ", f"lcd_{number}") for number in range(3)]

    with pytest.raises(promo_errors.PromoCodeSpent):
        await shop.reserve("DRUG", "lcd_4")
    await shop.pay(*friends[:2])
    assert (await shop.load(code)).reward_code_id is None
    await shop.pay(friends[2])

    rewarded = await shop.load(code)
    assert rewarded.reward_code_id is not None
    assert rewarded.confirmed == 3
    async with transaction(shop.engine) as session:
        reward = await promo_code_rows.load_code(session, rewarded.reward_code_id, merchant_id=MERCHANT)
    assert (reward.terms.kind, reward.terms.discount_kopecks, reward.terms.only_for) == ("discount", 30_000, OWNER)
    with pytest.raises(promo_errors.PromoCodeElsewhere):
        await shop.reserve(reward.terms.code, FRIEND)
    assert (await shop.reserve(reward.terms.code, OWNER)).discount == 30_000
    shop.check_counts()


async def test_whoever_pays_last_rewards_once_also_when_two_pay_at_once(shop: Shop) -> None:
    code = await shop.code(REFERRAL)
    friends = [await shop.reserve("DRUG", f"lcd_{number}") for number in range(3)]

    await asyncio.gather(*map(shop.pay, friends), shop.pay(*friends))

    assert (await shop.load(code)).reward_code_id is not None
    assert shop.asked("SELECT count(*) FROM promo_codes") == [(2,)]
    assert shop.asked("SELECT count(*) FROM events WHERE type = 'promo_code.rewarded'") == [(1,)]
    assert shop.asked("SELECT count(*) FROM events WHERE type = 'redemption.confirmed'") == [(3,)]


async def test_a_released_use_is_another_tills(shop: Shop) -> None:
    await shop.code(replace(DISCOUNT, redemptions_max=1))
    first = await shop.reserve("MINUS5")

    with pytest.raises(promo_errors.PromoCodeSpent):
        await shop.reserve("MINUS5")
    await shop.release(first)

    assert (await shop.reserve("MINUS5")).status is RedemptionStatus.RESERVED
    shop.check_counts()


async def test_a_redemption_has_one_outcome_whatever_repeats_and_comes_late(shop: Shop) -> None:
    await shop.code(replace(DISCOUNT, redemptions_max=5))
    order_id = shop.orders()[0]
    first = await shop.reserve("MINUS5", order_id=order_id)

    assert await shop.reserve("minus5", order_id=order_id) == first
    assert [one.status for one in await shop.pay(first)] == [RedemptionStatus.CONFIRMED]
    assert await shop.pay(first) == [] == await shop.release(first)

    returned = await shop.give_back(first)
    assert returned is not None
    assert returned.status is RedemptionStatus.RETURNED
    assert await shop.give_back(first) is None
    assert await shop.pay(first) == []
    shop.check_counts()


async def test_two_codes_are_not_used_in_one_order(shop: Shop) -> None:
    await shop.code(DISCOUNT)
    await shop.code(replace(DISCOUNT, code="MINUS6"))
    first = await shop.reserve("MINUS5")

    with pytest.raises(promo_errors.PromoCodeAlready):
        await shop.reserve("MINUS6", order_id=first.order_id)


async def test_a_refund_of_the_whole_order_gives_the_use_back_if_the_code_says_so(shop: Shop) -> None:
    await shop.code(replace(TRIAL, is_returnable=True))
    await shop.code(replace(DISCOUNT, redemptions_max=1, is_returnable=False))
    trial, discount = await shop.reserve("FIRST", FRIEND), await shop.reserve("MINUS5", FRIEND)
    await shop.pay(trial, discount)

    assert await shop.give_back(discount) is None
    assert await shop.give_back(trial) is not None

    with pytest.raises(promo_errors.PromoCodeSpent):
        await shop.reserve("MINUS5")
    assert (await shop.reserve("FIRST", FRIEND)).discount == 10_000
    shop.check_counts()


async def test_a_reward_stays_although_a_friend_gives_the_goods_back(shop: Shop) -> None:
    code = await shop.code(REFERRAL)
    friends = [await shop.reserve("DRUG", f"lcd_{number}") for number in range(3)]
    await shop.pay(*friends)
    rewarded = await shop.load(code)

    await shop.give_back(friends[0])
    await shop.pay(await shop.reserve("DRUG", "lcd_4"))

    assert (await shop.load(code)).reward_code_id == rewarded.reward_code_id
    assert shop.asked("SELECT count(*) FROM promo_codes") == [(2,)]
    shop.check_counts()


async def test_a_buyer_takes_one_trial_of_a_merchant_by_whatever_code(shop: Shop) -> None:
    await shop.code(TRIAL)
    await shop.code(replace(TRIAL, code="HELLO"))
    await shop.reserve("FIRST", FRIEND)

    with pytest.raises(promo_errors.PromoTrialTaken):
        await shop.reserve("HELLO", FRIEND)
    with pytest.raises(promo_errors.PromoTrialTaken):
        await shop.reserve("FIRST", FRIEND)
    assert (await shop.reserve("HELLO", OWNER)).discount == 10_000


async def test_an_ended_code_is_reserved_no_more_and_still_paid(shop: Shop) -> None:
    code = await shop.code(DISCOUNT)
    reserved = await shop.reserve("MINUS5")
    for _ in range(2):
        async with transaction(shop.engine) as session:
            await promo_codes.end_code(session, code.id, merchant_id=MERCHANT, by=BY, now=shop.now)

    with pytest.raises(promo_errors.PromoCodeNotValid):
        await shop.reserve("MINUS5")
    assert len(await shop.pay(reserved)) == 1
    assert shop.asked("SELECT count(*) FROM events WHERE type = 'promo_code.ended'") == [(1,)]


@pytest.mark.parametrize(
    ("terms", "buyer", "kopecks", "minutes", "refusal"),
    [
        pytest.param(DISCOUNT, None, 100_000, -1, promo_errors.PromoCodeNotValid, id="before it begins"),
        pytest.param(
            replace(DISCOUNT, valid_until=START + timedelta(minutes=5)), None, 100_000, 5,
            promo_errors.PromoCodeNotValid, id="when it is over",
        ),
        pytest.param(TRIAL, None, 100_000, 0, promo_errors.PromoBuyerUnknown, id="counted by buyer, and none is known"),
        pytest.param(REFERRAL, OWNER, 100_000, 0, promo_errors.OwnPromoCode, id="the owner's own"),
        pytest.param(
            replace(DISCOUNT, only_for=OWNER), FRIEND, 100_000, 0, promo_errors.PromoCodeElsewhere, id="another's",
        ),
        pytest.param(
            replace(DISCOUNT, basket_kopecks_min=50_000), None, 49_999, 0, promo_errors.PromoBasketTooSmall,
            id="a kopeck less than it takes",
        ),
        pytest.param(DISCOUNT, None, 1, 0, promo_errors.PromoBasketTooSmall, id="nothing would be left to pay"),
    ],
)  # fmt: skip
async def test_a_code_that_does_not_work_here_is_refused_and_nothing_is_taken(
    shop: Shop, terms: PromoTerms, buyer: str | None, kopecks: int, minutes: int, refusal: type[Exception]
) -> None:
    await shop.code(terms)

    with pytest.raises(refusal):
        await shop.reserve(terms.code, buyer, kopecks=kopecks, now=START + timedelta(minutes=minutes))

    assert shop.asked("SELECT count(*) FROM promo_redemptions") == [(0,)]


async def test_a_code_that_nobody_made_is_not_found_and_a_second_of_the_same_name_not_made(shop: Shop) -> None:
    await shop.code(DISCOUNT)

    with pytest.raises(promo_errors.PromoCodeNotFound):
        await shop.reserve("MINUS6")
    with pytest.raises(promo_errors.PromoCodeTaken):
        await shop.code(DISCOUNT)


async def test_a_code_of_chance_is_drawn_again_when_it_is_taken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.code(replace(DISCOUNT, code="TAKEN-1"))
    drawn = iter(["TAKEN-1", "FRESH-1", "TAKEN-1", "TAKEN-1", "TAKEN-1"])
    monkeypatch.setattr(promo_codes, "_new_code", lambda _now: next(drawn))

    assert (await shop.code(replace(DISCOUNT, code=""))).terms.code == "FRESH-1"
    with pytest.raises(promo_errors.PromoCodeTaken):
        await shop.code(replace(DISCOUNT, code=""))


async def test_a_code_is_told_of_with_its_leaf(shop: Shop) -> None:
    code = await shop.code(DISCOUNT)

    assert shop.asked("SELECT type, object_id FROM events") == [("promo_code.made", code.id)]
    ((leaf,),) = shop.asked("SELECT convert_from(event, 'UTF8') FROM audit_events")
    assert '"action":"promo_code.made"' in leaf
    assert '"actor":"caller:key_1"' in leaf


def test_kinds_bring_limits_of_their_own() -> None:
    referral, trial, discount = map(with_usual_limits, (REFERRAL, TRIAL, DISCOUNT))

    assert (referral.redemptions_max, referral.buyer_redemptions_max) == (3, 1)
    assert (trial.redemptions_max, trial.buyer_redemptions_max) == (None, 1)
    assert (discount.redemptions_max, discount.buyer_redemptions_max) == (None, None)
    assert with_usual_limits(replace(REFERRAL, redemptions_max=7)).redemptions_max == 7


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (replace(DISCOUNT, discount_kopecks=1), "discount_basis_points"),
        (replace(DISCOUNT, discount_basis_points=None), "discount_basis_points"),
        (replace(DISCOUNT, discount_basis_points=10_001), "discount_basis_points"),
        (replace(REFERRAL, discount_kopecks=0), "discount_kopecks"),
        (replace(REFERRAL, discount_kopecks_max=1), "discount_kopecks_max"),
        (replace(DISCOUNT, basket_kopecks_min=-1), "basket_kopecks_min"),
        (replace(DISCOUNT, redemptions_max=0), "redemptions_max"),
        (replace(DISCOUNT, buyer_redemptions_max=1_001), "buyer_redemptions_max"),
        (replace(TRIAL, buyer_redemptions_max=2), "buyer_redemptions_max"),
        (replace(REFERRAL, owner_key=None), "owner_key"),
        (replace(DISCOUNT, owner_key=OWNER), "owner_key"),
        (replace(REFERRAL, only_for=FRIEND), "only_for"),
        (replace(DISCOUNT, reward_kopecks=1), "reward_kopecks"),
        (replace(DISCOUNT, valid_until=START), "valid_until"),
    ],
)
def test_terms_that_contradict_one_another_are_refused(terms: PromoTerms, field: str) -> None:
    with pytest.raises(promo_errors.PromoTermsInvalid) as refusal:
        check_terms(with_usual_limits(terms))

    assert refusal.value.facts == {"field": field}


@pytest.mark.parametrize("typed", ["AB", "A" * 33, "ДРУГ 10", "A\x00B1", "100%", ""])
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(promo_errors.PromoTermsInvalid):
        read_code(typed)


@given(
    price=st.integers(2, DISCOUNT_KOPECKS_MAX),
    percent=st.integers(1, 10_000),
    ceiling=st.none() | st.integers(1, DISCOUNT_KOPECKS_MAX),
)
def test_a_discount_gives_something_and_leaves_something(price: int, percent: int, ceiling: int | None) -> None:
    terms = replace(DISCOUNT, discount_basis_points=percent, discount_kopecks_max=ceiling)

    taken_off = discount_of(terms, Kopecks(price))

    assert 1 <= taken_off <= price - 1
    assert taken_off <= max(1, price * percent // 10_000)
    assert ceiling is None or taken_off <= ceiling
