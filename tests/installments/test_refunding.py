"""Refunds, corrections and deliveries: what may come back, what it does to the debt, and how the buyer's money goes
back to the card."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from api.plan_bank_news import BankPayment, record_bank_payment, record_bank_return
from checkout.card_payments import CardRefundStatus, ChargeNews
from installments import sub_ledger
from installments.buyer_errors import ReturnAboveOverpaid
from installments.clearing import in_clearing
from installments.errors import (
    BasketMismatch,
    CorrectionAboveTotal,
    InstallmentsRejected,
    MovementDiffers,
    PlanCanceled,
    PlanNotCommitted,
    RefundAboveRest,
    RefundAmountNotPositive,
    RefundDiffers,
    RefundItemsMismatch,
)
from installments.movements import MovementKind
from installments.overpayments import BankReturn, list_overpaid
from installments.plan import Plan, PlanStatus
from installments.telling import PlanActor
from ledger import chart
from ledger.database import Engine, in_transaction, transaction
from ledger.money import Kopecks
from tests.conftest import Database
from tests.installments.life_world import PRICE, LifeWorld, leaves, life_world, thing

COAT, HATS = thing(700_056, "Пальто", sku="c-1"), thing(100_000, "Шапка", "3", sku="h-1")


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def two_paid(life: LifeWorld) -> Plan:
    """A plan of 10 000.56 with two of four installments paid."""
    plan = await life.committed(items=(COAT, HATS))
    life.pass_by(days=14)
    return (await life.pay(plan, 250_014)).plan


BY = PlanActor("operator:tests", "tests")


async def is_clear(life: LifeWorld) -> None:
    async with transaction(life.engine) as session:
        assert await in_clearing(session, life.operator_id) == 0


async def test_goods_come_back_in_proportion_and_the_paid_share_goes_to_the_card(
    life: LifeWorld, database: Database
) -> None:
    """The worked example: two of four paid, 3 000.00 returned; 1 500.00 back, the rest 1 750.14 each."""
    plan = await two_paid(life)

    refund = await life.refund(plan, 300_000, items=(thing(100_000, "Шапка", "3", sku="h-1"),))

    plan = await life.load(plan)
    assert (refund.total, plan.total, plan.refunded) == (700_056, 700_056, 300_000)
    assert [(part.amount, part.paid) for part in await life.installments(plan)] == [
        (175_014, 175_014), (175_014, 175_014), (175_014, 0), (175_014, 0)
    ]  # fmt: skip
    assert (plan.outstanding, plan.overpaid, plan.items) == (350_028, 150_000, (COAT,))
    assert plan.status is PlanStatus.COMPLETED

    assert await life.bank_gives_back(plan) == [150_000]
    plan = await life.load(plan)
    assert (plan.overpaid, plan.outstanding) == (0, 350_028)
    assert [movement.kind for movement in await life.movements(plan)][-2:] == [
        MovementKind.MERCHANT_REFUND, MovementKind.CREDIT_REFUND
    ]  # fmt: skip
    assert await life.balance("liability:plan_overpayment") == 0
    assert await life.balance("liability:plan_refund_payable") == 0
    assert (await life.events(plan))[-1] == "plan.credit_refunded"
    assert {"plan.goods_refunded", "plan.credit_refunded"} <= set(leaves(database))
    await is_clear(life)


async def test_a_full_refund_ends_the_plan_and_gives_back_all_that_was_paid(life: LifeWorld) -> None:
    plan = await two_paid(life)

    refund = await life.refund(plan, PRICE)

    plan = await life.load(plan)
    assert (refund.total, plan.status, plan.outstanding) == (0, PlanStatus.REFUNDED, 0)
    assert sorted(await life.bank_gives_back(plan)) == [250_014, 250_014]  # to the card payments it came by
    assert (await life.load(plan)).overpaid == 0
    await is_clear(life)
    with pytest.raises(RefundAboveRest):
        await life.refund(plan, 1, "r2")


async def test_a_full_refund_before_the_capture_is_known_gives_back_what_is_captured_later(life: LifeWorld) -> None:
    plan = await life.commit(await life.held())
    await life.refund(plan, PRICE)
    plan = await life.carry_on(plan)
    assert (plan.status, plan.outstanding, plan.overpaid) == (PlanStatus.REFUNDED, 0, 0)

    await life.bank_says(plan, ChargeNews.CAPTURED)
    await life.carry_on(plan)

    assert await life.bank_gives_back(plan) == [250_014]
    assert (await life.load(plan)).overpaid == 0
    await is_clear(life)


async def test_the_same_refund_id_is_one_refund_and_another_body_is_refused(life: LifeWorld) -> None:
    plan = await two_paid(life)
    hat = thing(100_000, "Шапка", sku="h-1")
    first = await life.refund(plan, 100_000, items=(hat,))

    assert await life.refund(plan, 100_000, items=(hat,)) == first
    for amount, items in ((100_001, ()), (100_000, ()), (100_000, (thing(100_000, "Шапка", sku=None),))):
        with pytest.raises(RefundDiffers):
            await life.refund(plan, amount, items=items)

    assert (await life.load(plan)).refunded == 100_000
    assert (await life.refund(plan, 100_000, "r2", (hat,))).total == PRICE - 200_000


async def test_refunds_at_once_never_give_back_more_than_there_is(life: LifeWorld) -> None:
    plan = await two_paid(life)

    done = await asyncio.gather(
        *(life.refund(plan, 600_000, f"r{number}") for number in range(4)), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in done) == ["PlanRefund"] + ["RefundAboveRest"] * 3
    assert (await life.load(plan)).refunded == 600_000


REFUSALS: list[Any] = [
    pytest.param(PRICE + 1, (), RefundAboveRest, id="a kopeck above the price"),
    pytest.param(0, (), RefundAmountNotPositive, id="nothing"),
    pytest.param(-1, (), RefundAmountNotPositive, id="less than nothing"),
    pytest.param(100_001, (thing(100_000, "Шапка"),), RefundItemsMismatch, id="goods that do not add up"),
    pytest.param(400_000, (thing(100_000, "Шапка", "4", "h-1"),), RefundItemsMismatch, id="more than was bought"),
    pytest.param(100_000, (thing(100_000, "Шарф"),), RefundItemsMismatch, id="goods that were not bought"),
    pytest.param(90_000, (thing(90_000, "Шапка", "1", "h-1"),), RefundItemsMismatch, id="at another price"),
]


@pytest.mark.parametrize(("amount", "items", "refusal"), REFUSALS)
async def test_a_refund_is_refused(
    life: LifeWorld, amount: int, items: tuple[Any, ...], refusal: type[InstallmentsRejected]
) -> None:
    plan = await two_paid(life)

    with pytest.raises(refusal):
        await life.refund(plan, amount, items=items)

    assert await life.load(plan) == plan
    assert await life.sql("SELECT FROM plan_refunds") == []


async def test_only_a_committed_plan_is_refunded(life: LifeWorld) -> None:
    held, gone = await life.held(), await life.cancel(await life.held())
    with pytest.raises(PlanNotCommitted):
        await life.refund(held, 100)
    with pytest.raises(PlanCanceled):
        await life.refund(gone, 100)


async def test_what_was_prepaid_is_counted_apart(life: LifeWorld) -> None:
    plan = await life.committed(prepaid=50_000, items=(thing(PRICE + 50_000),))
    with pytest.raises(RefundAboveRest):
        await life.refund(plan, 0, prepaid=50_001)
    await life.refund(plan, 0, prepaid=20_000)

    refund = await life.refund(plan, 30_000, "r2", prepaid=30_000)

    assert (refund.total, (await life.load(plan)).refunded) == (PRICE - 30_000, 30_000)
    with pytest.raises(RefundAboveRest):
        await life.refund(plan, 100, "r3", prepaid=1)


async def test_a_correction_is_a_refund_of_the_difference(life: LifeWorld) -> None:
    plan = await two_paid(life)

    done = await life.correct(plan, 700_056, (COAT,))

    plan = await life.load(plan)
    assert (done.amount, done.total, plan.items, plan.total) == (300_000, 700_056, (COAT,), 700_056)
    assert await life.correct(plan, 700_056, (COAT,)) == done
    with pytest.raises(RefundDiffers):
        await life.correct(plan, 600_056, (thing(600_056),))
    with pytest.raises(CorrectionAboveTotal):
        await life.correct(plan, 700_057, (thing(700_057),), "c2")
    with pytest.raises(BasketMismatch):
        await life.correct(plan, 600_056, (COAT,), "c2")
    assert (await life.correct(plan, 0, (), "c3")).total == 0
    assert (await life.load(plan)).status is PlanStatus.REFUNDED


async def test_a_delivery_of_all_changes_no_debt_and_of_less_is_a_correction(life: LifeWorld) -> None:
    plan = await two_paid(life)

    assert (await life.deliver(plan)).outstanding == plan.outstanding
    assert (await life.deliver(plan, PRICE, (COAT, HATS))).refunded == 0
    assert await life.sql("SELECT FROM plan_refunds") == []

    less = await life.deliver(plan, 700_056, (COAT,))
    assert (less.total, less.items) == (700_056, (COAT,))
    assert [row[0] for row in await life.sql("SELECT kind FROM plan_refunds")] == ["delivery"]
    assert (await life.events(plan)).count("plan.delivered") == 3


async def test_a_refused_card_refund_tries_the_other_payment_and_then_tells_a_person(life: LifeWorld) -> None:
    plan = await two_paid(life)
    await life.refund(plan, 300_000)

    assert await life.bank_gives_back(plan, CardRefundStatus.REFUSED) == [150_000]
    assert await life.bank_gives_back(plan, CardRefundStatus.REFUSED) == [150_000]
    assert await life.bank_gives_back(plan) == []

    assert await life.balance("liability:plan_refund_payable") == 150_000
    assert (await life.events(plan))[-1] == "plan.credit_refund_refused"
    assert (await life.load(plan)).overpaid == 0
    await is_clear(life)


async def by_hand(life: LifeWorld) -> list[tuple[str, int, int]]:
    async with transaction(life.engine) as session:
        return [(one.plan_id, int(one.amount), int(one.refused)) for one in await list_overpaid(session)]


async def send_back(life: LifeWorld, plan: Plan, amount: int, reference: str) -> Plan:
    back = BankReturn(plan.id, Kopecks(amount), reference)
    return await in_transaction(life.engine, lambda session: record_bank_return(session, back, BY, now=life.now))


async def refused_by_every_card(life: LifeWorld) -> Plan:
    """1 500.00 of a plan of two paid installments, which neither payment's card takes."""
    plan = await two_paid(life)
    await life.refund(plan, 300_000)
    for _ in range(2):
        assert await by_hand(life) == []
        await life.bank_gives_back(plan, CardRefundStatus.REFUSED)
    return plan


async def test_what_every_card_refused_is_listed_until_a_person_has_sent_it_back(life: LifeWorld) -> None:
    other, plan = await two_paid(life), await refused_by_every_card(life)
    assert await by_hand(life) == [(plan.id, 150_000, 150_000)]
    at_bank = await life.balance(chart.OPERATOR_BANK)

    for _ in range(2):
        await send_back(life, plan, 100_000, "out-1")
    assert await by_hand(life) == [(plan.id, 50_000, 50_000)]
    for whose, amount, reference, refusal in (
        (plan, 99_999, "out-1", MovementDiffers),
        (other, 100_000, "out-1", MovementDiffers),
        (plan, 50_001, "out-2", ReturnAboveOverpaid),
        (other, 1, "out-3", ReturnAboveOverpaid),
    ):
        with pytest.raises(refusal):
            await send_back(life, whose, amount, reference)
    await send_back(life, plan, 50_000, "out-2")

    assert await by_hand(life) == []
    assert await life.balance(chart.OPERATOR_BANK) == at_bank - 150_000
    assert await life.balance(chart.PLAN_REFUND_PAYABLE) == 0
    assert (await life.events(plan)).count("plan.credit_returned") == 2


async def test_one_transfer_returns_what_cards_refused_and_what_came_by_bank(life: LifeWorld) -> None:
    plan = await refused_by_every_card(life)
    life.pass_by(minutes=1)
    debt = int((await life.load(plan)).outstanding)
    paid = BankPayment(plan.id, Kopecks(debt + 70_000), "in-1")
    await in_transaction(life.engine, lambda session: record_bank_payment(session, paid, BY, now=life.now))
    assert (await life.load(plan)).overpaid == 70_000

    left = await send_back(life, plan, 200_000, "out-1")

    assert left.overpaid == 20_000
    assert await life.balance(chart.PLAN_REFUND_PAYABLE) == 0
    async with transaction(life.engine) as session:
        assert chart.PLAN_REFUND_PAYABLE not in [one.account for one in await sub_ledger.check(session)]


async def test_two_people_who_write_one_transfer_down_at_once_book_it_once(life: LifeWorld) -> None:
    plan = await refused_by_every_card(life)

    await asyncio.gather(*(send_back(life, plan, 60_000, "out-1") for _ in range(2)))

    assert await by_hand(life) == [(plan.id, 90_000, 90_000)]
