"""A day is paid through the door; the bank's register of it, broken on order, is taken in and told apart."""

from __future__ import annotations

import json
from collections import Counter

import httpx

from ledger.clock import machine_now, moscow_day
from tests.scenarios.conftest import Installation

FILE = {"content-type": "application/octet-stream", "idempotency-key": "scenario-register-1"}


async def paid_orders(installation: Installation, count: int) -> None:
    terminal = await installation.terminal()
    for number in range(count):
        order = await installation.order(terminal, f"R-{number}", 10_000 + number)
        attempt = await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
        assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
        await installation.until(f"/v1/orders/{order['id']}", lambda found: found["status"] == "paid")


async def test_exactly_the_planted_breaks_are_found(installation: Installation) -> None:
    day = moscow_day(machine_now())
    await paid_orders(installation, 8)
    breaks = "missing:2,doubled,amount,fee,foreign,footer"
    file: httpx.Response = await installation.world.get(
        f"/simulator/registers/{day}?profile=raiffeisen_sbp&breaks={breaks}&seed=7"
    )
    assert file.status_code == 200, file.text

    taken = await installation.api.post(
        f"/v1/sbp/registers?profile=raiffeisen_sbp&day={day}", content=file.content, headers=FILE
    )
    register = taken.json()
    found = await installation.get(f"/v1/sbp/registers/{register['id']}/differences")

    assert taken.status_code == 201, taken.text
    assert register["footer"] == "differs", "the bank's total is a rouble off, and told"
    names = {
        "missing": "only_with_us", "doubled": "duplicate", "amount": "amount_differs", "fee": "fee_differs",
        "foreign": "only_in_register",
    }  # fmt: skip
    planted = json.loads(file.headers["planted-breaks"])
    expected = Counter((names[one["kind"]], one["qrc_id"]) for one in planted if one["kind"] != "footer")
    assert Counter((one["verdict"], one["qrc_id"]) for one in found["items"]) == expected
    matched = next(total for total in register["check"]["totals"] if total["verdict"] == "matched")
    assert (matched["lines"], matched["operations"]) == (4, 4)


async def test_a_register_without_breaks_is_clean(installation: Installation) -> None:
    day = moscow_day(machine_now())
    await paid_orders(installation, 2)
    file = await installation.world.get(f"/simulator/registers/{day}?profile=tbank")

    taken = await installation.api.post(
        f"/v1/sbp/registers?profile=tbank&day={day}", content=file.content, headers=FILE
    )

    assert taken.json()["check"]["is_clean"], taken.text
