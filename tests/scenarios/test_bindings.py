"""A buyer consents once and is charged later: each order once, whatever is lost, and never without the consent."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from tests.scenarios.conftest import Installation


async def bound(installation: Installation, merchant_id: str) -> dict[str, Any]:
    binding = await installation.made("/v1/sbp/bindings", {"merchant_id": merchant_id, "buyer_reference": "buyer-17"})
    assert (binding["status"], binding["payload"][:20]) == ("waiting", "https://sub.nspk.ru/")
    answer = await installation.world.post("/simulator/payers/bind", json={"qrc_id": binding["qrc_id"]})
    assert answer.status_code == 200
    found: dict[str, Any] = await installation.until(
        f"/v1/sbp/bindings/{binding['id']}", lambda found: found["status"] == "bound"
    )
    return found


def is_paid(found: Any) -> bool:
    return bool(found["status"] == "paid")


@pytest.mark.parametrize("fault", ["none", "lost_request", "lost_answer"])
async def test_an_order_is_charged_by_a_binding_once(installation: Installation, engine: Engine, fault: str) -> None:
    terminal = await installation.terminal()
    binding = await bound(installation, terminal["merchant_id"])
    order = await installation.order(terminal, "A-1", 10_000)
    if fault != "none":
        await installation.faults(**{fault: 0.5, "seed": 3})

    await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp", "binding_id": binding["id"]})

    await installation.until(f"/v1/orders/{order['id']}", is_paid)
    account = f"/v1/ledger/accounts/liability:merchant_payable:{terminal['merchant_id']}"
    assert (await installation.get(account))["balance"] == 10_000 - 40
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
        assert await session.scalar(text("SELECT count(*) FROM sbp_payments")) == 1


async def test_without_the_consent_nobody_is_charged(installation: Installation) -> None:
    terminal = await installation.terminal()
    waiting = await installation.made(
        "/v1/sbp/bindings", {"merchant_id": terminal["merchant_id"], "buyer_reference": "buyer-18"}
    )
    order = await installation.order(terminal, "A-1", 10_000)
    path = f"/v1/orders/{order['id']}/attempts"
    refused = await installation.post(path, {"rail": "sbp", "binding_id": waiting["id"]})
    assert refused.json()["code"] == "sbp_gateway.binding_not_bound"

    binding = await bound(installation, terminal["merchant_id"])
    await installation.world.post("/simulator/payers/unbind", json={"qrc_id": binding["qrc_id"]})
    attempt = await installation.made(path, {"rail": "sbp", "binding_id": binding["id"]})
    await installation.until(f"/v1/sbp/bindings/{binding['id']}", lambda found: found["status"] == "ended")
    assert (await installation.get(f"/v1/orders/{order['id']}"))["status"] == "open"

    assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", is_paid)


async def test_a_binding_that_nobody_consents_to_expires(installation: Installation) -> None:
    terminal = await installation.terminal()
    binding = await installation.made(
        "/v1/sbp/bindings", {"merchant_id": terminal["merchant_id"], "buyer_reference": "buyer-19"}
    )
    await installation.post("/v1/clock/advance", {"seconds": 3600})
    await installation.until(f"/v1/sbp/bindings/{binding['id']}", lambda found: found["status"] == "expired")
