"""An order is placed, paid by QR, booked, and the merchant is paid out: through real processes."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.scenarios.conftest import Installation


async def attempt_of(installation: Installation, order_id: str) -> Any:
    return await installation.made(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})


async def balance(installation: Installation, code: str) -> int:
    found = await installation.get(f"/v1/ledger/accounts/{code}")
    return int(found["balance"])


async def test_an_order_is_paid_booked_and_paid_out(installation: Installation) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 149_990)
    attempt = await attempt_of(installation, order["id"])
    assert attempt["status"] == "waiting"
    assert attempt["qr"]["payload"].startswith(f"https://qr.nspk.ru/{attempt['qr']['qrc_id']}?type=02")

    assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
    paid = await installation.until(f"/v1/orders/{order['id']}", lambda found: found["status"] == "paid")

    assert [found["status"] for found in paid["attempts"]] == ["paid"]
    assert paid["attempts"][0]["payment_id"].startswith("pay_")
    payable = f"liability:merchant_payable:{terminal['merchant_id']}"
    assert await balance(installation, payable) == 149_990 - 599
    assert await balance(installation, "income:fee:sbp") == 599

    run = await installation.made("/v1/payout-runs", {})
    assert (run["payouts"], run["amount_kopecks"]) == (1, 149_391)
    sent = await installation.until(
        f"/v1/payouts?run_id={run['id']}", lambda found: found["items"][0]["status"] == "sent"
    )
    assert sent["items"][0]["amount_kopecks"] == 149_391
    assert await balance(installation, payable) == 0
    assert await balance(installation, "asset:sbp_settlement:100000000999") == 599
    events = await installation.until("/v1/events", lambda found: len(found["items"]) >= 2)
    assert [found["type"] for found in events["items"]] == ["order.paid", "payout.sent"]
    for _ in range(600):
        sink = (await installation.world.get("/sink/events/count")).json()
        if sink["events"] == 2:
            break
        await asyncio.sleep(0.1)
    assert sink["types"] == {"order.paid": 1, "payout.sent": 1}
    assert sink["out_of_order"] == 0
