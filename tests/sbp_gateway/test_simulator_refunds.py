"""Refunds at the simulator: two phases, NSPK's limits and codes, faults as ordered, nothing forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sbp_gateway.simulator_world import World, simulated_world


async def paid(world: World) -> dict[str, Any]:
    """A paid operation of 1,000 kopecks."""
    qrc_id = await world.link()
    await world.pay(qrc_id)
    answer = await world.http.put("/payment/v2/qrc-status", json={"qrcIds": [qrc_id]})
    found: dict[str, Any] = answer.json()["data"][0]
    return found


async def ask(world: World, operation: dict[str, Any], agent_id: str = "1", **more: Any) -> httpx.Response:
    body = {
        "memberId": "100000000999", "merchantId": "MA0000000001", "originalQrcId": operation["qrcId"], "amount": "400",
        "currency": "RUB", "kzo": operation["kzo"], "agentRefundRequestId": agent_id * 32,
    }  # fmt: skip
    return await world.http.post(f"/payment/v1/agent/refund/{operation['trxId']}", json=body | more)


async def find(world: World, operation: dict[str, Any], agent_id: str = "1") -> httpx.Response:
    query = {"agentRefundRequestId": agent_id * 32}
    return await world.http.get(f"/payment/v1/agent/refund/{operation['trxId']}", params=query)


async def read(world: World, operation: dict[str, Any], opkc_id: str) -> Any:
    return (await world.http.get(f"/payment/v2/agent/refund/{operation['trxId']}/{opkc_id}")).json()["data"]


async def plan(world: World, **how: Any) -> httpx.Response:
    return await world.http.put("/simulator/refunds/plan", json=how)


async def advance(world: World, seconds: int) -> None:
    assert (await world.http.post("/simulator/clock/advance", json={"seconds": seconds})).status_code == 200


async def test_a_refund_is_decided_moved_and_told_of_twice() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        taken = (await ask(world, operation)).json()
        opkc_id = taken["data"]["opkcRefundRequestId"]
        state = await read(world, operation, opkc_id)
        heard = await world.hears(3)

    assert taken["code"] == "RQ00000"
    assert (state["refundStatusCode"], state["trxStatus"], state["amount"]) == ("RQ00030", "ACWP", 400)
    assert [(each.get("code"), each["status"]) for each in heard[1:]] == [("RQ00030", "ACWP"), (None, "ACWP")]
    assert {each["opkcRefundRequestId"] for each in heard[1:]} == {opkc_id}
    assert heard[2]["payeeId"] == "0079******12"


async def test_the_same_request_again_is_the_same_refund() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        first, again = await ask(world, operation), await ask(world, operation)
        found = await find(world, operation)
        summary = (await world.http.get("/simulator/summary")).json()

    assert first.json() == again.json() == found.json()
    assert (summary["refunds"], summary["refunds_kopecks"]) == (1, 400)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        pytest.param({"amount": "1001"}, "RQ05040", id="more than was paid"),
        pytest.param({"amount": "0"}, "RQ05040", id="nothing"),
        pytest.param({"amount": "4,00"}, "RQ05001", id="roubles"),
        pytest.param({"kzo": "0" * 16}, "RQ05015", id="another control value"),
        pytest.param({"originalQrcId": "A" * 32}, "RQ05039", id="another link"),
    ],
)
async def test_a_bad_request_is_refused(more: dict[str, str], code: str) -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        answer = await ask(world, operation, **more)
        missing = await find(world, operation)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert missing.json()["code"] == "RQ05013"


async def test_an_operation_that_nobody_paid_is_not_found() -> None:
    async with simulated_world() as world:
        operation = await paid(world) | {"trxId": "A" * 32}
        assert (await ask(world, operation)).json()["code"] == "RQ05039"


async def test_parts_are_taken_an_hour_apart_up_to_what_was_paid() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        codes = [(await ask(world, operation, "1")).json()["code"], (await ask(world, operation, "2")).json()["code"]]
        for agent_id, amount in (("3", "600"), ("4", "1")):
            await advance(world, 3600)
            codes.append((await ask(world, operation, agent_id, amount=amount)).json()["code"])

    assert codes == ["RQ00000", "RQ05014", "RQ00000", "RQ05040"]


async def test_five_tries_a_day_are_the_most() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        await plan(world, decision_code="RQ05041")
        codes = []
        for number in range(6):
            codes.append((await ask(world, operation, str(number))).json()["code"])
            await advance(world, 3700)

    assert codes == ["RQ00000"] * 5 + ["RQ05014"]


async def test_refunds_go_as_planned_for_all_or_for_one_operation() -> None:
    async with simulated_world() as world:
        slow, refused, broken = [await paid(world) for _ in range(3)]
        await plan(world, decision_seconds=60, money_seconds=60, money_moves=False)
        await plan(world, trx_id=refused["trxId"], ask_code="RQ05041")
        await plan(world, trx_id=broken["trxId"], ask_code="RQ07999")

        opkc_id = (await ask(world, slow, "1")).json()["data"]["opkcRefundRequestId"]
        said = []
        for _ in range(3):
            state = await read(world, slow, opkc_id)
            said.append((state["refundStatusCode"], state.get("trxStatus")))
            await advance(world, 60)
        refusal, failure = await ask(world, refused, "2"), await ask(world, broken, "3")
        missing = await find(world, broken, "3")

    assert said == [("RQ00031", None), ("RQ00030", "RCVD"), ("RQ00030", "RJCT")]
    assert refusal.json()["code"] == "RQ05041"
    assert (failure.status_code, failure.json()["code"], missing.json()["code"]) == (500, "RQ07999", "RQ05013")


async def test_a_bank_decides_against_a_refund_by_chance() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        await world.http.put("/simulator/faults", json={"refund_refused": 1})
        taken = (await ask(world, operation)).json()
        state = await read(world, operation, taken["data"]["opkcRefundRequestId"])
        summary = (await world.http.get("/simulator/summary")).json()

    assert (taken["code"], state["refundStatusCode"], state.get("trxStatus")) == ("RQ00000", "RQ05041", None)
    assert summary["refunds"] == 0


async def test_a_bank_takes_an_hour_to_decide_by_chance() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        await world.http.put("/simulator/faults", json={"refund_pending": 1})
        opkc_id = (await ask(world, operation)).json()["data"]["opkcRefundRequestId"]
        early = await read(world, operation, opkc_id)
        await advance(world, 3600)
        late = await read(world, operation, opkc_id)

    assert (early["refundStatusCode"], late["refundStatusCode"], late["trxStatus"]) == ("RQ00031", "RQ00030", "ACWP")


async def test_a_refund_ordered_for_one_operation_is_left_to_no_chance() -> None:
    async with simulated_world() as world:
        operation = await paid(world)
        await world.http.put("/simulator/faults", json={"refund_refused": 1, "refund_pending": 1})
        await plan(world, trx_id=operation["trxId"])
        opkc_id = (await ask(world, operation)).json()["data"]["opkcRefundRequestId"]
        state = await read(world, operation, opkc_id)

    assert (state["refundStatusCode"], state["trxStatus"]) == ("RQ00030", "ACWP")


@pytest.mark.parametrize("how", [{"speed": 1}, {"money_moves": 1}, {"decision_seconds": -1}, {"ask_code": None}])
async def test_a_plan_that_nobody_can_follow_is_refused(how: dict[str, Any]) -> None:
    async with simulated_world() as world:
        assert (await plan(world, **how)).status_code == 422


async def test_refunds_and_their_tries_outlive_the_simulator(tmp_path: Path) -> None:
    state = tmp_path / "simulators.jsonl"
    async with simulated_world(state) as world:
        operation = await paid(world)
        first = await ask(world, operation)
    async with simulated_world(state) as world:
        assert (await find(world, operation)).json() == first.json()
        assert (await ask(world, operation, "2")).json()["code"] == "RQ05014"
        assert (await world.http.get("/simulator/summary")).json()["refunds_kopecks"] == 400
