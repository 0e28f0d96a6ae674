"""Receipts by 54-FZ: the table of profiles, one intent for a cause, and what a till says of it."""

from __future__ import annotations

from typing import Any

import pytest

from installments import receipts
from installments.errors import ReceiptDiffers, ReceiptNotFetched, ReceiptNotFound
from installments.movements import MovementKind
from installments.receipts import (
    ReceiptIntent,
    ReceiptMethod,
    ReceiptProfile,
    ReceiptSigns,
    sums_of_commit,
    sums_of_hand_over,
    tags_of,
)
from ledger.clock import moscow_day
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from tests.installments.life_world import LifeWorld, life_world

MERCHANT, OPERATOR, SELLER = ReceiptProfile
PRICE, FIRST, ZERO = Kopecks(400_000), Kopecks(100_000), Kopecks(0)
SIGNS = ReceiptSigns("9999078900001234", "17", "3456789012")


@pytest.fixture
async def world(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def agree(world: LifeWorld, profile: ReceiptProfile) -> None:
    async with transaction(world.engine) as session:
        await receipts.agree_profile(session, world.merchant_id, profile, moscow_day(world.now))


async def fetched(world: LifeWorld) -> list[ReceiptIntent]:
    async with transaction(world.engine) as session:
        return await receipts.fetch_receipts(session, world.merchant_id, now=world.now)


def told(intents: list[ReceiptIntent]) -> list[tuple[str, int, int, int, int]]:
    """Stage, tag 1214, paid (1081), offset (1215), credit (1216)."""
    return [(one.stage.value, int(one.sums.method), one.sums.paid, one.sums.offset, one.sums.credit) for one in intents]


@pytest.mark.parametrize(
    ("profile", "prepaid", "method", "sums"),
    [
        (MERCHANT, 0, 1, (400_000, 0, 0)),
        (MERCHANT, 5_000, 1, (400_000, 5_000, 0)),
        (OPERATOR, 0, 1, (400_000, 0, 0)),
        (SELLER, 0, 2, (100_000, 0, 0)),
    ],
)
def test_what_is_paid_before_the_hand_over(
    profile: ReceiptProfile, prepaid: int, method: int, sums: tuple[int, int, int]
) -> None:
    found = sums_of_commit(profile, PRICE, Kopecks(prepaid), FIRST)

    assert (found.method, (found.paid, found.offset, found.credit)) == (ReceiptMethod(method), sums)


@pytest.mark.parametrize(
    ("profile", "first", "is_paid_now", "method", "sums"),
    [
        (MERCHANT, 100_000, False, 4, (0, 400_000, 0)),
        (MERCHANT, 100_000, True, 4, (400_000, 0, 0)),
        (OPERATOR, 100_000, False, 4, (0, 400_000, 0)),
        (SELLER, 100_000, False, 5, (0, 100_000, 300_000)),
        (SELLER, 100_000, True, 5, (100_000, 0, 300_000)),
        (SELLER, 0, False, 6, (0, 0, 400_000)),
    ],
)
def test_what_is_settled_with_the_goods(
    profile: ReceiptProfile, first: int, is_paid_now: bool, method: int, sums: tuple[int, int, int]
) -> None:
    found = sums_of_hand_over(profile, PRICE, ZERO, Kopecks(first), is_paid_now=is_paid_now)

    assert (found.method, (found.paid, found.offset, found.credit)) == (ReceiptMethod(method), sums)
    assert found.total == PRICE


async def test_by_default_the_merchant_prints_two_receipts_and_one_for_each_return(world: LifeWorld) -> None:
    plan = await world.committed()
    await world.deliver(plan)
    await world.deliver(plan)
    await world.refund(plan, 100_000)
    await world.refund(plan, 100_000)
    await world.pay(plan, 100)

    intents = await fetched(world)

    assert told(intents) == [
        ("prepayment", 1, 1_000_056, 0, 0), ("hand_over", 4, 0, 1_000_056, 0), ("refund", 4, 100_000, 0, 0),
    ]  # fmt: skip
    assert [tags_of(one)["1054"] for one in intents] == [1, 1, 2]
    assert tags_of(intents[0])["1020"] == 1_000_056
    assert intents[0].items[0]["name"] == "Пальто"


async def test_a_seller_that_waits_for_the_money_prints_one_for_each_later_installment(world: LifeWorld) -> None:
    await agree(world, SELLER)
    plan = await world.committed()
    await world.deliver(plan)
    await world.pay(plan, 250_014)
    await world.pay(plan, 500_028, MovementKind.EARLY_PAYMENT)

    assert told(await fetched(world)) == [
        ("prepayment", 2, 250_014, 0, 0), ("hand_over", 5, 0, 250_014, 750_042), ("installment", 7, 250_014, 0, 0),
        ("installment", 7, 500_028, 0, 0),
    ]  # fmt: skip


async def test_what_the_operator_prints_on_behalf_is_not_the_merchant_s(world: LifeWorld) -> None:
    await agree(world, OPERATOR)
    await world.committed()

    assert await fetched(world) == []
    async with transaction(world.engine) as session:
        assert told(await receipts.fetch_of_operator(session, now=world.now)) == [("prepayment", 1, 1_000_056, 0, 0)]


async def test_the_shop_says_of_one_order_who_prints_and_the_last_word_counts(world: LifeWorld) -> None:
    plan = await world.held()
    async with transaction(world.engine) as session:
        await receipts.choose_profile(session, plan.id, OPERATOR, now=world.now)
    await world.commit(plan)
    assert await fetched(world) == []
    world.pass_by(days=1)
    async with transaction(world.engine) as session:
        assert told(await receipts.fetch_of_operator(session, now=world.now)) == [("prepayment", 1, 1_000_056, 0, 0)]
        await receipts.choose_profile(session, plan.id, MERCHANT, now=world.now)

    await world.deliver(plan)

    assert told(await fetched(world)) == [("hand_over", 4, 0, 1_000_056, 0)]


async def test_a_plan_keeps_the_profile_of_its_contract_s_day(world: LifeWorld) -> None:
    plan = await world.committed()
    world.pass_by(days=1)
    await agree(world, SELLER)

    await world.deliver(plan)

    assert [one.profile for one in await fetched(world)] == [MERCHANT, MERCHANT]


async def issue(world: LifeWorld, receipt_id: str, signs: ReceiptSigns = SIGNS, **whose: Any) -> None:
    merchant_id = whose.get("merchant_id", world.merchant_id)
    async with transaction(world.engine) as session:
        await receipts.receipt_issued(session, receipt_id, signs, merchant_id=merchant_id, now=world.now)


async def test_a_receipt_is_given_until_the_till_says_what_it_printed_and_then_never_again(world: LifeWorld) -> None:
    await world.committed()
    (one,) = await fetched(world)
    assert [again.id for again in await fetched(world)] == [one.id]

    await issue(world, one.id)
    await issue(world, one.id)

    assert await fetched(world) == []
    with pytest.raises(ReceiptDiffers):
        await issue(world, one.id, ReceiptSigns("9999078900001234", "18", "1"))
    assert await world.sql("SELECT state, fiscal_document FROM receipt_intents") == [("issued", "17")]


async def test_a_refused_receipt_may_be_printed_later(world: LifeWorld) -> None:
    await world.committed()
    (one,) = await fetched(world)
    async with transaction(world.engine) as session:
        await receipts.receipt_refused(session, one.id, "no paper", merchant_id=world.merchant_id, now=world.now)
    assert await fetched(world) == []

    await issue(world, one.id)

    assert await world.sql("SELECT state, refusal FROM receipt_intents") == [("issued", None)]


async def test_only_what_was_fetched_by_whose_it_is_is_said_to_be_printed(world: LifeWorld) -> None:
    await world.committed()
    ((receipt_id,),) = await world.sql("SELECT id FROM receipt_intents")
    with pytest.raises(ReceiptNotFetched):
        await issue(world, receipt_id)
    await fetched(world)
    with pytest.raises(ReceiptNotFound):
        await issue(world, receipt_id, merchant_id="mer_other")
    with pytest.raises(ReceiptNotFound):
        await issue(world, "rcp_other")
