"""What buyers paid too much by SBP or bank is told of and listed, until a person has returned it."""

from __future__ import annotations

from installments.movements import MovementKind
from installments.overpayments import BankReturn, add_bank_return, list_overpaid
from ledger import outbox
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from tests.installments.test_buyer_notices import movement, record
from tests.installments.test_dunning import buyer_of, plans


async def listed(engine: Engine) -> list[tuple[str, str | None, int]]:
    async with transaction(engine) as session:
        return [(one.plan_id, one.buyer_id, int(one.amount)) for one in await list_overpaid(session)]


async def test_an_overpayment_that_no_card_takes_back_is_told_of_and_listed_until_it_is_returned(
    engine: Engine,
) -> None:
    plan_id, other = await plans(engine, 2)
    await record(engine, movement(other, MovementKind.EARLY_PAYMENT, 3_000_00, "bank:0"))
    assert await listed(engine) == []

    await record(engine, movement(plan_id, MovementKind.EARLY_PAYMENT, 3_000_07, "bank:1"))
    assert await listed(engine) == [(plan_id, await buyer_of(engine, plan_id), 7)]
    async with transaction(engine) as session:
        (told,), _ = await outbox.list_events(session, type_="plan.overpaid")
    assert (told.data["plan_id"], told.data["overpaid_kopecks"]) == (plan_id, 7)

    await record(engine, movement(plan_id, MovementKind.CREDIT_REFUND, 7, "returned:by-hand"))
    assert await listed(engine) == [(plan_id, await buyer_of(engine, plan_id), 7)], "off the plan, and not sent yet"
    async with transaction(engine) as session:
        assert await add_bank_return(session, BankReturn(plan_id, Kopecks(7), "out-1"), Kopecks(7), now=machine_now())
    assert await listed(engine) == []
