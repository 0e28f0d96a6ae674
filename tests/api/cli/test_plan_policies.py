"""``kopeyka plans policies`` and ``setbacks``: what plans are decided by, and which ones a night has put aside."""

from __future__ import annotations

import asyncio
import json

from tests.api.cli.conftest import Kopeyka
from tests.api.conftest import Client
from tests.api.installment_world import today_plus
from tests.api.test_installment_policies import POLICIES


async def test_the_command_line_publishes_what_changed_and_shows_it(client: Client, kopeyka: Kopeyka) -> None:
    day = today_plus(2)
    made = await asyncio.to_thread(
        kopeyka, "plans", "policies", "publish", "--from", day, "--plans", "4", "--first-plan", "20000.00"
    )
    assert (made.code, made.out.strip()) == (0, f"version 2 decides from {day} on"), made.err

    listed = json.loads((await asyncio.to_thread(kopeyka, "plans", "policies", "list", "--json")).out)
    shown = await asyncio.to_thread(kopeyka, "plans", "policies", "show", "2")
    again = await asyncio.to_thread(kopeyka, "plans", "policies", "publish", "--from", day)
    wrong = await asyncio.to_thread(kopeyka, "plans", "policies", "publish", "--from", day, "--first-plan", "many")

    assert [(one["version"], one["plans_max"], one["first_plan_max_kopecks"]) for one in listed] == [
        (1, 10, 5_000_000), (2, 4, 2_000_000),
    ]  # fmt: skip
    assert (await client.get(POLICIES)).json() == listed
    assert "first plan max: 20000.00" in shown.out
    assert (again.code, wrong.code) == (1, 1)


async def test_plans_put_aside_are_listed_at_the_command_line(client: Client, kopeyka: Kopeyka) -> None:
    del client
    listed = await asyncio.to_thread(kopeyka, "plans", "setbacks", "--json")

    assert (listed.code, json.loads(listed.out)) == (0, []), listed.err
