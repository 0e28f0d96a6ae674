"""What is over is watched for a week, more and more seldom; each rule of its table says no by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from ledger.database import Engine, text, transaction
from sbp_gateway import late_watches
from sbp_gateway.late_watches import FIRST_LOOK_WAIT, SILENCE_WAIT, WATCH_MAX, LateWatch

QR, SALE = "qr_" + "0" * 26, "acv_" + "0" * 26


async def due(engine: Engine, now: datetime) -> list[LateWatch]:
    async with transaction(engine) as session:
        return await late_watches.take_due(session, now=now)


async def test_it_is_asked_about_more_and_more_seldom_and_once_by_one_worker(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await late_watches.begin(session, qr_ids=[QR], activation_ids=[SALE], now=now)
        await late_watches.begin(session, qr_ids=[QR], now=now + timedelta(days=1))
    assert await due(engine, now + FIRST_LOOK_WAIT - timedelta(seconds=1)) == []

    first = await due(engine, now + FIRST_LOOK_WAIT)
    assert {(watch.id, watch.is_activation) for watch in first} == {(QR, False), (SALE, True)}
    asked = []
    for minutes in range(10, 200):
        if await due(engine, now + timedelta(minutes=minutes)):
            asked.append(minutes)
    assert asked == [20, 40, 80, 160]


async def test_a_lost_answer_is_asked_for_soon_and_a_week_ends_it(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await late_watches.begin(session, qr_ids=[QR], now=now)
    late = now + WATCH_MAX
    watches = await due(engine, late)
    async with transaction(engine) as session:
        await late_watches.settle(session, watches, is_answered=False, now=late)
    assert len(await due(engine, late + SILENCE_WAIT)) == 1
    async with transaction(engine) as session:
        await late_watches.settle(session, watches, is_answered=True, now=late + SILENCE_WAIT)
        assert await session.scalar(text("SELECT count(*) FROM sbp_late_watches")) == 0


async def test_before_a_week_an_answer_that_nobody_paid_ends_nothing(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await late_watches.begin(session, qr_ids=[QR], now=now)
    watches = await due(engine, now + timedelta(days=6))
    async with transaction(engine) as session:
        await late_watches.settle(session, watches, is_answered=True, now=now + timedelta(days=6))
        assert await session.scalar(text("SELECT count(*) FROM sbp_late_watches")) == 1


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("sbp_late_watches_pkey", (QR, False, 2)),
        ("sbp_late_watches_id_form", (QR, True, 2)),
        ("sbp_late_watches_id_form", (SALE, False, 2)),
        ("sbp_late_watches_look_later", ("qr_2", False, 1)),
    ],
)
def test_every_constraint_refuses_what_it_must(database: Any, name: str, row: tuple[str, bool, int]) -> None:
    insert = """INSERT INTO sbp_late_watches (id, is_activation, ended_at, next_look_at)
                VALUES (%s, %s, '2026-11-22T09:00Z', '2026-11-22T09:00Z'::timestamptz + (%s - 1) * interval '1 s')"""
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        connection.execute(insert, (QR, False, 2))
        with pytest.raises(psycopg.IntegrityError) as refusal:
            connection.execute(insert, row)
    assert refusal.value.diag.constraint_name == name
