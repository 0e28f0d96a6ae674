from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg

from api.plan_payouts import pay_out_plans
from installments import merchant_money, vouchers
from installments.movements import MovementKind
from ledger import chart, journal
from ledger.clock import Clock, machine_now
from ledger.database import transaction
from ledger.entry import Entry, Posting
from ledger.money import Kopecks
from reconciliation import paying_out, repository
from reconciliation.bank import BankAnswer, BankStatus
from reconciliation.payouts import Payout
from tests.conftest import Database
from tests.installments.plan_world import HOUSE, SHOP, PlanWorld, noon

KIND = MovementKind
CLAIM = chart.plan_merchant_receivable(SHOP)


def clock_at(number: int) -> Clock:
    """The clock of an installation at noon of a day."""
    return Clock(noon(number) - machine_now())


async def payouts(world: PlanWorld) -> list[Payout]:
    async with transaction(world.engine) as session:
        return (await repository.list_payouts(session, merchant_id=SHOP))[0]


async def test_a_merchant_is_paid_the_day_after_net_of_the_discount(world: PlanWorld) -> None:
    await world.plan()

    assert await pay_out_plans(world.engine, clock_at(0)) == 1
    assert await payouts(world) == []
    await world.plan(at=noon(1))
    assert await pay_out_plans(world.engine, clock_at(1)) == 1

    assert [int(payout.amount) for payout in await payouts(world)] == [372_400]


async def test_several_workers_pay_a_merchant_once_a_night(world: PlanWorld) -> None:
    await world.plan()

    done = await asyncio.gather(*(pay_out_plans(world.engine, clock_at(1)) for _ in range(3)))

    assert (sum(done), len(await payouts(world))) == (1, 1)


async def test_the_bank_pays_and_the_next_night_owes_nothing(world: PlanWorld) -> None:
    await world.plan()
    await pay_out_plans(world.engine, clock_at(1))
    (payout,) = await payouts(world)
    async with transaction(world.engine) as session:
        await paying_out.record_answer(session, payout.id, BankAnswer(BankStatus.EXECUTED, None), now=noon(1))

    assert await pay_out_plans(world.engine, clock_at(2)) == 0

    assert await world.balance(chart.OPERATOR_BANK) == -372_400
    assert await world.balance(chart.plan_payable(SHOP)) == 0
    await world.agrees()


async def test_what_a_merchant_owes_us_is_taken_first(world: PlanWorld) -> None:
    plan = await world.plan()
    await pay_out_plans(world.engine, clock_at(1))
    await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 2)
    assert await world.balance(CLAIM) == 93_100
    await world.plan(at=noon(2))

    await pay_out_plans(world.engine, clock_at(3))

    assert [int(payout.amount) for payout in await payouts(world)] == [372_400, 372_400 - 93_100]
    assert await world.balance(CLAIM) == 0
    await world.agrees()


async def test_a_merchant_that_the_books_refuse_keeps_no_other_from_its_money(
    world: PlanWorld, database: Database
) -> None:
    await world.plan()
    owed = Posting(chart.plan_receivable("not_due"), chart.plan_payable(HOUSE), Kopecks(70_000))
    async with transaction(world.engine) as session:
        await vouchers.open_accounts(session, [HOUSE], now=noon(0))
        await journal.post(session, Entry("owed", "test", noon(0), (owed,)), now=noon(0))
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET closed_at = now() WHERE code = %s", [chart.plan_payable(SHOP)])

    assert [await pay_out_plans(world.engine, clock_at(1)) for _ in range(2)] == [2, 0]

    async with transaction(world.engine) as session:
        paid, _ = await repository.list_payouts(session, merchant_id=None)
    assert [(payout.merchant_id, int(payout.amount)) for payout in paid] == [(HOUSE, 70_000)]


async def test_money_of_a_plan_in_dispute_stays(world: PlanWorld) -> None:
    plan, _ = await world.plan(), await world.plan()
    async with transaction(world.engine) as session:
        await merchant_money.reserve(session, plan.id, now=noon(0))

    await pay_out_plans(world.engine, clock_at(1))

    assert [int(payout.amount) for payout in await payouts(world)] == [372_400]
    assert await world.balance(chart.plan_reserve(SHOP)) == 372_400
    await world.agrees()


async def test_a_clock_that_went_back_pays_nobody(world: PlanWorld) -> None:
    await world.plan()
    await pay_out_plans(world.engine, clock_at(5))
    await world.plan(at=noon(1) - timedelta(hours=1))

    assert await pay_out_plans(world.engine, clock_at(4)) == 0

    assert len(await payouts(world)) == 1
