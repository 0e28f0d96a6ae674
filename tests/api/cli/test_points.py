from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from ledger.clock import moscow_day
from ledger.database import create_engine, transaction
from tests.api.cli.conftest import Kopeyka
from tests.checkout.points_world import points_world, tea
from tests.conftest import Database


@pytest.fixture
def sold(database: Database) -> None:
    """One purchase of 1 000 roubles that earned 50 points."""

    async def sell() -> None:
        engine, now = create_engine(database.app_url), datetime.now(UTC)
        async with transaction(engine) as session:
            world = await points_world(session, now=now)
            await world.pay(session, [await world.place(session, [tea(100_000)], now=now)], now=now)
        await engine.dispose()

    asyncio.run(sell())


def test_programmes_are_told_with_what_they_have_promised(kopeyka: Kopeyka, sold: None) -> None:
    (programme,) = json.loads(kopeyka("points", "programmes", "--json").out)
    assert (programme["code"], programme["points"], programme["amount_kopecks"]) == ("coffee", 50, 5_000)


def test_todays_rule_is_tried_with_other_shares(kopeyka: Kopeyka, sold: None) -> None:
    today = moscow_day(datetime.now(UTC))
    days = ("--from", (today - timedelta(days=1)).isoformat(), "--to", today.isoformat())
    (day,) = json.loads(kopeyka("points", "simulate", "coffee", *days, "--earn", "1000", "--json").out)
    assert (day["orders"], day["accrued"], day["accrued_then"]) == (1, 50, 100)
    assert (
        "The promise would change by 50.00 roubles."
        in kopeyka("points", "simulate", "coffee", *days, "--earn", "1000").out
    )


def test_an_unknown_programme_is_refused_in_one_line(kopeyka: Kopeyka) -> None:
    told = kopeyka("points", "simulate", "none", "--from", "2026-11-01", "--to", "2026-11-22")
    assert (told.code, told.err.count("\n")) == (1, 1)
