"""What goes wrong between us and the rail ends well, and every kopeck is where it should be."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import psycopg
from sqlalchemy import text

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from sbp_gateway.breaker import OPEN_MS
from tests.scenarios.conftest import REFUSED_ACCOUNT, Installation

ATTEMPTS_MAX = 6
OVER = {"rejected", "expired"}


async def attempt_of(installation: Installation, order_id: str) -> Any:
    return await installation.made(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})


async def balance(installation: Installation, code: str) -> int:
    return int((await installation.get(f"/v1/ledger/accounts/{code}"))["balance"])


def is_paid(found: Any) -> bool:
    return bool(found["status"] == "paid")


async def test_a_lost_answer_leaves_the_attempt_unknown_until_the_worker_shows_a_new_code(
    installation: Installation,
) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    await installation.faults(lost_answer=1.0)

    attempt = await attempt_of(installation, order["id"])
    assert (attempt["status"], attempt["qr"]) == ("unknown", None)
    await installation.faults(lost_answer=0.0)

    found = await installation.until(
        f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "waiting"
    )
    assert len(found["attempts"]) == 1
    assert (await installation.pays(found["attempts"][0]["qr"]["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", is_paid)


async def test_a_payment_nobody_told_us_about_is_found_by_asking(installation: Installation) -> None:
    terminal = await installation.terminal()
    await installation.faults(lost_notification=1.0)
    orders = [await installation.order(terminal, f"A-{number}", 10_000) for number in range(5)]
    for order in orders:
        attempt = await attempt_of(installation, order["id"])
        assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200

    for order in orders:
        await installation.until(f"/v1/orders/{order['id']}", is_paid)
    assert await balance(installation, "asset:sbp_settlement:100000000999") == 50_000


async def test_repeated_notifications_and_payers_who_pay_twice_pay_once(installation: Installation) -> None:
    terminal = await installation.terminal(tariff_group="government")
    await installation.faults(duplicate_notification=1.0)
    order = await installation.order(terminal, "A-1", 77_700)
    qrc_id = (await attempt_of(installation, order["id"]))["qr"]["qrc_id"]

    first, second = await asyncio.gather(installation.pays(qrc_id), installation.pays(qrc_id))
    assert sorted((first.status_code, second.status_code)) == [200, 409]
    assert first.json()["trx_id"] == second.json()["trx_id"]
    await installation.until(f"/v1/orders/{order['id']}", is_paid)
    await asyncio.sleep(0.5)

    assert await balance(installation, "asset:sbp_settlement:100000000999") == 77_700
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 77_700


async def test_money_for_an_expired_attempt_goes_back_to_the_buyer(installation: Installation) -> None:
    terminal = await installation.terminal()
    await installation.faults(lost_notification=1.0)
    order = await installation.order(terminal, "A-1", 10_000)
    first = await attempt_of(installation, order["id"])
    moved = await installation.post("/v1/clock/advance", {"seconds": 3600})
    assert moved.status_code in (200, 201), moved.text
    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "expired")
    second = await attempt_of(installation, order["id"])
    await installation.faults(lost_notification=0.0)
    assert (await installation.pays(second["qr"]["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", is_paid)

    assert (await installation.pays(first["qr"]["qrc_id"])).status_code == 200

    late = await installation.until("/v1/events?type=payment.late", lambda found: len(found["items"]) == 1)
    assert late["items"][0]["data"]["attempt_id"] == first["id"]
    refunds = await installation.until(
        f"/v1/refunds?order_id={order['id']}",
        lambda found: [each["status"] for each in found["items"]] == ["succeeded"],
    )
    assert (refunds["items"][0]["is_automatic"], refunds["items"][0]["amount_kopecks"]) == (True, 10_000)
    assert await balance(installation, "liability:late_receipts:sbp") == 0
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 10_000 - 40
    found = await installation.get(f"/v1/orders/{order['id']}")
    assert [attempt["status"] for attempt in found["attempts"]] == ["expired", "paid"]


async def test_a_cashier_cancels_under_a_shown_qr_and_what_is_paid_by_it_goes_back(installation: Installation) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    attempt = await attempt_of(installation, order["id"])

    canceled = await installation.made(f"/v1/orders/{order['id']}/cancel", {})
    again = await installation.post(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    paid = await installation.pays(attempt["qr"]["qrc_id"])

    assert (canceled["status"], canceled["attempts"][0]["status"]) == ("canceled", "expired")
    assert again.json()["code"] == "checkout.order_not_open"
    assert paid.status_code == 200
    late = await installation.until("/v1/events?type=payment.late", lambda found: len(found["items"]) == 1)
    assert late["items"][0]["data"]["order_id"] == order["id"]
    refunds = await installation.until(
        f"/v1/refunds?order_id={order['id']}",
        lambda found: [each["status"] for each in found["items"]] == ["succeeded"],
    )
    assert (refunds["items"][0]["is_automatic"], refunds["items"][0]["amount_kopecks"]) == (True, 10_000)
    assert await balance(installation, "liability:late_receipts:sbp") == 0
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 0
    assert (await installation.get(f"/v1/orders/{order['id']}"))["status"] == "canceled"
    assert (await installation.get("/v1/events?type=order.paid"))["items"] == []


async def test_an_order_whose_code_nspk_never_answered_for_can_be_canceled(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    installation.stop("worker")
    await installation.faults(lost_answer=1.0)
    assert (await attempt_of(installation, order["id"]))["status"] == "unknown"

    canceled = await installation.made(f"/v1/orders/{order['id']}/cancel", {})
    await installation.faults(lost_answer=0.0)
    installation.start("worker")

    assert (canceled["status"], canceled["attempts"][0]["status"]) == ("canceled", "expired")
    for _ in range(1200):
        async with transaction(engine) as session:
            open_codes = await session.scalar(text("SELECT count(*) FROM qr_codes WHERE status <> 'abandoned'"))
        if open_codes == 0:
            break
        await asyncio.sleep(0.1)
    assert open_codes == 0
    found = await installation.get(f"/v1/orders/{order['id']}")
    assert (found["attempts"][0]["status"], found["attempts"][0]["qr"]) == ("expired", None)


async def test_a_rejected_operation_ends_the_attempt_and_another_may_follow(installation: Installation) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    first = await attempt_of(installation, order["id"])
    refused = await installation.post(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    assert refused.json()["code"] == "checkout.attempt_live"

    await installation.pays(first["qr"]["qrc_id"], outcome="rejected")

    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "rejected")
    assert (await attempt_of(installation, order["id"]))["status"] == "waiting"


async def test_a_payout_the_bank_refuses_is_payable_again(installation: Installation) -> None:
    terminal = await installation.terminal(tariff_group="government", account=REFUSED_ACCOUNT)
    order = await installation.order(terminal, "A-1", 10_000)
    await installation.pays((await attempt_of(installation, order["id"]))["qr"]["qrc_id"])
    await installation.until(f"/v1/orders/{order['id']}", is_paid)

    run = await installation.made("/v1/payout-runs", {"merchant_ids": [terminal["merchant_id"]]})
    assert run["amount_kopecks"] == 10_000
    await installation.until(f"/v1/payouts?run_id={run['id']}", lambda found: found["items"][0]["status"] == "rejected")

    account = await installation.get(f"/v1/ledger/accounts/liability:merchant_payable:{terminal['merchant_id']}")
    assert (account["balance"], account["available"]) == (10_000, 10_000)


async def shown_code(installation: Installation, order_id: str) -> Any:
    """A code to scan, of another attempt when one was refused: by chance the breaker may open, and silence go on."""
    for _ in range(ATTEMPTS_MAX):
        attempt = await attempt_of(installation, order_id)
        order = await installation.until(
            f"/v1/orders/{order_id}", lambda found: found["attempts"][-1]["status"] in {"waiting", *OVER}
        )
        assert order["attempts"][-1]["id"] == attempt["id"]
        if order["attempts"][-1]["status"] == "waiting":
            return order["attempts"][-1]["qr"]
        await asyncio.sleep(OPEN_MS / 1000)
    raise AssertionError(order)


async def test_orders_survive_faults_dead_workers_and_two_workers_at_once(
    installation: Installation, engine: Engine
) -> None:
    """A busy hour with everything going wrong: nothing is lost, nothing is doubled, the books agree."""
    installation.commands["worker-2"] = installation.commands["worker"]
    installation.start("worker-2")
    terminal = await installation.terminal(tariff_group="standard")
    await installation.faults(
        lost_request=0.1, lost_answer=0.2, lost_notification=0.3, duplicate_notification=0.3, seed=7
    )
    amounts = [10_000 + number for number in range(40)]
    places = asyncio.Semaphore(8)

    async def buy(number: int) -> None:
        async with places:
            order = await installation.order(terminal, f"A-{number}", amounts[number])
            await installation.pays((await shown_code(installation, order["id"]))["qrc_id"])
            await installation.until(f"/v1/orders/{order['id']}", is_paid)

    async def kill_workers() -> None:
        for _ in range(3):
            await asyncio.sleep(1.0)
            installation.stop("worker", signal.SIGKILL)
            installation.start("worker")

    await asyncio.gather(kill_workers(), *(buy(number) for number in range(len(amounts))))
    run = await installation.made("/v1/payout-runs", {})
    await installation.until(f"/v1/payouts?run_id={run['id']}", lambda found: found["items"][0]["status"] == "sent")

    fees = sum(amount * 70 // 10_000 for amount in amounts)
    assert run["amount_kopecks"] == sum(amounts) - fees
    summary = (await installation.world.get("/simulator/summary")).json()
    assert (summary["paid_kopecks"], summary["payouts_kopecks"]) == (sum(amounts), sum(amounts) - fees)
    assert summary["faults"]["lost_answer"] > 0
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
        paid = await session.scalar(text("SELECT count(*) FROM sbp_payments WHERE NOT is_late"))
    assert paid == len(amounts)
    for _ in range(1200):
        sink = (await installation.world.get("/sink/events/count")).json()
        told = {name: sink["types"].get(name, 0) for name in ("order.paid", "payout.sent")}
        if told == {"order.paid": len(amounts), "payout.sent": 1}:
            break
        await asyncio.sleep(0.1)
    assert told == {"order.paid": len(amounts), "payout.sent": 1}
    assert sink["types"].keys() <= told.keys() | {"attempt.unanswered"}


async def until_the_worker_works(installation: Installation) -> None:
    """It is up, and hears signals: it finds a payment that nobody told us about."""
    order = await installation.order(await installation.terminal(), "W-1", 10_000)
    await installation.faults(lost_notification=1.0)
    await installation.pays((await attempt_of(installation, order["id"]))["qr"]["qrc_id"])
    await installation.until(f"/v1/orders/{order['id']}", is_paid)


async def test_a_worker_told_to_stop_ends_within_ten_seconds(installation: Installation) -> None:
    await until_the_worker_works(installation)

    assert installation.stop("worker", signal.SIGTERM) < 10.0
    assert installation.processes["worker"].returncode == 0


async def test_a_forged_notification_pays_nothing_and_a_strange_one_is_kept(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    qrc_id = (await attempt_of(installation, order["id"]))["qr"]["qrc_id"]
    forged = {
        "qrcId": qrc_id, "trxId": "A" * 32, "status": "ACWP", "amount": 10_000,
        "timestamp": "2026-11-22T12:15:30.004+03:00", "payerId": "0079******12", "kzo": "9F2C7B1E44D05A66",
    }  # fmt: skip

    for body in (forged, forged | {"qrcId": "AD10000000000000000000000000TEST"}):
        answer = await installation.api.post("/nspk/payment/v2/qrc/notification", json=body)
        assert (answer.status_code, answer.json()["code"]) == (200, "RQ00000")

    assert (await installation.get(f"/v1/orders/{order['id']}"))["status"] == "open"
    async with transaction(engine) as session:
        parked = (await session.execute(text("SELECT qrc_id, body FROM sbp_parked_notifications"))).all()
    assert [(row.qrc_id, row.body["amount"]) for row in parked] == [("AD10000000000000000000000000TEST", 10_000)]


async def test_every_process_survives_the_loss_of_all_its_connections(
    installation: Installation, database: Any
) -> None:
    await until_the_worker_works(installation)
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    qrc_id = (await attempt_of(installation, order["id"]))["qr"]["qrc_id"]
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        ended = connection.execute(
            """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND usename = 'kopeyka_app'"""
        ).fetchone()
    assert ended is not None
    assert ended[0] > 2

    await installation.pays(qrc_id)
    deadline = asyncio.get_running_loop().time() + 180
    while True:
        answer = await installation.api.get(f"/v1/orders/{order['id']}")
        if answer.status_code == 200 and answer.json()["status"] == "paid":
            break
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.2)
    assert installation.processes["worker"].poll() is None
