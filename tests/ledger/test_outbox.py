"""Events: published with their effect, relayed once each and in order, whatever commits late or dies."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from ledger import outbox
from ledger.database import Engine, Session, transaction
from ledger.outbox import LEASE, WAITS_SECONDS, Delivery, Event, wait_after
from tests.horizon import pass_horizon

SINK = "http://sink.test/events"
ATTEMPTS_MAX = len(WAITS_SECONDS) + 1


def paid(number: int = 1) -> Event:
    return Event("order.paid", f"ord_{number}", "mer_1", {"number": number})


@dataclass
class Outbox:
    """The outbox of a test's database at one time."""

    engine: Engine
    now: datetime

    async def publish(self, *events: Event, is_behind_another: bool = False) -> None:
        async with transaction(self.engine) as session:
            await outbox.publish_all(session, events, now=self.now)
        if not is_behind_another:
            await pass_horizon(self.engine)

    async def relay(self) -> int:
        async with transaction(self.engine) as session:
            return await outbox.relay(session, SINK, now=self.now)

    async def claim(self, later: timedelta = timedelta(0)) -> list[Delivery]:
        async with transaction(self.engine) as session:
            return await outbox.claim(session, SINK, now=self.now + later)

    async def settle(self, *outcomes: tuple[Delivery, str | None], later: timedelta = timedelta(0)) -> None:
        async with transaction(self.engine) as session:
            await outbox.settle(session, SINK, outcomes, now=self.now + later)

    async def states(self) -> list[tuple[str, int]]:
        async with transaction(self.engine) as session:
            rows = await session.execute(text("SELECT state, attempts FROM deliveries ORDER BY event_id"))
            return [(row.state, row.attempts) for row in rows]


@pytest.fixture
def box(engine: Engine, now: datetime) -> Outbox:
    return Outbox(engine, now)


async def test_an_event_leaves_only_with_its_effect(box: Outbox) -> None:
    async with Session(box.engine) as session:
        await outbox.publish(session, paid(), now=box.now)
        await session.rollback()
    assert await box.relay() == 0


async def test_events_of_an_object_are_numbered_densely(box: Outbox) -> None:
    await box.publish(paid(1), paid(2), paid(1))
    await box.publish(paid(1))
    async with transaction(box.engine) as session:
        found, has_more = await outbox.list_events(session)
    assert [(event.object_id, event.sequence) for event in found] == [
        ("ord_1", 1), ("ord_2", 1), ("ord_1", 2), ("ord_1", 3),
    ]  # fmt: skip
    assert not has_more


async def test_concurrent_publishers_of_one_object_number_densely(box: Outbox) -> None:
    await asyncio.gather(*(box.publish(paid(1)) for _ in range(20)))
    async with transaction(box.engine) as session:
        found, _ = await outbox.list_events(session)
    assert [event.sequence for event in found] == list(range(1, 21))


async def test_every_event_is_relayed_once(box: Outbox) -> None:
    await box.publish(*(paid(number) for number in range(5)))
    assert await asyncio.gather(box.relay(), box.relay()) in ([5, 0], [0, 5])
    assert await box.relay() == 0
    await box.publish(paid(9))
    assert await box.relay() == 1


async def test_an_event_that_commits_late_is_not_passed_over(box: Outbox) -> None:
    async with transaction(box.engine) as slow:
        await outbox.publish(slow, paid(1), now=box.now)
        await box.publish(paid(2), is_behind_another=True)
        assert await box.relay() == 0
        async with transaction(box.engine) as session:
            assert await outbox.list_events(session) == ([], False)
    assert await box.relay() == 2
    assert {delivery.event.object_id for delivery in await box.claim()} == {"ord_1", "ord_2"}


async def test_the_list_is_read_by_pages_and_by_type(box: Outbox) -> None:
    await box.publish(*(paid(number) for number in range(5)), Event("payout.sent", "pyo_1", "mer_2", {}))
    seen: list[str] = []
    after, has_more = "", True
    while has_more:
        async with transaction(box.engine) as session:
            found, has_more = await outbox.list_events(session, after=after, limit=2)
        seen += [event.object_id for event in found]
        after = found[-1].cursor
    assert seen == [f"ord_{number}" for number in range(5)] + ["pyo_1"]
    async with transaction(box.engine) as session:
        only, _ = await outbox.list_events(session, type_="payout.sent")
        others, _ = await outbox.list_events(session, merchant_id="mer_1")
    assert ([event.type for event in only], len(others)) == (["payout.sent"], 5)


@pytest.mark.parametrize("cursor", ["x", "1", "1-x", "-evt_1", "1x-evt_1", "٣-evt_1"])
async def test_a_cursor_of_another_list_is_refused(box: Outbox, cursor: str) -> None:
    async with transaction(box.engine) as session:
        with pytest.raises(ValueError, match="cursor"):
            await outbox.list_events(session, after=cursor)


async def test_a_claimed_delivery_is_nobody_elses_until_its_lease_is_over(box: Outbox) -> None:
    await box.publish(paid())
    await box.relay()
    assert len(await box.claim()) == 1
    assert await box.claim() == []
    assert await box.claim(LEASE - timedelta(seconds=1)) == []
    (again,) = await box.claim(LEASE)
    assert again.attempt == 2


async def test_a_worker_that_lost_its_lease_cannot_settle(box: Outbox) -> None:
    await box.publish(paid())
    await box.relay()
    (stale,) = await box.claim()
    (fresh,) = await box.claim(LEASE)
    await box.settle((stale, None))
    assert await box.states() == [("pending", 2)]
    await box.settle((fresh, None))
    assert await box.states() == [("delivered", 2)]


async def test_the_next_event_of_an_object_waits_for_the_one_before(box: Outbox) -> None:
    await box.publish(paid(1), paid(1), paid(2))
    await box.relay()
    first, other = await box.claim()
    assert [(d.event.object_id, d.event.sequence) for d in (first, other)] == [("ord_1", 1), ("ord_2", 1)]
    await box.settle((first, "answer 500"), (other, None))
    assert await box.claim() == []
    (again,) = await box.claim(wait_after(1))
    assert again.event.id == first.event.id
    await box.settle((again, None))
    (second,) = await box.claim()
    assert second.event.sequence == 2


async def test_poison_is_parked_with_its_error_and_holds_up_nobody(box: Outbox) -> None:
    await box.publish(paid(1), paid(1))
    await box.relay()
    later = timedelta(0)
    for _ in range(ATTEMPTS_MAX):
        (delivery,) = await box.claim(later)
        assert delivery.event.sequence == 1
        await box.settle((delivery, "answer 410"), later=later)
        later += timedelta(seconds=WAITS_SECONDS[-1])
    assert ("parked", ATTEMPTS_MAX) in await box.states()
    (second,) = await box.claim(later)
    assert second.event.sequence == 2


def test_waits_grow_and_end() -> None:
    waits = [wait_after(attempt) for attempt in range(1, ATTEMPTS_MAX)]
    assert waits == sorted(waits)
    assert wait_after(1) == timedelta(seconds=1)
    assert wait_after(100) == wait_after(ATTEMPTS_MAX)


async def test_a_reader_chooses_destinations_for_the_events_it_has_not_read(box: Outbox) -> None:
    await box.publish(paid(1), paid(2))

    async with transaction(box.engine) as session:
        first = await outbox.read_next(session, "shops")
        await outbox.add_deliveries(session, [(first[1], "shop:b"), (first[1], "shop:a")], now=box.now)
    async with transaction(box.engine) as session:
        again = await outbox.read_next(session, "shops")
        due = await outbox.due_destinations(session, "shop:", now=box.now, limit=10)
        others = await outbox.due_destinations(session, "else:", now=box.now, limit=10)
        (claimed,) = await outbox.claim(session, "shop:a", now=box.now)

    assert [event.object_id for event in first] == ["ord_1", "ord_2"]
    assert again == []
    assert (sorted(due), others) == (["shop:a", "shop:b"], [])
    assert (claimed.event.id, claimed.attempt) == (first[1].id, 1)


async def test_a_reader_that_fails_reads_the_same_again(box: Outbox) -> None:
    await box.publish(paid())

    async with Session(box.engine) as session:
        lost = await outbox.read_next(session, "shops")
        await session.rollback()
    async with transaction(box.engine) as session:
        found = await outbox.read_next(session, "shops")

    assert [event.id for event in found] == [event.id for event in lost]


async def test_what_waits_for_a_destination_that_is_no_more_is_parked(box: Outbox) -> None:
    await box.publish(paid())
    await box.relay()

    async with transaction(box.engine) as session:
        await outbox.close_destination(session, SINK, "gone")

    assert await box.states() == [("parked", 0)]
    assert await box.claim() == []
