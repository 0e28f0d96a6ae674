"""A till's plate over real processes: armed, paid, taken back, moved; stickers and money that no order knows."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from tests.scenarios.conftest import Installation

BANK = "asset:sbp_settlement:100000000999"


async def plate(installation: Installation, terminal: dict[str, Any], **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = await installation.made("/v1/sbp/cash-links", {"terminal_id": terminal["id"], **body})
    return made


async def armed(installation: Installation, order: dict[str, Any], link: dict[str, Any], **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = await installation.made(
        f"/v1/orders/{order['id']}/attempts", {"rail": "sbp", "cash_link_id": link["id"], **body}
    )
    return made


async def balance(installation: Installation, code: str) -> int:
    return int((await installation.get(f"/v1/ledger/accounts/{code}"))["balance"])


def is_paid(found: Any) -> bool:
    return bool(found["status"] == "paid")


async def test_a_till_arms_its_plate_for_each_sale_and_each_is_paid_once(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()
    reserved = (await installation.made("/v1/sbp/cash-links/reservations", {"quantity": 3}))["qrc_ids"]
    link = await plate(installation, terminal, qrc_id=reserved[0])
    assert (link["status"], link["qrc_id"]) == ("registered", reserved[0])

    for number in (1, 2):
        order = await installation.order(terminal, f"A-{number}", 10_000 * number)
        attempt = await armed(installation, order, link)
        assert (attempt["status"], attempt["qr"]["payload"]) == ("waiting", link["payload"])
        shown = await installation.get(f"/v1/sbp/cash-links/{link['id']}")
        assert shown["activation"]["amount_kopecks"] == 10_000 * number
        assert (await installation.pays(link["qrc_id"])).status_code == 200
        assert (await installation.pays(link["qrc_id"])).json()["code"] == "not_armed"
        found = await installation.until(f"/v1/orders/{order['id']}", is_paid)
        assert found["attempts"][0]["qr"]["qrc_id"] == link["qrc_id"]

    assert await balance(installation, BANK) == 30_000
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 30_000 - 40 - 80
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []
        assert await session.scalar(text("SELECT count(DISTINCT activation_id) FROM sbp_payments")) == 2


async def test_a_lost_answer_of_an_activation_is_made_good(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    order = await installation.order(terminal, "A-1", 10_000)
    await installation.faults(lost_answer=1.0)
    attempt = await armed(installation, order, link)
    assert (attempt["status"], attempt["qr"]) == ("unknown", None)
    await installation.faults(lost_answer=0.0)

    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "waiting")

    assert (await installation.pays(link["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", is_paid)
    assert (await installation.get("/v1/sbp/unmatched-payments"))["items"] == []


async def test_a_buyer_faster_than_the_lost_answer_pays_the_order(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    order = await installation.order(terminal, "A-1", 10_000)
    await installation.faults(lost_answer=1.0)
    await armed(installation, order, link)
    assert (await installation.pays(link["qrc_id"])).status_code == 200
    await installation.faults(lost_answer=0.0)

    found = await installation.until(f"/v1/orders/{order['id']}", is_paid)

    assert found["attempts"][0]["status"] == "paid"


async def test_a_plate_is_armed_by_one_order_at_a_time(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    first = await installation.order(terminal, "A-1", 10_000)
    second = await installation.order(terminal, "A-2", 20_000)
    bodies = {"rail": "sbp", "cash_link_id": link["id"]}

    answers = await asyncio.gather(
        *(installation.post(f"/v1/orders/{order['id']}/attempts", bodies) for order in (first, second))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    (refused,) = [answer.json() for answer in answers if answer.status_code == 409]
    assert (refused["code"], bool(refused["cashier_tip"])) == ("sbp_gateway.activation_live", True)


async def test_cancelling_an_order_disarms_the_plate_unless_the_buyer_is_paying(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    first = await installation.order(terminal, "A-1", 10_000)
    await armed(installation, first, link)

    await installation.pays(link["qrc_id"], outcome="begin")
    refused = await installation.post(f"/v1/orders/{first['id']}/cancel", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "sbp_gateway.activation_paying")
    assert (await installation.pays(link["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{first['id']}", is_paid)

    second = await installation.order(terminal, "A-2", 20_000)
    await armed(installation, second, link)
    canceled = await installation.made(f"/v1/orders/{second['id']}/cancel", {})
    assert (canceled["status"], canceled["attempts"][0]["status"]) == ("canceled", "expired")
    assert (await installation.pays(link["qrc_id"])).json()["code"] == "not_armed"


async def test_money_for_an_activation_taken_back_is_kept_for_the_buyer(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    order = await installation.order(terminal, "A-1", 10_000)
    await armed(installation, order, link)
    params_id = (await installation.get(f"/v1/sbp/cash-links/{link['id']}"))["activation"]["params_id"]
    await installation.made(f"/v1/sbp/cash-links/{link['id']}/deactivate", {})
    assert (await installation.get(f"/v1/orders/{order['id']}"))["attempts"][0]["status"] == "expired"

    assert (await installation.pays(link["qrc_id"], params_id=params_id)).status_code == 200

    late = await installation.until("/v1/events?type=payment.late", lambda found: len(found["items"]) == 1)
    assert late["items"][0]["data"]["order_id"] == order["id"]
    assert (await installation.get(f"/v1/orders/{order['id']}"))["status"] == "open"


async def test_the_worker_disarms_the_plate_when_the_time_is_over(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    order = await installation.order(terminal, "A-1", 10_000)
    await armed(installation, order, link, ttl_minutes=1)

    await installation.post("/v1/clock/advance", {"seconds": 61})

    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["attempts"][0]["status"] == "expired")
    assert (await installation.pays(link["qrc_id"])).json()["code"] == "not_armed"
    assert (await armed(installation, order, link))["status"] == "waiting"


async def test_what_a_plate_was_left_armed_with_is_taken_back_and_its_money_waits_for_a_person(
    installation: Installation,
) -> None:
    """Somebody armed our plate and nobody of ours knows: a sale never waits for it, and no kopeck of it is lost."""
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    params = f"/payment/v1/cash-register-qrc/{link['qrc_id']}/params"
    left = {"amount": "77700", "currency": "RUB"}

    assert (await installation.world.post(params, json=left)).json()["code"] == "RQ00000"
    order = await installation.order(terminal, "A-1", 10_000)
    assert (await armed(installation, order, link))["status"] == "waiting"
    assert (await installation.pays(link["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", is_paid)

    assert (await installation.world.post(params, json=left)).json()["code"] == "RQ00000"
    await installation.pays(link["qrc_id"], outcome="begin")
    order = await installation.order(terminal, "A-2", 10_000)
    assert (await armed(installation, order, link))["status"] == "rejected"
    assert (await installation.pays(link["qrc_id"])).status_code == 200
    queue = await installation.until("/v1/sbp/unmatched-payments", lambda found: len(found["items"]) == 1)
    assert (queue["items"][0]["reason"], queue["items"][0]["amount_kopecks"]) == ("activation_unknown", 77_700)
    assert await balance(installation, "liability:unmatched_receipts:sbp") == 77_700


async def test_a_plate_moves_to_another_till_and_to_another_account(installation: Installation) -> None:
    terminal = await installation.terminal()
    link = await plate(installation, terminal)
    other = await installation.made("/v1/terminals", {"store_id": terminal["store_id"], "name": "Касса 2"})
    order = await installation.order(other, "A-1", 10_000)
    body = {"rail": "sbp", "cash_link_id": link["id"]}
    refused = await installation.post(f"/v1/orders/{order['id']}/attempts", body)
    assert refused.json()["code"] == "sbp_gateway.cash_link_elsewhere"

    moved = await installation.made(f"/v1/sbp/cash-links/{link['id']}/move", {"terminal_id": other["id"]})
    assert moved["terminal_id"] == other["id"]
    account = "40702810000000000002"
    moved = await installation.made(f"/v1/sbp/cash-links/{link['id']}/move", {"bank_account": account})
    assert moved["bank_account"] == account

    await armed(installation, order, link)
    refused = await installation.post(f"/v1/sbp/cash-links/{link['id']}/move", {"terminal_id": terminal["id"]})
    assert refused.json()["code"] == "sbp_gateway.activation_live"


async def test_a_stickers_payment_waits_until_a_person_gives_it_to_an_order(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()
    sticker = await installation.made("/v1/sbp/stickers", {"terminal_id": terminal["id"]})
    refused = await installation.post("/v1/sbp/stickers", {"terminal_id": terminal["id"]})
    assert refused.json()["code"] == "sbp_gateway.sticker_taken"
    await installation.faults(duplicate_notification=1.0)
    assert (await installation.pays(sticker["qrc_id"], amount=10_000)).status_code == 200

    queue = await installation.until("/v1/sbp/unmatched-payments", lambda found: len(found["items"]) == 1)
    (waiting,) = queue["items"]
    assert (waiting["reason"], waiting["amount_kopecks"], waiting["status"]) == ("sticker", 10_000, "open")
    assert await balance(installation, "liability:unmatched_receipts:sbp") == 10_000
    other = await installation.order(terminal, "A-1", 9_999)
    refused = await installation.post(f"/v1/sbp/unmatched-payments/{waiting['id']}/match", {"order_id": other["id"]})
    assert refused.json()["code"] == "sbp_gateway.unmatched_amount_differs"

    order = await installation.order(terminal, "A-2", 10_000)
    path = f"/v1/sbp/unmatched-payments/{waiting['id']}/match"
    matched = await installation.made(path, {"order_id": order["id"]})
    again = await installation.post(path, {"order_id": order["id"]})

    assert (matched["status"], matched["order_id"]) == ("matched", order["id"])
    assert again.json()["code"] == "sbp_gateway.unmatched_payment_matched"
    assert (await installation.get(f"/v1/orders/{order['id']}"))["status"] == "paid"
    assert await balance(installation, "liability:unmatched_receipts:sbp") == 0
    assert await balance(installation, f"liability:merchant_payable:{terminal['merchant_id']}") == 10_000 - 40
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


async def test_a_stickers_payment_that_is_no_orders_goes_back_to_its_payer(
    installation: Installation, engine: Engine
) -> None:
    terminal = await installation.terminal()
    sticker = await installation.made("/v1/sbp/stickers", {"terminal_id": terminal["id"]})
    assert (await installation.pays(sticker["qrc_id"], amount=10_000)).status_code == 200
    queue = await installation.until("/v1/sbp/unmatched-payments", lambda found: len(found["items"]) == 1)

    returned = await installation.made(f"/v1/sbp/unmatched-payments/{queue['items'][0]['id']}/refund", {})

    refunds = await installation.until(
        f"/v1/refunds?payment_id={returned['payment_id']}",
        lambda found: [each["status"] for each in found["items"]] == ["succeeded"],
    )
    (refund,) = refunds["items"]
    assert (refund["amount_kopecks"], refund["order_id"], refund["reason"]) == (10_000, None, "unmatched payment")
    told = await installation.until("/v1/events?type=payment.returned", lambda found: found["items"])
    assert [each["data"]["payment_id"] for each in told["items"]] == [returned["payment_id"]]
    assert (await installation.world.get("/simulator/summary")).json()["refunds_kopecks"] == 10_000
    assert await balance(installation, "liability:unmatched_receipts:sbp") == 0
    assert await balance(installation, "liability:late_receipts:sbp") == 0
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


async def test_a_till_says_how_long_its_code_may_be_paid(installation: Installation, engine: Engine) -> None:
    terminal = await installation.terminal()
    order = await installation.order(terminal, "A-1", 10_000)
    path = f"/v1/orders/{order['id']}/attempts"
    for minutes in (0, 4, 129_601):
        refused = await installation.post(path, {"rail": "sbp", "ttl_minutes": minutes})
        assert refused.json()["code"] == "sbp_gateway.ttl_out_of_range"

    await installation.made(path, {"rail": "sbp", "ttl_minutes": 90})

    async with transaction(engine) as session:
        lives = await session.scalar(text("SELECT expires_at - requested_at = interval '90 minutes' FROM qr_codes"))
    assert lives
