"""A buyer gets money to a phone: over real processes, with answers lost and the worker killed in the middle."""

from __future__ import annotations

import signal
from typing import Any

from tests.scenarios.conftest import Installation

PAYOUT = {"phone": "+79123456789", "bank_member_id": "100000000004", "purpose": "Подарок"}


async def earned(installation: Installation, amount_kopecks: int) -> str:
    """A merchant that is owed what a buyer paid, without a fee."""
    terminal = await installation.terminal(tariff_group="government")
    order = await installation.order(terminal, "A-1", amount_kopecks)
    attempt = await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    await installation.pays(attempt["qr"]["qrc_id"])
    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["status"] == "paid")
    return str(terminal["merchant_id"])


async def ends(installation: Installation, payout: dict[str, Any]) -> Any:
    return await installation.until(
        f"/v1/sbp/payouts/{payout['id']}", lambda found: found["status"] in ("sent", "rejected")
    )


async def test_a_buyer_is_paid_once_though_answers_are_lost_and_the_worker_dies(installation: Installation) -> None:
    merchant_id = await earned(installation, 100_000)
    await installation.faults(lost_answer=1.0)
    payout = await installation.made("/v1/sbp/payouts", PAYOUT | {"merchant_id": merchant_id, "amount_kopecks": 40_000})
    await installation.until(f"/v1/sbp/payouts/{payout['id']}", lambda found: found["status"] == "unknown")
    installation.stop("worker", signal.SIGKILL)
    installation.start("worker")
    await installation.faults(lost_answer=0.0)

    sent = await ends(installation, payout)

    assert (sent["status"], sent["phone_mask"]) == ("sent", "0079******89")
    summary = (await installation.world.get("/simulator/summary")).json()
    assert (summary["buyer_payouts"], summary["buyer_payouts_kopecks"]) == (1, 40_000)
    account = await installation.get(f"/v1/ledger/accounts/liability:merchant_payable:{merchant_id}")
    assert (account["balance"], account["available"]) == (60_000, 60_000)
    events = await installation.until("/v1/events?type=buyer_payout.sent", lambda found: found["items"])
    assert [event["object_id"] for event in events["items"]] == [payout["id"]]


async def test_a_declined_payout_is_told_and_its_money_is_the_merchants_again(installation: Installation) -> None:
    merchant_id = await earned(installation, 100_000)
    wanted = PAYOUT | {"merchant_id": merchant_id, "amount_kopecks": 100_000}
    declined = await installation.made("/v1/sbp/payouts", wanted | {"phone": "89123456799"})
    refused = await installation.post("/v1/sbp/payouts", wanted)

    assert refused.json()["code"] == "sbp_gateway.buyer_payout_not_covered"
    assert (await ends(installation, declined))["reason"] == "ERROR.RECIPIENT_BANK_DECLINED"
    slow = await installation.made("/v1/sbp/payouts", wanted | {"phone": "89123456798"})
    assert (await ends(installation, slow))["status"] == "sent"
