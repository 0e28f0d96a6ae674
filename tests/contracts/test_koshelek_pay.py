"""The contract of tills, call by call, against the real api and the simulators of the outside world."""

from __future__ import annotations

from tests.contracts.koshelek_pay_world import TillWorld, till_world  # noqa: F401  # a fixture: pytest finds it here


async def test_a_sale_is_checked_out_paid_and_refunded(till_world: TillWorld) -> None:  # noqa: F811
    till = await till_world.till()

    begun = await till.call("checkout", till.checkout())

    assert begun.status_code == 200, begun.text
    said = begun.json()
    assert (said["status"], said["totalAmount"], said["paymentType"]) == ("WAITING", 48_000, "SBP")
    await till_world.pays(said["qrPayload"])
    named = {"paymentTransactionId": said["paymentTransactionId"]}

    async def status() -> dict[str, object]:
        found: dict[str, object] = (await till.call("status", named)).json()
        return found

    paid = await till_world.until(status, lambda found: found["status"] == "PAID")
    assert len(str(paid["slip"]["operationId"])) == 32
    assert paid["slip"]["kzo"] == paid["slip"]["kzo"]
