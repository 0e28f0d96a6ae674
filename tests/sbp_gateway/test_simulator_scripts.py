"""Faults ordered for one operation happen to that operation, once, and survive the simulator's death."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sbp_gateway.nspk import OperationStatus
from sbp_gateway.simulator.scripts import (
    NotificationFault,
    PaymentFault,
    RegisterFault,
    Script,
    ScriptMalformed,
    Scripts,
    read_script,
)
from tests.sbp_gateway.simulator_world import simulated_world


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        pytest.param([], "a script is an object", id="not an object"),
        pytest.param({"registr": "none"}, "'registr' is not a part of a script", id="unknown part"),
        pytest.param({"register": "vanish"}, "register: write one of none, lost_request", id="unknown word"),
        pytest.param({"register": 1}, "register: write one of", id="not a word"),
        pytest.param({"pay": None}, "pay: write one of none, rejected", id="nothing"),
        pytest.param({"notification": "lost"}, "notification: write a list of up to 3", id="not a list"),
        pytest.param({"notification": ["lost", "lost"]}, "each word once", id="twice the same"),
        pytest.param({"notification": ["lost", "duplicate"]}, "neither duplicate nor reordered", id="lost twice"),
        pytest.param({"delay_seconds": -1}, "delay_seconds: write seconds from 0 to 3600", id="negative delay"),
        pytest.param({"delay_seconds": True}, "delay_seconds: write seconds", id="a truth for seconds"),
        pytest.param({"answer_delay_seconds": 61}, "answer_delay_seconds: write seconds from 0 to 60", id="too slow"),
        pytest.param({"wrong_amount": 0}, "wrong_amount: write whole kopecks from 1", id="zero amount"),
        pytest.param({"wrong_amount": 10.5}, "wrong_amount: write whole kopecks", id="half a kopeck"),
        pytest.param({"wrong_amount": 100_000_001}, "to 100000000", id="over a million roubles"),
        pytest.param({"status": ["ACWP"]}, "status: write one of NTST, RCVD, RJCT", id="money that did not move"),
        pytest.param({"status": ["NTST"] * 21}, "status: write a list of up to 20", id="too many words"),
    ],
)
def test_a_script_nobody_can_follow_is_refused_and_the_refusal_says_what_to_write(said: Any, complaint: str) -> None:
    with pytest.raises(ScriptMalformed, match=complaint):
        read_script(said)


@pytest.mark.parametrize("delay", ["soon", -1, 3_601, True, None, [1]])
async def test_a_delay_that_is_none_moves_no_money(delay: Any) -> None:
    async with simulated_world() as world:
        sticker = (await world.register(None, qrcType="01", account="4" * 20)).json()["data"]["qrcId"]
        merchant = {"ogrn": "1", "bic": "1", "brand_name": "b", "mcc": "5411", "delay_seconds": delay}

        paid = await world.pay(sticker, amount=100, delay_seconds=delay)
        half = await world.pay(sticker, amount=10.5)
        registered = await world.http.post("/simulator/merchants", json=merchant)
        summary = (await world.http.get("/simulator/summary")).json()

    assert (paid.status_code, half.status_code, registered.status_code) == (422, 422, 422)
    assert summary["paid"] == 0


def test_a_script_written_down_is_read_back_the_same() -> None:
    script = Script(
        RegisterFault.LOST_ANSWER, 1.5, PaymentFault.LATE_SUCCESS,
        (NotificationFault.DUPLICATE, NotificationFault.REORDERED), 2.0, 99, (OperationStatus.RECEIVED,),
    )  # fmt: skip

    assert read_script(script.told()) == script


def test_scripts_are_recalled_as_they_were_left() -> None:
    lines: list[Any] = []
    scripts = Scripts(lines.append)
    scripts.order(Script(register=RegisterFault.LOST_ANSWER), 3)
    scripts.take()
    scripts.give("A", Script(pay=PaymentFault.REJECTED, status=(OperationStatus.RECEIVED,)))
    scripts.spend_payment("A")
    scripts.spend_status("A")

    recalled = Scripts(lambda _: None)
    for line in lines:
        recalled.recall(line)

    assert (recalled.by_id, list(recalled.next)) == (scripts.by_id, list(scripts.next))
    assert recalled.of("A") == Script()
    assert len(recalled.next) == 2


async def test_the_control_api_refuses_malformed_scripts_and_changes_nothing() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        refused = [
            await world.script(qrc_id, register="lost_answer"),
            await world.script(qrc_id, nonsense=1),
            await world.http.put(f"/simulator/operations/{qrc_id}/script", content=b"{"),
            await world.order(0, pay="rejected"),
            await world.order(10_001, pay="rejected"),
            await world.http.post("/simulator/scripts", json={"script": {}, "count": "1"}),
            await world.http.post("/simulator/scripts", json={"scripts": {}}),
            await world.http.post("/simulator/scripts", json=[]),
            await world.http.post("/simulator/clock/advance", json={"seconds": -1}),
            await world.http.post("/simulator/clock/advance", json={"seconds": "1"}),
            await world.pay(qrc_id, outcome="perhaps"),
            await world.http.post("/simulator/payers/pay", json={}),
        ]
        unknown = await world.script("AD10000000000000000000000000TEST", pay="rejected")
        told = (await world.http.get("/simulator/scripts")).json()

    assert {answer.status_code for answer in refused} == {422}
    assert all(answer.json()["reason"] for answer in refused)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_link")
    assert told == {"waiting": 0, "given": {}}


async def test_the_next_registrations_follow_their_scripts_and_the_one_after_is_well() -> None:
    async with simulated_world() as world:
        assert (await world.order(2, register="refused")).json()["waiting"] == 2
        answers = [await world.register() for _ in range(3)]
        malformed = await world.register(amount="0")
        await world.order(register="refused")
        await world.register(amount="0")
        waiting = (await world.http.get("/simulator/scripts")).json()["waiting"]

    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert malformed.status_code == 400
    assert waiting == 1  # what NSPK cannot read takes no script


async def test_the_status_call_says_what_the_script_wants_before_the_truth() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.script(qrc_id, status=["RCVD", "RJCT"], notification=["lost"])
        await world.pay(qrc_id)

        assert [await world.status(qrc_id) for _ in range(3)] == ["RCVD", "RJCT", "ACWP"]
        assert world.heard == []


async def test_a_rejected_payment_is_followed_by_an_accepted_one() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.script(qrc_id, pay="rejected_then_accepted", wrong_amount=7)

        assert (await world.pay(qrc_id)).json()["status"] == "RJCT"
        heard = await world.hears(2)

        assert [(said["status"], said["amount"]) for said in heard] == [("RJCT", 7), ("ACWP", 7)]
        assert heard[0]["trxId"] != heard[1]["trxId"]
        assert (await world.pay(qrc_id)).json()["code"] == "already_paid"


async def test_a_late_success_is_silent_until_the_time_and_the_grace_are_over() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.script(qrc_id, pay="late_success")

        assert (await world.pay(qrc_id)).json()["status"] == "NTST"
        assert (await world.pay(qrc_id)).json()["code"] == "in_processing"
        await world.http.post("/simulator/clock/advance", json={"seconds": 20 * 60})
        assert await world.status(qrc_id) == "NTST"
        await world.http.post("/simulator/clock/advance", json={"seconds": 2 * 60})

        assert [said["status"] for said in await world.hears(1)] == ["ACWP"]
        assert await world.status(qrc_id) == "ACWP"


async def test_a_duplicate_comes_twice_and_a_reordered_one_after_its_successor() -> None:
    async with simulated_world() as world:
        first, second = await world.link(), await world.link()
        await world.script(first, notification=["reordered", "duplicate"])
        await world.pay(first)
        await world.pay(second)

        heard = await world.hears(3)

    assert [said["qrcId"] for said in heard] == [second, first, first]


async def test_an_expired_link_is_refused_to_who_pays_and_not_to_who_pays_late() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.http.post("/simulator/clock/advance", json={"seconds": 3600})

        assert (await world.pay(qrc_id)).json()["code"] == "link_expired"
        assert (await world.pay(qrc_id, outcome="late")).json()["status"] == "ACWP"


async def test_a_simulator_that_died_remembers_scripts_time_and_late_money(tmp_path: Path) -> None:
    async with simulated_world(tmp_path / "state.jsonl") as world:
        qrc_id = await world.link(paymentPurpose="Order 1")
        await world.script(qrc_id, pay="late_success", notification=["duplicate"])
        await world.pay(qrc_id)
        await world.order(2, register="refused")
        await world.http.post("/simulator/clock/advance", json={"seconds": 60})

    async with simulated_world(tmp_path / "state.jsonl") as world:
        assert (await world.http.get("/simulator/scripts")).json()["waiting"] == 2
        assert (await world.http.get("/simulator/clock")).json()["ahead_seconds"] == 60
        assert (await world.http.get("/simulator/summary")).json()["late_waiting"] == 1
        await world.http.post("/simulator/clock/advance", json={"seconds": 3600})
        assert len(await world.hears(2)) == 2
        assert (await world.register()).status_code == 400


async def test_rates_make_the_same_trouble_by_chance() -> None:
    async with simulated_world() as world:
        await world.http.put("/simulator/faults", json={"rejected_payment": 1.0, "wrong_amount": 1.0})
        qrc_id = await world.link()
        assert (await world.pay(qrc_id)).json()["status"] == "RJCT"
        await world.http.put("/simulator/faults", json={"rejected_payment": 0.0, "late_success": 1.0})
        assert (await world.pay(qrc_id)).json()["status"] == "RJCT"

        assert [said["amount"] for said in await world.hears(1)] == [1100]
        assert (await world.http.get("/simulator/summary")).json()["late_waiting"] == 1
