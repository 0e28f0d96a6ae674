"""The end of the day: a payout run, and the events that reach whoever listens."""

from __future__ import annotations

import asyncio
from typing import Any

from api.demo.caller import Caller
from api.demo.errors import DemoFailed
from api.demo.wire import Connection, ConnectionLost
from ledger.clock import monotonic

FINAL_SECONDS_MAX = 300.0
"""The bank's lost answers are asked for after 1, 2, 4 seconds and so on."""
LOOK_SECONDS = 0.2
OPEN = frozenset({"requested", "unknown"})


async def pay_out(caller: Caller) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Pay out all merchants and wait until the bank has answered for each: the run, and its payouts.

    Raises: DemoFailed if the run is refused or some payout stays open.
    """
    answer = await caller.post("/v1/payout-runs", {}, "payout-run")
    if answer.status != 201:
        raise DemoFailed(f"the payout run was answered with {answer.status}: {answer.body[:300].decode()}")
    run = answer.json()
    deadline = monotonic() + FINAL_SECONDS_MAX
    while True:
        payouts = (await caller.get(f"/v1/payouts?run_id={run['id']}&limit=200"))["items"]
        if not any(payout["status"] in OPEN for payout in payouts):
            return run, payouts
        if monotonic() > deadline:
            raise DemoFailed(f"payouts are still open after {FINAL_SECONDS_MAX:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)


async def wait_for_deliveries(simulators_url: str, wanted: dict[str, int], seconds_max: float) -> dict[str, Any]:
    """Wait until the sink has every event of these types, or time is up; what the simulators say then."""
    connection, deadline = Connection(simulators_url), monotonic() + seconds_max
    try:
        while True:
            try:
                summary: dict[str, Any] = (await connection.ask("GET", "/simulator/summary")).json()
            except ConnectionLost:
                summary = {}
            types = summary.get("events", {}).get("types", {})
            is_all = all(types.get(name, 0) >= count for name, count in wanted.items())
            if summary and (is_all or monotonic() > deadline):
                return summary
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        connection.hang_up()
