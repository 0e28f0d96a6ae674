"""Refunds through real processes: what goes wrong on the way ends well, and no kopeck goes back twice."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from tests.scenarios.conftest import Installation


async def paid_order(installation: Installation, terminal: dict[str, Any], number: str, amount: int) -> dict[str, Any]:
    order = await installation.order(terminal, number, amount)
    attempt = await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
    paid: dict[str, Any] = await installation.until(
        f"/v1/orders/{order['id']}", lambda found: found["status"] == "paid"
    )
    return paid


async def plan(installation: Installation, **how: Any) -> None:
    answer = await installation.world.put("/simulator/refunds/plan", json=how)
    assert answer.status_code == 200, answer.text


async def ended(installation: Installation, refund: Any) -> Any:
    return await installation.until(f"/v1/refunds/{refund['id']}", lambda found: found["is_final"])


def refunds_in(events: Any) -> list[str]:
    return [event["type"] for event in events["items"] if event["type"].startswith("refund.")]


async def balance(installation: Installation, code: str) -> int:
    return int((await installation.get(f"/v1/ledger/accounts/{code}"))["balance"])


async def later(installation: Installation, seconds: int) -> None:
    """Move both clocks: ours and NSPK's."""
    assert (await installation.post("/v1/clock/advance", {"seconds": seconds})).status_code == 200
    assert (await installation.world.post("/simulator/clock/advance", json={"seconds": seconds})).status_code == 200


async def test_a_part_and_then_the_rest_go_back_an_hour_apart(installation: Installation, engine: Engine) -> None:
    terminal = await installation.terminal(tariff_group="government")
    order = await paid_order(installation, terminal, "A-1", 149_990)

    first = await installation.made(
        "/v1/refunds", {"order_id": order["id"], "amount_kopecks": 50_000, "reason": "брак"}
    )
    assert (first["status"], first["amount_kopecks"]) == ("asked", 50_000)
    first = await ended(installation, first)
    soon = await installation.post("/v1/refunds", {"order_id": order["id"]})
    assert soon.json()["code"] == "sbp_gateway.refund_too_soon"
    assert soon.json()["facts"]["next_allowed_at"][:26] == first["next_allowed_at"][:26]
    await later(installation, 3610)
    second = await ended(installation, await installation.made("/v1/refunds", {"order_id": order["id"]}))

    assert [each["status"] for each in (first, second)] == ["succeeded", "succeeded"]
    assert second["amount_kopecks"] == 99_990
    assert (await installation.get(f"/v1/orders/{order['id']}"))["amount_refunded_kopecks"] == 149_990
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 0
    summary = (await installation.world.get("/simulator/summary")).json()
    assert (summary["refunds"], summary["refunds_kopecks"]) == (2, 149_990)
    async with transaction(engine) as session:
        masks = (await session.exec_driver_sql("SELECT payer_mask FROM sbp_payments")).all()
        payees = (await session.exec_driver_sql("SELECT payee_mask FROM sbp_refunds")).all()
    assert {row[0] for row in (*masks, *payees)} == {"0079******12"}


async def test_a_lost_answer_is_found_by_our_own_id_and_never_asked_for_twice(installation: Installation) -> None:
    terminal = await installation.terminal(tariff_group="standard")
    order = await paid_order(installation, terminal, "A-1", 10_000)
    await installation.faults(lost_answer=1.0, lost_notification=1.0)

    refund = await installation.made("/v1/refunds", {"order_id": order["id"]})
    assert refund["status"] == "unknown"
    await installation.faults(lost_answer=0.0)

    found = await ended(installation, refund)
    assert (found["status"], found["agent_refund_request_id"]) == ("succeeded", refund["agent_refund_request_id"])
    assert (await installation.world.get("/simulator/summary")).json()["refunds"] == 1
    assert (
        found["fee_billed_kopecks"] == await balance(installation, f"asset:fee_receivable:{order['merchant_id']}") == 70
    )


async def test_a_request_that_nspk_never_heard_is_repeated_with_the_same_id(installation: Installation) -> None:
    terminal = await installation.terminal(tariff_group="government")
    order = await paid_order(installation, terminal, "A-1", 10_000)
    await installation.faults(lost_request=1.0)
    refund = await installation.made("/v1/refunds", {"order_id": order["id"]})
    assert refund["status"] == "unknown"
    await installation.faults(lost_request=0.0)
    await later(installation, 20)

    found = await ended(installation, refund)
    assert (found["status"], found["agent_refund_request_id"]) == ("succeeded", refund["agent_refund_request_id"])
    assert (await installation.world.get("/simulator/summary")).json()["refunds"] == 1


async def test_a_refused_and_a_failed_refund_leave_the_money_where_it_was(installation: Installation) -> None:
    terminal = await installation.terminal(tariff_group="government")
    order = await paid_order(installation, terminal, "A-1", 10_000)
    payable = f"/v1/ledger/accounts/liability:merchant_payable:{terminal['merchant_id']}"

    await plan(installation, decision_code="RQ05041")
    refused = await ended(installation, await installation.made("/v1/refunds", {"order_id": order["id"]}))
    assert (refused["status"], refused["refusal_code"]) == ("refused", "RQ05041")
    await later(installation, 3610)
    await plan(installation, money_moves=False)
    failed = await ended(installation, await installation.made("/v1/refunds", {"order_id": order["id"]}))

    assert failed["status"] == "failed"
    account = await installation.get(payable)
    assert (account["balance"], account["available"]) == (10_000, 10_000)
    told = await installation.until(  # readers wait for transactions that are older than an event's
        "/v1/events?limit=50", lambda found: len(refunds_in(found)) >= 2
    )
    assert refunds_in(told) == ["refund.refused", "refund.failed"]


async def test_late_money_goes_back_by_itself_and_after_a_refusal_once_more(installation: Installation) -> None:
    terminal = await installation.terminal()
    await installation.faults(lost_notification=1.0)
    order = await installation.order(terminal, "A-1", 10_000)
    attempt = await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    await installation.post("/v1/clock/advance", {"seconds": 3600})
    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "expired")
    await installation.faults(lost_notification=0.0)
    await plan(installation, decision_code="RQ05041")

    assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
    refused = await installation.until(
        f"/v1/refunds?order_id={order['id']}", lambda found: [each["status"] for each in found["items"]] == ["refused"]
    )
    by_hand = await installation.post("/v1/refunds", {"payment_id": refused["items"][0]["payment_id"]})
    assert by_hand.json()["code"] == "sbp_gateway.payment_late"
    await plan(installation)
    await later(installation, 3610)

    done = await installation.until(
        f"/v1/refunds?order_id={order['id']}", lambda found: found["items"][-1]["status"] == "succeeded"
    )
    assert [each["is_automatic"] for each in done["items"]] == [True, True]
    assert await balance(installation, "liability:late_receipts:sbp") == 0


async def test_many_refunds_with_everything_going_wrong_give_back_each_kopeck_once(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal(tariff_group="government")
    orders = [await paid_order(installation, terminal, f"A-{number}", 10_000 + number) for number in range(20)]
    await installation.faults(
        lost_request=0.3, lost_answer=0.3, lost_notification=0.5, duplicate_notification=0.3, seed=5
    )

    at_once = asyncio.Semaphore(4)  # all of them wait for one merchant's money

    async def ask(order: Any) -> Any:
        async with at_once:
            return await installation.made("/v1/refunds", {"order_id": order["id"]})

    refunds = await asyncio.gather(*map(ask, orders))
    installation.stop("worker", signal.SIGKILL)
    installation.start("worker")
    async with asyncio.timeout(300):
        while not all([(await installation.get(f"/v1/refunds/{refund['id']}"))["is_final"] for refund in refunds]):
            await asyncio.sleep(0.5)
            await later(installation, 60)
    done = [await ended(installation, refund) for refund in refunds]

    assert {refund["status"] for refund in done} == {"succeeded"}
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 0
    summary = (await installation.world.get("/simulator/summary")).json()
    assert (summary["refunds"], summary["refunds_kopecks"]) == (20, sum(10_000 + number for number in range(20)))
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
