"""An installment by an account binding: nobody scans anything, NSPK takes it by consent, the plan is told."""

from __future__ import annotations

from datetime import timedelta

from installments import charge_rows
from installments.clearing import clearing_accounts, in_clearing
from installments.plan import CollectorName
from installments.repository import Licence, add_licence, choose_operator
from ledger import accounts, journal
from ledger.accounts import AccountTerms
from ledger.clock import machine_now, moscow_day
from ledger.database import Engine, text, transaction
from ledger.entry import Entry, Posting
from ledger.money import Kopecks
from tests.installments.collection_world import FORTNIGHT, at, due_amounts, make_buyer, make_plan, make_terms
from tests.scenarios.conftest import Installation
from tests.scenarios.test_bindings import bound

PART = 100_00
BANK = "asset:sbp_settlement:1"


async def test_an_installment_is_taken_by_a_binding_and_told_to_its_plan(
    installation: Installation, engine: Engine
) -> None:
    house = await installation.terminal(tariff_group="operator")
    shop = await installation.terminal()
    binding = await bound(installation, house["merchant_id"])
    today = moscow_day(machine_now())
    async with transaction(engine) as session:
        await choose_operator(session, house["merchant_id"])
        _, clearing = clearing_accounts(house["merchant_id"])
        for terms in (AccountTerms(BANK), AccountTerms(clearing, available_min=0)):
            await accounts.open_account(session, terms, now=machine_now())
        first = Entry("first", "sbp.payment", at(today, 0), (Posting(BANK, clearing, Kopecks(PART)),))
        await journal.post(session, first, now=machine_now())
        await make_terms(session, shop["merchant_id"])
        await add_licence(session, Licence(today, "N-1", True, Kopecks(500_000_000)))
        plan = await make_plan(
            session, shop["merchant_id"], await make_buyer(session), price=4 * PART, contract_on=today,
            collector=CollectorName.SBP,
        )  # fmt: skip
        await session.execute(text("UPDATE installment_plans SET binding_id = :id"), {"id": binding["id"]})

    lapse = at(today + FORTNIGHT, 15) - machine_now()
    await installation.post("/v1/clock/advance", {"seconds": int(lapse / timedelta(seconds=1))})

    def is_paid(page: dict[str, list[dict[str, str]]]) -> bool:
        return any(event["type"] == "plan.installment_payment" for event in page["items"])

    await installation.until(f"/v1/events?merchant_id={shop['merchant_id']}", is_paid)
    async with transaction(engine) as session:
        (charge,) = await charge_rows.list_charges(session, plan.id)
        assert (charge.status, charge.captured) == ("captured", PART)
        assert await due_amounts(session, plan.id) == {1: 0, 2: 0, 3: PART, 4: PART}
        assert await in_clearing(session, house["merchant_id"]) == 0
