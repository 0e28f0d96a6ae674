"""Jobs over many things: one that fails keeps no other from its turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from api.chores import close_unpaid_orders, expire_points
from api.one_by_one import all_or_halves, one_by_one
from checkout import points, repository
from checkout.orders import OrderStatus
from ledger.clock import Clock
from ledger.database import Engine, text, transaction
from tests.checkout.points_world import PointsWorld, points_world, tea
from tests.conftest import Database


@pytest_asyncio.fixture
async def world(engine: Engine, now: datetime) -> PointsWorld:
    async with transaction(engine) as session:
        return await points_world(session, now=now)


def spoil(database: Database, account: str) -> None:
    """Let the books refuse whatever comes to one account."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET closed_at = now() WHERE code = %s", [account])


async def cards_with_points(engine: Engine, world: PointsWorld, count: int, now: datetime) -> list[str]:
    cards = []
    async with transaction(engine) as session:
        for number in range(count):
            cards.append(await world.another_card(session, now=now))
            await points.grant(session, cards[-1], 100, f"welcome:{number}", reason="Привет", now=now)
    return cards


async def test_an_order_that_cannot_be_closed_keeps_no_other_open(
    engine: Engine, database: Database, world: PointsWorld, now: datetime
) -> None:
    first, second = await cards_with_points(engine, world, 2, now)
    orders = []
    for card_id in (first, second):
        async with transaction(engine) as session:
            orders.append(await world.place(session, [tea(80_000)], points_used=50, card_id=card_id, now=now))
    spoil(database, f"liability:points_reserved:coffee:{first}")

    closed = await close_unpaid_orders(engine, later(now + timedelta(hours=1)))

    assert closed == 1
    async with transaction(engine) as session:
        standing = [(await repository.load_order(session, order_id)).status for order_id in orders]
    assert standing == [OrderStatus.OPEN, OrderStatus.CANCELED]


async def test_a_lot_that_cannot_expire_keeps_no_other_alive(
    engine: Engine, database: Database, world: PointsWorld, now: datetime
) -> None:
    cards = await cards_with_points(engine, world, 5, now)
    spoil(database, f"liability:points:coffee:{cards[1]}")

    assert await expire_points(engine, later(now + timedelta(days=400))) == 4

    async with transaction(engine) as session:
        left = await session.scalars(text("SELECT card_id FROM points_lots WHERE points_left > 0"))
    assert list(left) == [cards[1]]


def later(at: datetime) -> Clock:
    clock = Clock()
    clock.offset = at - clock.now()
    return clock


async def test_each_is_worked_on_although_others_fail() -> None:
    done: list[str] = []

    async def work(item: str) -> None:
        if item == "b":
            raise AssertionError("a bug of ours")
        done.append(item)

    assert await one_by_one("test", ["a", "b", "c"], work) == 2
    assert done == ["a", "c"]


async def test_one_that_fails_among_many_is_found_by_halves() -> None:
    calls: list[Sequence[str]] = []

    async def work(items: Sequence[str]) -> None:
        calls.append(items)
        if "3" in items:
            raise ValueError("3")

    assert await all_or_halves("test", [str(number) for number in range(8)], work) == 7
    assert ["3"] in calls
    assert len(calls) == 7


async def test_nobody_is_blamed_while_the_database_is_away() -> None:
    async def work(_items: Sequence[str]) -> None:
        raise OperationalError("SELECT 1", {}, psycopg.OperationalError("gone"))

    with pytest.raises(OperationalError):
        await all_or_halves("test", ["1", "2"], work)
