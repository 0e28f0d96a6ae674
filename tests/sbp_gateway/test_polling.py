"""Open codes are asked about by windows: each when it is due, none forgotten, none by two workers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

import psycopg
import pytest
import pytest_asyncio

from bench.sbp_polls import FILL
from ledger.database import Engine, text, transaction
from sbp_gateway import polling
from sbp_gateway.polling import LATE_COMMIT_MAX, PollWindow, needs_settling, settle_windows, take_due_windows
from sbp_gateway.qr_codes import FIRST_POLL_WAIT, GRACE
from sbp_gateway.repository import register_qr
from tests.conftest import Database

CODES = 6


class Codes:
    """Six registered codes, and a worker that takes windows of them."""

    def __init__(self, engine: Engine, connection: psycopg.Connection[tuple[object, ...]], now: datetime) -> None:
        self.engine, self.connection, self.now = engine, connection, now

    def set(self, number: int, change: str, *values: object) -> None:
        self.connection.execute(f"UPDATE qr_codes SET {change} WHERE qrc_id = %s", [*values, qrc_id(number)])  # type: ignore[arg-type]

    def due(self, number: int, after_seconds: float) -> None:
        self.set(number, "next_poll_at = %s", self.now + timedelta(seconds=after_seconds))

    async def take(self, at: float) -> list[PollWindow]:
        async with transaction(self.engine) as session:
            return await take_due_windows(session, now=self.now + timedelta(seconds=at))

    async def settle(self, windows: Iterable[PollWindow], at: float) -> None:
        async with transaction(self.engine) as session:
            await settle_windows(session, list(windows), now=self.now + timedelta(seconds=at))

    async def asked(self, at: float) -> set[int]:
        """The codes that are asked about at a moment, every question answered."""
        windows = await self.take(at)
        if any(map(needs_settling, windows)):
            await self.settle(windows, at)
        return {int(name[2:]) for window in windows for name in window.qrc_ids}

    def windows(self) -> int:
        return len(self.connection.execute("SELECT 1 FROM sbp_poll_windows").fetchall())


def qrc_id(number: int) -> str:
    return f"AD{number:030}"


@pytest_asyncio.fixture
async def codes(database: Database, engine: Engine, now: datetime) -> AsyncIterator[Codes]:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(FILL.format(codes=CODES))
        connection.execute(
            "UPDATE qr_codes SET requested_at = %s, expires_at = %s, next_poll_at = %s",
            [now, now + timedelta(minutes=15), now + FIRST_POLL_WAIT],
        )
        yield Codes(engine, connection, now)


async def test_a_code_is_asked_about_later_and_later(codes: Codes) -> None:
    moments = (4, 5, 14, 15, 34, 35, 74, 75, 134, 135, 194, 195)

    assert [at for at in moments if await codes.asked(at)] == [5, 15, 35, 75, 135, 195]


async def test_each_code_is_asked_about_when_it_is_due(codes: Codes) -> None:
    for number in range(1, CODES + 1):
        codes.due(number, 10 * number)

    assert [await codes.asked(at) for at in (9, 10, 19, 20, 30)] == [set(), {1}, set(), {1, 2}, {2, 3}]


async def test_what_came_due_while_nobody_worked_is_asked_about_at_once(codes: Codes) -> None:
    for number in range(1, CODES + 1):
        codes.due(number, 10 * number)

    assert await codes.asked(1_000) == {1, 2, 3, 4, 5, 6}


async def test_a_large_window_is_parted(codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "WINDOW_CODES_MAX", 4)
    for number in range(1, CODES + 1):
        codes.due(number, number)

    assert [await codes.asked(100) for _ in range(3)] == [{1, 2, 3, 4}, {5, 6}, set()]
    assert await codes.asked(110) == {1, 2, 3, 4, 5, 6}


async def test_codes_that_ended_are_left_out(codes: Codes) -> None:
    assert await codes.asked(5) == {1, 2, 3, 4, 5, 6}
    codes.set(1, "status = 'paid', next_poll_at = NULL")
    codes.set(2, "status = 'expired', next_poll_at = NULL")
    codes.set(3, "status = 'requested', qrc_id = NULL, payload = NULL")

    assert await codes.asked(15) == {4, 5, 6}


async def test_a_code_that_appears_late_in_a_window_is_found(codes: Codes) -> None:
    codes.set(1, "next_poll_at = %s", codes.now + timedelta(hours=1))
    assert await codes.asked(5) == {2, 3, 4, 5, 6}
    codes.due(1, 4)  # committed late: its time lies before what was asked about

    assert await codes.asked(15) == {1, 2, 3, 4, 5, 6}


async def test_a_code_registered_into_a_window_that_is_gone_is_found_all_the_same(codes: Codes) -> None:
    codes.set(1, "status = 'requested', qrc_id = NULL, payload = NULL")
    for number in range(2, CODES + 1):
        codes.due(number, 5 if number < CODES else 200)
    assert [await codes.asked(at) for at in (5, 200)] == [{2, 3, 4, 5}, {2, 3, 4, 5, 6}]
    for number in range(2, CODES):
        codes.set(number, "status = 'paid', next_poll_at = NULL")
    await codes.settle(await codes.take(600), 600)
    assert codes.windows() == 1  # the later one

    async with transaction(codes.engine) as session:
        (late,) = (await session.scalars(text("SELECT id FROM qr_codes WHERE status = 'requested'"))).all()
        is_kept = await register_qr(session, late, qrc_id(1), "https://qr.nspk.ru/late", next_poll_at=codes.now)

    assert is_kept
    assert 1 in await codes.asked(601)


async def test_a_lost_answer_is_asked_for_soon(codes: Codes) -> None:
    windows = await codes.take(5)
    windows[0].is_answered = False
    await codes.settle(windows, 11)

    assert [bool(await codes.asked(at)) for at in (12, 13)] == [False, True]


async def test_a_code_in_grace_is_not_over_and_one_after_it_is_asked_about_hourly(codes: Codes) -> None:
    over_at = 15 * 60 + GRACE.total_seconds()
    (window,) = await codes.take(over_at - 1)
    assert (len(window.qrc_ids), window.over) == (6, frozenset())

    (window,) = await codes.take(over_at + 60)
    assert window.over == frozenset(window.qrc_ids)
    await codes.settle([window], over_at + 60)
    assert [bool(await codes.asked(over_at + at)) for at in (120, 3_659, 3_660)] == [False, False, True]


async def test_a_worker_that_dies_loses_nothing(codes: Codes) -> None:
    await codes.take(5)  # and never asks

    assert [bool(await codes.asked(at)) for at in (14, 15)] == [False, True]


async def test_two_workers_never_take_the_same_window(codes: Codes) -> None:
    now = codes.now + timedelta(seconds=20)
    await codes.take(5)
    codes.due(1, 18)
    async with transaction(codes.engine) as one, transaction(codes.engine) as other:
        first = await take_due_windows(one, now=now)
        second = await take_due_windows(other, now=now)

    assert (len(first), second) == (2, [])


async def test_an_empty_window_goes_when_nobody_can_appear_in_it(codes: Codes) -> None:
    await codes.asked(5)
    codes.connection.execute("UPDATE qr_codes SET status = 'paid', next_poll_at = NULL")

    assert await codes.asked(15) == set()
    assert codes.windows() == 1
    assert await codes.asked(5 + LATE_COMMIT_MAX.total_seconds() + 60) == set()
    assert codes.windows() == 0
