"""What a buyer paid too much by bank is returned by a person, told over HTTP and at the command line, booked once."""

from __future__ import annotations

import asyncio

from installments import sub_ledger
from installments.movements import MovementKind
from ledger import balances, chart
from ledger.database import Engine, transaction
from tests.api.cli.conftest import Kopeyka
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS
from tests.installments.collection_world import FUNDED
from tests.installments.test_buyer_notices import movement, record
from tests.installments.test_dunning import buyer_of, plans

DOWN_PAYMENT = 1_000_00
OVERPAYMENTS = "/v1/installments/overpayments"


async def books_of(engine: Engine) -> dict[str, int]:
    """What every account stands at; the books equal the plans, but for the money that this world begins with."""
    async with transaction(engine) as session:
        differences = await sub_ledger.check(session)
        assert [one.in_books for one in differences] == [FUNDED - DOWN_PAYMENT], differences
        return {line.code: line.balance for line in await balances.trial_balance(session)}


async def test_an_overpayment_is_returned_by_a_person_and_booked_once(
    client: Client, engine: Engine, kopeyka: Kopeyka
) -> None:
    (plan_id,) = await plans(engine)
    await record(engine, movement(plan_id, MovementKind.EARLY_PAYMENT, 3_700_00, "bank:in-1"))
    path, back = f"{PLANS}/{plan_id}/bank-returns", {"amount_kopecks": 50_000, "bank_reference": "out-1"}
    listed, before = (await client.get(OVERPAYMENTS)).json(), await books_of(engine)

    above = await client.post(path, back | {"amount_kopecks": 70_001})
    first = await client.post(path, back)
    again = await client.post(path, back)
    other = await client.post(path, back | {"amount_kopecks": 1})
    words = ("plans", "return-overpaid", plan_id, "--reference", "out-2", "--amount")
    wrong = await asyncio.to_thread(kopeyka, *words, "all")
    rest = await asyncio.to_thread(kopeyka, *words, "200.00")

    buyer_id = await buyer_of(engine, plan_id)
    assert listed == [{"plan_id": plan_id, "buyer_id": buyer_id, "overpaid_kopecks": 70_000, "refused_kopecks": 0}]
    assert (above.status_code, above.json()["code"]) == (422, "installments.return_above_overpaid")
    assert (first.status_code, first.json()["overpaid_kopecks"]) == (201, 20_000), first.text
    assert again.json()["version"] == first.json()["version"]
    assert (other.status_code, other.json()["code"]) == (409, "installments.movement_differs")
    assert wrong.code == 1
    assert (rest.code, rest.out.strip()) == (0, f"{plan_id}: 0.00 is left to return"), rest.err
    assert (await client.get(OVERPAYMENTS)).json() == []
    after = await books_of(engine)
    assert before[chart.OPERATOR_BANK] - after[chart.OPERATOR_BANK] == before[chart.PLAN_OVERPAYMENT] == 70_000
    assert after.get(chart.PLAN_OVERPAYMENT, 0) == after.get(chart.PLAN_REFUND_PAYABLE, 0) == 0
    events = (await client.get("/v1/events?limit=200")).json()["items"]
    told = [one["data"]["amount_kopecks"] for one in events if one["type"] == "plan.credit_returned"]
    assert told == [50_000, 20_000]
