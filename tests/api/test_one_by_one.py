"""Jobs over many things: one that fails keeps no other from its turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from api import chores
from api.chores import close_unpaid_orders, expire_points
from api.contracts.koshelek_pay.postbacks import end_till_payments
from api.one_by_one import all_or_halves, one_by_one
from checkout import points, repository
from checkout.attempts import Attempt, AttemptStatus
from checkout.orders import OrderStatus
from ledger.clock import Clock
from ledger.database import Engine, text, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
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


@pytest.mark.parametrize(("page", "closable"), [(100, 3), (2, 3), (1, 1)])
async def test_an_order_that_cannot_be_closed_keeps_no_other_open(
    engine: Engine,
    database: Database,
    world: PointsWorld,
    now: datetime,
    page: int,
    closable: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chores, "EXPIRED_ORDERS_MAX", page)
    cards = await cards_with_points(engine, world, 4, now)
    orders = []
    for card_id in cards:
        async with transaction(engine) as session:
            orders.append(await world.place(session, [tea(80_000)], points_used=50, card_id=card_id, now=now))
    spoil(database, f"liability:points_reserved:coffee:{cards[0]}")

    closed = await close_unpaid_orders(engine, later(now + timedelta(hours=1)))

    assert closed == closable
    async with transaction(engine) as session:
        standing = [(await repository.load_order(session, order_id)).status for order_id in orders]
    assert standing == [OrderStatus.OPEN, *[OrderStatus.CANCELED] * closable, *[OrderStatus.OPEN] * (3 - closable)]


async def tried_in_vain(engine: Engine, world: PointsWorld, order_id: str, now: datetime) -> None:
    """An attempt of a till that speaks the wallet's contract is over, unpaid."""
    attempt = Attempt(new_id("att", now), order_id, "sbp", Kopecks(75_000), AttemptStatus.EXPIRED, None, now, version=1)
    async with transaction(engine) as session:
        assert await repository.add_attempt(session, attempt)
        await session.execute(
            text("""INSERT INTO koshelek_pay_payments
                        (order_id, attempt_id, merchant_id, payment_type, total_kopecks, created_at)
                    VALUES (:order_id, :attempt_id, :merchant_id, 'SBP', 80000, :now)"""),
            {"order_id": order_id, "attempt_id": attempt.id, "merchant_id": world.merchant_id, "now": now},
        )


async def test_a_tills_payment_that_cannot_be_ended_keeps_no_other_from_its_end(
    engine: Engine, database: Database, world: PointsWorld, now: datetime
) -> None:
    cards = await cards_with_points(engine, world, 2, now)
    orders = []
    for card_id in cards:
        async with transaction(engine) as session:
            orders.append(await world.place(session, [tea(80_000)], points_used=50, card_id=card_id, now=now))
        await tried_in_vain(engine, world, orders[-1], now)
    spoil(database, f"liability:points_reserved:coffee:{cards[0]}")

    ended = [await end_till_payments(engine, later(now)) for _ in range(2)]

    assert ended == [1, 0]
    async with transaction(engine) as session:
        left = await session.scalars(text("SELECT order_id FROM koshelek_pay_payments WHERE ended_at IS NULL"))
        assert (await repository.load_order(session, orders[1])).status is OrderStatus.CANCELED
    assert list(left) == orders[:1]


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


async def test_one_whose_statement_takes_too_long_is_found_by_halves(engine: Engine) -> None:
    async def work(items: Sequence[str]) -> None:
        async with transaction(engine) as session:
            await session.execute(text("SET LOCAL statement_timeout = 50"))
            await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": 5.0 if "3" in items else 0.0})

    assert await all_or_halves("test", [str(number) for number in range(8)], work) == 7


async def test_a_database_that_is_away_is_nobodys_fault() -> None:
    calls: list[Sequence[str]] = []

    async def work(items: Sequence[str]) -> None:
        calls.append(items)
        raise psycopg.OperationalError("the server closed the connection")

    with pytest.raises(psycopg.OperationalError):
        await all_or_halves("test", ["1", "2"], work)
    assert calls == [["1", "2"]]


async def test_what_fails_together_and_not_by_halves_is_done_and_nobody_is_put_aside() -> None:
    blamed: list[str] = []

    async def work(items: Sequence[str]) -> None:
        if len(items) > 2:
            raise ValueError("too much at once")

    async def alone(item: str, _error: Exception) -> None:
        blamed.append(item)

    assert await all_or_halves("test", [str(number) for number in range(7)], work, alone=alone) == 7
    assert blamed == []


async def test_nobody_is_blamed_while_the_database_is_away() -> None:
    async def work(_items: Sequence[str]) -> None:
        raise OperationalError("SELECT 1", {}, psycopg.OperationalError("gone"))

    with pytest.raises(OperationalError):
        await all_or_halves("test", ["1", "2"], work)
