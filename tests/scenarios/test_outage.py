"""NSPK falls silent and comes back: cashiers hear so at once, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from sbp_gateway.breaker import CALLS_MIN
from sbp_gateway.nspk_transport import READ_TIMEOUT_SECONDS
from tests.scenarios.conftest import Installation


async def begin(installation: Installation, terminal: Any, number: str) -> tuple[str, Any]:
    path = f"/v1/orders/{(await installation.order(terminal, number, 10_000))['id']}"
    return path, await installation.made(f"{path}/attempts", {"rail": "sbp"})


async def test_during_an_outage_cashiers_do_not_wait_and_after_it_all_is_well(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()

    installation.processes["simulators"].send_signal(signal.SIGSTOP)
    begun = await asyncio.gather(*(begin(installation, terminal, f"A-{number}") for number in range(CALLS_MIN)))
    assert {attempt["status"] for _, attempt in begun} == {"unknown"}
    asked_at = time.monotonic()
    path, refused = await begin(installation, terminal, "B-1")
    assert refused["status"] == "rejected"
    assert time.monotonic() - asked_at < READ_TIMEOUT_SECONDS

    installation.processes["simulators"].send_signal(signal.SIGCONT)
    await asyncio.sleep(5.5)
    again = await installation.made(f"{path}/attempts", {"rail": "sbp"})
    assert again["status"] == "waiting"
    assert (await installation.pays(again["qr"]["qrc_id"])).status_code == 200
    await installation.until(path, lambda order: order["status"] == "paid")
    for lost_path, _ in begun:
        ended = await installation.until(
            lost_path, lambda order: order["attempts"][0]["status"] in ("waiting", "rejected")
        )
        assert ended["status"] == "open"
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
