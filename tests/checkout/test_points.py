"""Points of a card through the life of its orders: set aside, spent, earned, given back, expired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from checkout import basket_rows, points, points_programmes, points_rows, points_simulation
from checkout.errors import (
    PointsAmountNotPositive,
    PointsNotEnough,
    PointsProgrammeNotFound,
    PointsReturnAboveSpent,
    PointsRuleOfPast,
    PointsRuleTaken,
)
from checkout.points_rows import NewLot
from checkout.telling import BY_ITSELF
from ledger import accounts, outbox
from ledger.clock import moscow_day
from ledger.database import Engine, Session, in_transaction, text, transaction
from ledger.ids import new_id
from ledger.proofs import broken_proofs
from tests.checkout.points_world import PointsWorld, differences, points_world, tea


@pytest_asyncio.fixture
async def world(engine: Engine, now: datetime) -> AsyncIterator[PointsWorld]:
    """A card with a thousand points; after the test its lots, the books and the roubles must agree."""
    async with transaction(engine) as session:
        world = await points_world(session, now=now)
        await points.grant(session, world.card_id, 1_000, "welcome", reason="в подарок", now=now)
    yield world
    async with transaction(engine) as session:
        assert await differences(session) == []
        assert await broken_proofs(session) == []


async def standing(session: Session, world: PointsWorld, now: datetime) -> tuple[int, int, int]:
    found = await points.balance(session, world.card_id, now=now)
    return found.posted, found.reserved, found.available


async def told(session: Session, type_: str) -> list[dict[str, object]]:
    rows = await session.execute(text("SELECT data FROM events WHERE type = :type ORDER BY id"), {"type": type_})
    return [dict(row.data) for row in rows]


async def test_points_are_set_aside_then_spent_and_the_money_earns(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(60_000), tea(20_000)], points_used=400, now=now)
        assert await standing(session, world, now) == (1_000, 400, 600)
    async with transaction(engine) as session:
        earned = await world.pay(session, [order_id], now=now)
        assert earned == 20  # 5 % of the 400 roubles that the rail brought
        assert await standing(session, world, now) == (620, 0, 620)
        assert (await points_programmes.liability_of(session, world.programme)).amount_kopecks == 62_000
        assert [each["points"] for each in await told(session, "points.spent")] == [400]


async def test_paying_twice_spends_and_earns_once(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(80_000)], points_used=100, now=now)
        await world.pay(session, [order_id], now=now)
    async with transaction(engine) as session:
        assert await world.pay(session, [order_id], now=now) == 0
        assert await points.release_points(session, [order_id], now=now) == []
        assert (await standing(session, world, now))[0] == 935


async def test_an_order_that_is_not_paid_gives_its_points_back_to_the_lots_they_came_from(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        await points.grant(session, world.card_id, 50, "more", reason="ещё", now=now + timedelta(days=1))
        before = await points_rows.lots_of(session, world.card_id)
        order_id = await world.place(session, [tea(300_000)], points_used=1_020, now=now + timedelta(days=2))
        assert [lot.points_left for lot in await points_rows.lots_of(session, world.card_id)] == [30]
        await points.release_points(session, [order_id], now=now + timedelta(days=2))
        await points.release_points(session, [order_id], now=now + timedelta(days=2))
        assert await points_rows.lots_of(session, world.card_id) == before
        baskets = list((await basket_rows.baskets_of(session, [order_id])).values())
        await points.confirm_points(session, baskets, now=now + timedelta(days=2))
        assert await told(session, "points.spent") == []


async def test_what_the_card_does_not_have_is_refused(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        with pytest.raises(PointsNotEnough) as short:
            await world.place(session, [tea(900_000)], points_used=1_001, now=now)
        assert short.value.facts["points_available"] == 1_000
        order_id = await world.place(session, [tea(10_000)], now=now)
        for wrong in (0, -1, 10**9 + 1):
            with pytest.raises(PointsAmountNotPositive):
                await points.reserve_points(session, world.card_id, order_id, wrong, now=now)
        with pytest.raises(PointsProgrammeNotFound):
            await points.balance(session, new_id("lcd", now), now=now)
        assert await standing(session, world, now) == (1_000, 0, 1_000)


async def test_tills_that_race_for_one_card_never_spend_more_than_it_has(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async def try_once() -> bool:
        try:
            await in_transaction(engine, lambda s: world.place(s, [tea(900_000)], points_used=300, now=now))
        except PointsNotEnough:
            return False
        return True

    assert sum(await asyncio.gather(*(try_once() for _ in range(8)))) == 3
    async with transaction(engine) as session:
        assert await standing(session, world, now) == (1_000, 900, 100)


async def test_points_that_end_first_are_spent_first(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        late, early = now + timedelta(days=20), now - timedelta(hours=1)
        await points.grant(session, world.card_id, 70, "late", reason="r", now=late)
        await points.grant(session, world.card_id, 30, "early", reason="r", now=early)
        await world.place(session, [tea(900_000)], points_used=40, now=late)
        assert [lot.points_left for lot in await points_rows.lots_of(session, world.card_id)] == [990, 70]


async def test_points_wait_before_they_can_be_spent_when_the_rule_says_so(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    tomorrow = moscow_day(now) + timedelta(days=1)
    rule = replace(world.rule, id=new_id("prl", now), valid_from_on=tomorrow, delay_days=14)
    async with transaction(engine) as session:
        await points_programmes.publish_rule(session, world.programme, rule, by=BY_ITSELF, now=now)
        later = now + timedelta(days=1)
        order_id = await world.place(session, [tea(100_000)], now=later)
        assert await world.pay(session, [order_id], now=later) == 50
        found = await points.balance(session, world.card_id, now=later)
        assert (found.posted, found.pending, found.available) == (1_050, 50, 1_000)
        assert (await points.balance(session, world.card_id, now=later + timedelta(days=14))).available == 1_050


async def test_a_purchase_earns_by_the_rule_of_its_day(engine: Engine, world: PointsWorld, now: datetime) -> None:
    tomorrow = moscow_day(now) + timedelta(days=1)
    rule = replace(world.rule, id=new_id("prl", now), valid_from_on=tomorrow, earn_basis_points=1_000)
    async with transaction(engine) as session:
        await points_programmes.publish_rule(session, world.programme, rule, by=BY_ITSELF, now=now)
        again = replace(rule, id=new_id("prl", now))
        with pytest.raises(PointsRuleTaken):
            await points_programmes.publish_rule(session, world.programme, again, by=BY_ITSELF, now=now)
        today = replace(rule, valid_from_on=moscow_day(now))
        with pytest.raises(PointsRuleOfPast):
            await points_programmes.publish_rule(session, world.programme, today, by=BY_ITSELF, now=now)
        for at, earned in ((now, 50), (now + timedelta(days=1), 100)):
            order_id = await world.place(session, [tea(100_000)], now=at)
            assert await world.pay(session, [order_id], now=at) == earned


async def test_many_orders_are_paid_in_one_go(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        other = await world.another_card(session, now=now)
        order_ids = [
            await world.place(session, [tea(100_000)], points_used=10, now=now),
            await world.place(session, [tea(100_000)], card_id=other, now=now),
            await world.place(session, [tea(100_000)], points_used=20, now=now),
            await world.place(session, [tea(1)], now=now),
        ]
        assert await world.pay(session, order_ids, now=now) == 49 + 50 + 49
        assert (await points.balance(session, other, now=now)).available == 50
        assert (await standing(session, world, now))[0] == 1_000 - 30 + 49 + 49


async def test_reaching_a_threshold_is_told_once(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        other = await world.another_card(session, now=now)
        for kopecks in (1_180_000, 20_000, 20_000):
            order_id = await world.place(session, [tea(kopecks)], card_id=other, now=now)
            await world.pay(session, [order_id], now=now)
        reached = [each for each in await told(session, "points.threshold_reached") if each["points"] != 1_000]
        assert reached == [{"threshold": 600, "points": 600, "programme": "coffee"}]


async def test_a_refund_gives_points_back_and_takes_what_was_earned(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(80_000)], points_used=400, now=now)
        await world.pay(session, [order_id], now=now)
        for _ in range(2):
            await points.give_back(session, order_id, "ref_1", 300, 15, now=now)
        assert (await standing(session, world, now))[0] == 600 + 20 + 300 - 15
        with pytest.raises(PointsReturnAboveSpent):
            await points.give_back(session, order_id, "ref_2", 101, 0, now=now)
        await points.give_back(session, order_id, "ref_3", 100, 5, now=now)
        assert (await standing(session, world, now))[0] == 1_000


async def expire(session: Session, *, now: datetime) -> int:
    return await points.expire(session, await points_rows.lots_over(session, now=now), now=now)


async def test_points_come_back_alive_although_their_lot_is_over(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    years = now + timedelta(days=364)
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(80_000)], points_used=100, now=years)
        await world.pay(session, [order_id], now=years)
        after = now + timedelta(days=400)
        assert await expire(session, now=after) == 1
        await points.give_back(session, order_id, "ref_1", 100, 0, now=after)
        returned = [lot for lot in await points_rows.lots_of(session, world.card_id) if lot.reason == "returned"]
        assert [(lot.points, lot.expires_at) for lot in returned] == [(100, after + timedelta(days=30))]


async def test_earned_points_spent_before_a_refund_are_owed_and_kept_back_later(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        other = await world.another_card(session, now=now)
        first = await world.place(session, [tea(200_000)], card_id=other, now=now)
        assert await world.pay(session, [first], now=now) == 100
        second = await world.place(session, [tea(18_000)], card_id=other, points_used=90, now=now)
        await world.pay(session, [second], now=now)  # earns 4 by the 90 roubles that the rail brought
        await points.give_back(session, first, "ref_1", 0, 100, now=now)
        assert (await points.balance(session, other, now=now)).posted == 0
        third = await world.place(session, [tea(200_000)], card_id=other, now=now)
        await world.pay(session, [third], now=now)
        assert (await points.balance(session, other, now=now)).posted == 100 - 86


async def test_points_that_come_back_or_are_let_go_pay_what_the_card_owes_first(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        other = await world.another_card(session, now=now)
        first = await world.place(session, [tea(200_000)], card_id=other, now=now)
        assert await world.pay(session, [first], now=now) == 100
        second = await world.place(session, [tea(6_001)], card_id=other, points_used=60, now=now)
        third = await world.place(session, [tea(4_001)], card_id=other, points_used=40, now=now)
        await world.pay(session, [second], now=now)
        await points.give_back(session, first, "ref_1", 0, 100, now=now)

        await points.give_back(session, second, "ref_2", 60, 0, now=now)
        await points.release_points(session, [third], now=now)

        assert (await points.balance(session, other, now=now)).posted == 0
        assert await points_rows.lock_purses(session, [other]) == {other: 0}
        assert await differences(session) == []


async def test_lots_whose_time_is_over_expire_once(engine: Engine, world: PointsWorld, now: datetime) -> None:
    over = now + timedelta(days=365)
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(80_000)], points_used=400, now=now)
        assert await expire(session, now=over - timedelta(seconds=1)) == 0
        assert (await points.balance(session, world.card_id, now=over)).available == 0
        assert [await expire(session, now=over) for _ in range(2)] == [1, 0]
        assert await standing(session, world, over) == (400, 400, 0)
        await points.release_points(session, [order_id], now=over)
        assert await expire(session, now=over) == 1
        assert await standing(session, world, over) == (0, 0, 0)
        assert [each["points"] for each in await told(session, "points.expired")] == [600, 400]


async def test_points_that_wait_are_counted_in_every_lot(engine: Engine, world: PointsWorld, now: datetime) -> None:
    lot = NewLot(
        world.card_id, world.programme.code, world.rule.id, "granted", None, 1, 1, now + timedelta(days=1),
        now + timedelta(days=9),
    )  # fmt: skip
    async with Session(engine) as session:
        await points_rows.add_lots(session, [lot] * (points_rows.LOTS_MAX + 1), now=now)

        balance = await points.balance(session, world.card_id, now=now)
        await session.rollback()

    assert (balance.pending, balance.available) == (points_rows.LOTS_MAX + 1, 1_000)


async def test_a_gift_is_given_once(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        again = await points.grant(session, world.card_id, 1_000, "welcome", reason="в подарок", now=now)
        assert again.available == 1_000


async def test_a_card_without_a_programme_of_points_earns_nothing(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        stranger = replace(world, programme=replace(world.programme, code="none"))
        card_id = await stranger.another_card(session, now=now)
        order_id = await world.place(session, [tea(80_000)], card_id=card_id, now=now)
        assert await world.pay(session, [order_id], now=now) == 0
        with pytest.raises(PointsNotEnough):
            await points.reserve_points(session, card_id, order_id, 1, now=now)


async def test_a_rule_is_tried_on_past_baskets_and_changes_nothing(
    engine: Engine, world: PointsWorld, now: datetime
) -> None:
    async with transaction(engine) as session:
        for at, used in ((now, 0), (now, 300), (now + timedelta(days=1), 0)):
            order_id = await world.place(session, [tea(100_000)], points_used=used, now=at)
            await world.pay(session, [order_id], now=at)
        before = await accounts.find_account(session, "memo:points_issued:coffee")
        rule = replace(world.rule, earn_basis_points=1_000, basket_basis_points=2_000)
        today = moscow_day(now)
        tried = await points_simulation.simulate_on_past(
            session, world.programme, rule, today, today + timedelta(days=1)
        )
        assert [(day.orders, day.accrued, day.accrued_then, day.above_cap_then) for day in tried.days.values()] == [
            (2, 85, 170, 1),
            (1, 50, 100, 0),
        ]
        assert (tried.is_whole, tried.liability_change_kopecks) == (True, 13_500)
        same = await points_simulation.simulate_on_past(session, world.programme, world.rule, today, today)
        assert same.liability_change_kopecks == 0
        assert await accounts.find_account(session, "memo:points_issued:coffee") == before


async def test_events_of_points_are_the_merchants(engine: Engine, world: PointsWorld, now: datetime) -> None:
    async with transaction(engine) as session:
        order_id = await world.place(session, [tea(80_000)], points_used=40, now=now)
        await world.pay(session, [order_id], now=now)
    async with transaction(engine) as session:
        found, _ = await outbox.list_events(session, merchant_id=world.merchant_id)
        assert {"points.granted", "points.spent", "points.accrued"} <= {each.type for each in found}
