"""Installments while workers die and the acquirer lies: each is charged once, none is lost, and all is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from api.plan_collectors import CardCollector
from api.sandbox import found_operator
from installments import charge_rows, collecting
from installments.charges import LIVE, Charge, ChargeStatus
from installments.clearing import in_clearing
from installments.plan import CollectorName, Plan
from installments.repository import load_plans
from ledger.clock import machine_now, moscow_day, set_offset
from ledger.database import Engine, transaction
from tests.conftest import Database, VaultDatabase
from tests.installments.collection_world import FORTNIGHT, at, due_amounts, make_buyer, make_plan, make_terms
from tests.processes import Process, start
from tests.scenarios.card_installation import CardInstallation, card_installation, keep_card

pytestmark = pytest.mark.faults

SEED = 20_261_122
PRICE = 400_00
PART = 100_00
HOUR_SECONDS_MAX = 60.0
"""What waits for longer waits for the next hour."""
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Collection:
    """Real workers over real cards, and plans that owe."""

    cards: CardInstallation
    engine: Engine
    environment: dict[str, str]
    operator_id: str
    shop_id: str
    plans: list[Plan] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    today: date = field(default_factory=lambda: moscow_day(machine_now()))
    """Midnight may pass while a test runs."""

    @property
    def due_on(self) -> date:
        return self.today + FORTNIGHT

    def start_worker(self) -> None:
        self.workers.append(start("api.worker", environment=self.environment))

    def kill_worker(self, number: int = 0) -> None:
        worker = self.workers.pop(number)
        worker.kill()
        worker.wait()

    async def be(self, moment: datetime) -> None:
        """Move the business clock of everybody."""
        async with transaction(self.engine) as session:
            await set_offset(session, moment - machine_now())

    async def make_plans(self, count: int) -> None:
        """Plans whose first installments were really paid by the card."""
        firsts = [await self.cards.pay(PART, keep_credential=True) for _ in range(count)]
        async with transaction(self.engine) as session:
            for number, first in enumerate(firsts):
                buyer_id = await make_buyer(session, number)
                plan = await make_plan(
                    session, self.shop_id, buyer_id, number=number, price=PRICE, contract_on=self.today,
                    card_token=self.cards.token, first_payment_id=first["id"],
                )  # fmt: skip
                self.plans.append(plan)

    async def charges(self) -> dict[str, list[Charge]]:
        async with transaction(self.engine) as session:
            return {plan.id: await charge_rows.list_charges(session, plan.id) for plan in self.plans}

    async def until(self, is_so: Callable[[], Awaitable[bool]], seconds_max: float = 180) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds_max
        while not await is_so():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.2)
        return True

    async def all_paid(self) -> bool:
        """The second installment of every plan is paid."""
        async with transaction(self.engine) as session:
            return all([(await due_amounts(session, plan.id))[2] == 0 for plan in self.plans])

    async def have_asked(self, count: int) -> bool:
        """So many charges were begun; kills fall among them."""
        return (
            sum(one.payment_id is not None for of_plan in (await self.charges()).values() for one in of_plan) >= count
        )

    async def has_lost_one(self) -> bool:
        """The acquirer has never heard of a charge."""
        return "lost_request" in (await self.cards.acquirer.ask("GET", "summary"))["faults"]

    async def is_quiet(self, moment: datetime) -> bool:
        """Nothing is left to do at this hour: every plan was charged, and no charge is under way or due again."""
        return all(
            of_plan and not any(one.status in LIVE or (one.next_try_at or NEVER) <= moment for one in of_plan)
            for of_plan in (await self.charges()).values()
        )

    async def agree(self) -> None:
        """Each installment was charged once and told; the acquirer, the plans and the books say the same."""
        found = await self.charges()
        taken = [[one for one in of_plan if one.status is ChargeStatus.CAPTURED] for of_plan in found.values()]
        assert [len(of_plan) for of_plan in taken] == [1] * len(self.plans)
        summary = await self.cards.acquirer.ask("GET", "summary")
        firsts = PART * len(self.plans)
        captured = sum(int(one.captured) for of_plan in taken for one in of_plan)
        assert (summary["net_kopecks"], summary["doubles"]) == (firsts + captured, 0)
        async with transaction(self.engine) as session:
            assert await in_clearing(session, self.operator_id) == 0
            plans = await load_plans(session, [plan.id for plan in self.plans])
        assert {int(plan.overpaid) for plan in plans.values()} == {0}
        assert {int(plan.outstanding) for plan in plans.values()} == {2 * PART}


@pytest_asyncio.fixture
async def collection(
    database: Database, vault_database: VaultDatabase, engine: Engine, vault_engine: Engine, tmp_path: Path
) -> AsyncIterator[Collection]:
    async with (
        card_installation(database, vault_database, engine, vault_engine, tmp_path) as cards,
        _collecting(database, engine, cards) as opened,
    ):
        yield opened


@asynccontextmanager
async def _collecting(database: Database, engine: Engine, cards: CardInstallation) -> AsyncIterator[Collection]:
    settings = cards.vault.settings(database)
    environment = dict(os.environ) | {
        "KOPEYKA_DATABASE_URL": database.app_url, "KOPEYKA_VAULT_URL": settings.vault_url,
        "KOPEYKA_VAULT_CA_FILE": str(settings.vault_ca_file), "KOPEYKA_VAULT_CERT_FILE": str(settings.vault_cert_file),
        "KOPEYKA_VAULT_KEY_FILE": str(settings.vault_key_file), "KOPEYKA_LOG_LEVEL": "error",
    }  # fmt: skip
    async with transaction(engine) as session:
        operator_id = await found_operator(session, now=machine_now())
        await make_terms(session, cards.merchant_id)
    opened = Collection(cards, engine, environment, operator_id, cards.merchant_id)
    cards.merchant_id = operator_id
    cards.token = await keep_card(cards.api, operator_id)
    try:
        yield opened
    finally:
        while opened.workers:
            opened.kill_worker()


async def test_a_worker_killed_between_charge_and_booking_charges_nobody_again(collection: Collection) -> None:
    await collection.make_plans(2)
    due_at = at(collection.due_on, 16)
    collection.cards.calls.clock.offset = due_at - machine_now()
    cards = CardCollector(collection.cards.calls)
    async with transaction(collection.engine) as session:
        await collecting.select_due(session, collection.due_on, now=due_at)
    async with transaction(collection.engine) as session:
        asked = await collecting.begin(session, {CollectorName.CARD: cards}, now=due_at)
    outcomes = await cards.ask(asked)  # the money is taken and booked; and here the worker dies
    assert [outcome.status for outcome in outcomes] == ["captured", "captured"]
    async with transaction(collection.engine) as session:
        assert await in_clearing(session, collection.operator_id) == 2 * PART

    await collection.be(due_at + collecting.LEASE)
    collection.start_worker()
    collection.start_worker()
    assert await collection.until(collection.all_paid)

    await collection.agree()
    assert {len(found) for found in (await collection.charges()).values()} == {1}


async def test_a_night_of_two_workers_that_die_and_an_acquirer_that_lies_charges_each_part_once(
    collection: Collection,
) -> None:
    await collection.make_plans(20)
    await collection.cards.acquirer.ask(
        "PUT", "faults",
        {"lost_request": 0.06, "lost_answer": 0.06, "duplicate_answer": 0.1, "cut": 0.04, "late_answer": 0.06,
         "delay_seconds": 2, "seed": SEED},
    )  # fmt: skip
    await collection.be(at(collection.due_on, 16))
    for _ in range(2):
        collection.start_worker()
    for count in (3, 8, 14):
        assert await collection.until(lambda count=count: collection.have_asked(count))  # type: ignore[misc]
        collection.kill_worker()
        collection.start_worker()
    assert await collection.until(collection.has_lost_one)
    await collection.cards.acquirer.ask("PUT", "faults", {"seed": SEED})

    for days, hour in _hours():
        moment = at(collection.due_on + timedelta(days=days), hour)
        await collection.be(moment)
        await collection.until(partial(collection.is_quiet, moment), HOUR_SECONDS_MAX)
        if await collection.all_paid():
            break

    await collection.agree()
    assert any(len(found) > 1 for found in (await collection.charges()).values())  # some were refused and tried again


def _hours() -> Sequence[tuple[int, int]]:
    """The hours of the timetable; what is lost or leased at one of them is found at the next at the latest."""
    return [(0, 17), (0, 22), (0, 23), (1, 18), (1, 19), (3, 18), (3, 19), (7, 18), (7, 19)]
