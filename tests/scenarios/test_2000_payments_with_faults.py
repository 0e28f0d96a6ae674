"""Payments through the door while a third of everything goes wrong: not a kopeck is lost, not a kopeck is doubled.

Real processes, two workers. Requests, answers and notifications are lost, late, doubled, overtaken and wrong; banks
say no; buyers pay after the end, and codes again that were refused; the simulators and a worker are killed on the way.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ledger.database import Engine, text, transaction
from ledger.proofs import broken_proofs
from tests.scenarios.conftest import Installation, ready

FAULTS = {
    "lost_request": 0.1, "lost_answer": 0.12, "delayed_answer": 0.08,
    "lost_notification": 0.12, "duplicate_notification": 0.1, "late_notification": 0.04,
    "reordered_notification": 0.05, "wrong_amount": 0.1, "rejected_payment": 0.1, "late_success": 0.05,
}  # fmt: skip
TILLS = 4
ATTEMPTS_MAX = 4
PATIENCE_SECONDS_MAX = 120.0
ENDED = {"paid", "rejected", "expired"}
SETTLEMENT = "asset:sbp_settlement:100000000999"

UNFINISHED = """SELECT (SELECT count(*) FROM attempts WHERE status IN ('requested', 'waiting', 'unknown'))
    + (SELECT count(*) FROM qr_codes WHERE status IN ('requested', 'registered'))
    + (SELECT count(*) FROM sbp_refunds WHERE next_look_at IS NOT NULL)
    + (SELECT count(*) FROM payouts WHERE next_try_at IS NOT NULL)
    + (SELECT count(*) FROM sbp_payments AS p WHERE is_late AND NOT EXISTS (
        SELECT FROM sbp_refunds AS r WHERE r.payment_id = p.id AND r.status = 'succeeded'))"""


@dataclass
class Shop:
    """Tills with plates, and buyers that come one after another."""

    installation: Installation
    tills: list[dict[str, Any]]
    plates: list[dict[str, Any]]
    chance: random.Random
    places: asyncio.Semaphore
    at_plate: list[asyncio.Lock] = field(default_factory=lambda: [asyncio.Lock() for _ in range(TILLS)])

    async def sell(self, number: int) -> None:
        """One buyer: tries a code, or the till's plate, until the order is paid or patience is over."""
        amount, till = 10_000 + 7 * number, number % TILLS
        async with self.places:
            order = await self.installation.order(self.tills[till], f"A-{number}", amount)
            for _ in range(ATTEMPTS_MAX):
                is_by_plate = self.chance.random() < 0.2
                if is_by_plate:
                    async with self.at_plate[till]:
                        is_done = await self.try_once(order["id"], self.plates[till])
                else:
                    is_done = await self.try_once(order["id"], None)
                if is_done:
                    return

    async def try_once(self, order_id: str, plate: dict[str, Any] | None) -> bool:
        """One attempt. Whether the buyer goes home."""
        by_plate = {} if plate is None else {"cash_link_id": plate["id"]}
        begun = await self.installation.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp", **by_plate})
        if begun.status_code != 201:
            return False
        attempt_id = begun.json()["id"]
        found = await self.wait(order_id, attempt_id, lambda attempt: attempt["status"] in ENDED | {"waiting"})
        if found["status"] in ENDED:
            return found["status"] == "paid"
        paid = await self.buyer_pays(found["qr"]["qrc_id"])
        if paid.get("code") in ("in_processing", "link_expired") or paid.get("status") == "NTST":
            return True  # the money will come when everybody has gone home, or never
        found = await self.wait(order_id, attempt_id, lambda attempt: attempt["status"] in ENDED)
        if found["status"] == "rejected" and self.chance.random() < 0.4:
            await self.buyer_pays(found["qr"]["qrc_id"])  # the old code is on the buyer's screen still
        return bool(found["status"] == "paid")

    async def buyer_pays(self, qrc_id: str) -> Any:
        """The buyer presses the button, again if the phone says nothing: the link is paid once all the same."""
        for _ in range(50):
            with suppress(httpx.TransportError):
                return (await self.installation.pays(qrc_id)).json()
            await asyncio.sleep(0.5)
        raise AssertionError(qrc_id)

    async def wait(self, order_id: str, attempt_id: str, is_so: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS_MAX
        while True:
            answer = await self.installation.api.get(f"/v1/orders/{order_id}")
            if answer.status_code == 200:
                (attempt,) = [each for each in answer.json()["attempts"] if each["id"] == attempt_id]
                if is_so(attempt):
                    return attempt
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.3)


async def open_shop(installation: Installation, seed: int, buyers_at_once: int) -> Shop:
    first = await installation.terminal(tariff_group="standard")
    more = [
        await installation.made("/v1/terminals", {"store_id": first["store_id"], "name": f"Касса {number}"})
        for number in range(2, TILLS + 1)
    ]
    tills = [first, *more]
    plates = [await installation.made("/v1/sbp/cash-links", {"terminal_id": till["id"]}) for till in tills]
    return Shop(installation, tills, plates, random.Random(seed), asyncio.Semaphore(buyers_at_once))


async def kill_now_and_then(installation: Installation) -> None:
    """The simulators and a worker die in the middle of things and come back."""
    while True:
        for name in ("simulators", "worker"):
            await asyncio.sleep(9.0)
            installation.stop(name, signal.SIGKILL)
            installation.start(name)
            if name == "simulators":
                with suppress(httpx.TransportError):
                    await installation.world.get("/simulator/summary")


async def everything_ends(installation: Installation, engine: Engine) -> None:
    """Hours pass for everybody until nothing is under way any more."""
    for _ in range(40):
        for advance in (
            installation.post("/v1/clock/advance", {"seconds": 3_700}),
            installation.world.post("/simulator/clock/advance", json={"seconds": 3_700}),
        ):
            assert (await advance).status_code == 200
        await asyncio.sleep(4.0)
        summary = (await installation.world.get("/simulator/summary")).json()
        async with transaction(engine) as session:
            unfinished = await session.scalar(text(UNFINISHED))
            known = await session.scalar(
                text("""SELECT (SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments)
                             + (SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_unmatched_payments)""")
            )
        if unfinished == 0 and summary["late_waiting"] == 0 and summary["paid_kopecks"] == known:
            return
    raise AssertionError((unfinished, summary["late_waiting"], summary["paid_kopecks"], known))


async def sums(engine: Engine) -> dict[str, int]:
    queries = {
        "orders_paid": "SELECT count(*) FROM orders WHERE status = 'paid'",
        "paid_twice": """SELECT count(*) FROM (SELECT a.order_id FROM sbp_payments AS p
            JOIN attempts AS a ON a.id = p.attempt_id WHERE NOT is_late GROUP BY 1 HAVING count(*) > 1) AS t""",
        "in_time": "SELECT count(*) FROM sbp_payments WHERE NOT is_late",
        "late": "SELECT count(*) FROM sbp_payments WHERE is_late",
        "in_time_kopecks": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE NOT is_late",
        "late_kopecks": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE is_late",
        "unmatched_kopecks": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_unmatched_payments",
        "fees_kopecks": "SELECT coalesce(sum(fee_kopecks), 0) FROM sbp_payments",
        "refunded_kopecks": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_refunds WHERE status = 'succeeded'",
        "payouts_kopecks": "SELECT coalesce(sum(amount_kopecks), 0) FROM payouts WHERE status = 'sent'",
    }
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
        return {name: int(await session.scalar(text(sql)) or 0) for name, sql in queries.items()}


async def balance(installation: Installation, code: str) -> int:
    return int((await installation.get(f"/v1/ledger/accounts/{code}"))["balance"])


async def told(engine: Engine, types: dict[str, int]) -> dict[str, int]:
    """How many events of some types were delivered, once all are."""
    found: dict[str, int] = {}
    for _ in range(1200):
        async with transaction(engine) as session:
            rows = await session.execute(
                text("""SELECT e.type, count(*) AS count FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
                         WHERE d.state = 'delivered' GROUP BY e.type""")
            )
            heard = {row.type: row.count for row in rows}
        found = {name: heard.get(name, 0) for name in types}
        if found == types:
            break
        await asyncio.sleep(0.2)
    return found


async def pay_all(installation: Installation, engine: Engine, *, payments: int, seed: int, is_killing: bool) -> None:
    installation.commands["worker-2"] = installation.commands["worker"]
    installation.start("worker-2")
    shop = await open_shop(installation, seed, buyers_at_once=32 if is_killing else 16)
    await installation.faults(**FAULTS, seed=seed)
    killing = asyncio.create_task(kill_now_and_then(installation)) if is_killing else None
    await asyncio.gather(*(shop.sell(number) for number in range(payments)))
    if killing is not None:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        await ready(installation)

    await everything_ends(installation, engine)
    await installation.made("/v1/payout-runs", {})
    await everything_ends(installation, engine)

    await compare(installation, shop, await sums(engine), payments)
    await everything_is_told(engine)


LATE_MONEY_IS_SURE = 300
"""So many payments never pass without one that came too late; sixty may."""


async def compare(installation: Installation, shop: Shop, ours: dict[str, int], payments: int) -> None:
    """NSPK, the bank, the rows and the books say the same to the kopeck."""
    theirs = (await installation.world.get("/simulator/summary")).json()
    assert ours["paid_twice"] == 0
    assert payments >= ours["orders_paid"] == ours["in_time"] > payments // 2
    assert theirs["paid_kopecks"] == ours["in_time_kopecks"] + ours["late_kopecks"] + ours["unmatched_kopecks"]
    assert theirs["refunds_kopecks"] == ours["refunded_kopecks"] == ours["late_kopecks"]
    assert theirs["payouts_kopecks"] == ours["payouts_kopecks"] == ours["in_time_kopecks"] - ours["fees_kopecks"]
    merchant_id = shop.tills[0]["merchant_id"]
    assert await balance(installation, f"liability:merchant_payable:{merchant_id}") == 0
    assert await balance(installation, "liability:late_receipts:sbp") == 0
    assert await balance(installation, "liability:unmatched_receipts:sbp") == ours["unmatched_kopecks"]
    assert await balance(installation, "income:fee:sbp") == ours["fees_kopecks"]
    assert await balance(installation, SETTLEMENT) == ours["fees_kopecks"] + ours["unmatched_kopecks"]
    assert payments < LATE_MONEY_IS_SURE or ours["late"] > 0


async def everything_is_told(engine: Engine) -> None:
    """Every paid order and every late payment once."""
    ours = await sums(engine)
    types = {"order.paid": ours["orders_paid"], "payment.late": ours["late"]}
    assert await told(engine, types) == types


async def test_sixty_payments_with_faults_lose_and_double_nothing(installation: Installation, engine: Engine) -> None:
    await pay_all(installation, engine, payments=60, seed=2026, is_killing=False)


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("seed", [1, 2])
async def test_two_thousand_payments_with_faults_lose_and_double_nothing(
    installation: Installation, engine: Engine, seed: int
) -> None:
    payments = int(os.environ.get("KOPEYKA_TEST_PAYMENTS", "2000"))
    await pay_all(installation, engine, payments=payments, seed=seed, is_killing=True)
