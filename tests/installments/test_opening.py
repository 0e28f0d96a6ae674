"""Opening plans: each refusal, borders of the law, and the same order twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from installments import repository as rows
from installments.errors import (
    BasketMalformed,
    BasketMismatch,
    InstallmentsRejected,
    LicenceNotActive,
    MerchantTermsMissing,
    NotConsumer,
    OrderNumberMalformed,
    OrderNumberTaken,
    PenaltyAboveLaw,
    PriceDiffers,
    PriceOutOfRange,
    PriceTooSmall,
    ProductNotEffective,
    TermAboveLaw,
)
from installments.plan import Item, PlanStatus, Standing
from installments.products import MerchantTerms, Product, Step
from installments.repository import Licence
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from tests.conftest import Database
from tests.installments.life_world import PRICE, PRODUCT, LifeWorld, leaves, life_world, thing


@pytest_asyncio.fixture
async def life(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def product(life: LifeWorld, code: str, **terms: Any) -> Product:
    """A product like the first one, with other terms; the merchant sells by it."""
    async with transaction(life.engine) as session:
        first = await rows.load_product(session, PRODUCT, 1)
        made = replace(first, code=code, **terms)
        await rows.add_product(session, made)
        await rows.add_merchant_terms(session, MerchantTerms(life.merchant_id, code, date(2020, 1, 1), 500, None, None))
    life.product_code = code
    return made


async def test_an_opened_plan_waits_for_its_buyer_and_owes_nothing(life: LifeWorld, database: Database) -> None:
    plan = await life.opened(prepaid=50_000)

    assert (plan.status, plan.standing, plan.outstanding) == (PlanStatus.NEW, Standing.NONE, 0)
    assert (plan.total, plan.prepaid, plan.expires_at) == (PRICE, 50_000, life.now + timedelta(hours=6))
    assert len(plan.link_code) > 26
    assert await life.load(plan) == plan
    assert await life.events(plan) == ["plan.opened"]
    assert "plan.opened" in leaves(database)


REFUSALS: list[Any] = [
    pytest.param({"merchant_id": "mer_" + "0" * 26}, MerchantTermsMissing, id="a merchant without terms"),
    pytest.param({"product_code": "other"}, MerchantTermsMissing, id="a product the merchant has no terms for"),
    pytest.param({"full_payment_price": Kopecks(PRICE - 1)}, PriceDiffers, id="a kopeck dearer than paid at once"),
    pytest.param({"is_consumer": False}, NotConsumer, id="a purchase of business"),
    pytest.param({"price": Kopecks(99)}, PriceOutOfRange, id="below the product's least price"),
    pytest.param({"price": Kopecks(15_000_001)}, PriceOutOfRange, id="above the product's greatest price"),
    pytest.param({"items": ()}, BasketMalformed, id="an empty basket"),
    pytest.param({"items": (thing(1, name=""),)}, BasketMalformed, id="a line without a name"),
    pytest.param({"items": (thing(PRICE, quantity="0"),)}, BasketMalformed, id="none of it"),
    pytest.param({"items": (thing(PRICE, quantity="-1"),)}, BasketMalformed, id="less than none of it"),
    pytest.param({"items": (thing(PRICE, quantity="NaN"),)}, BasketMalformed, id="a quantity that is no number"),
    pytest.param({"items": (thing(PRICE, quantity="1e2"), thing(1))}, BasketMismatch, id="a hundred of it"),
    pytest.param({"items": (thing(-PRICE),)}, BasketMalformed, id="a price below zero"),
    pytest.param({"items": (thing(1),) * 501}, BasketMalformed, id="too many lines"),
    pytest.param({"items": (thing(PRICE - 1),)}, BasketMismatch, id="a basket a kopeck short"),
    pytest.param({"prepaid": Kopecks(1)}, BasketMismatch, id="prepaid that is in no line"),
    pytest.param({"order_number": ""}, OrderNumberMalformed, id="no order number"),
    pytest.param({"order_number": "a" * 45}, OrderNumberMalformed, id="an order number too long"),
    pytest.param({"order_number": " a"}, OrderNumberMalformed, id="a space before the order number"),
    pytest.param({"order_number": "заказ"}, OrderNumberMalformed, id="an order number in Russian"),
]


@pytest.mark.parametrize(("change", "refusal"), REFUSALS)
async def test_an_order_is_refused(
    life: LifeWorld, change: dict[str, Any], refusal: type[InstallmentsRejected]
) -> None:
    request = replace(life.request(), **change)

    with pytest.raises(refusal):
        await life.open(request)

    assert await life.sql("SELECT FROM installment_plans") == []


async def test_no_plan_is_made_without_an_active_entry_in_the_register(life: LifeWorld) -> None:
    async with transaction(life.engine) as session:
        await rows.add_licence(session, Licence(date(2026, 11, 22), "X-1", False, Kopecks(0)))
        await rows.add_licence(session, Licence(date(2026, 11, 24), "X-1", True, Kopecks(0)))

    with pytest.raises(LicenceNotActive):
        await life.opened()
    life.now = datetime(2026, 11, 23, 20, 59, 59, tzinfo=UTC)
    with pytest.raises(LicenceNotActive):
        await life.opened()
    life.pass_by(seconds=1)  # midnight in Moscow
    assert (await life.opened()).status is PlanStatus.NEW


async def test_plans_are_made_by_the_version_of_their_day(life: LifeWorld) -> None:
    first = await life.opened()
    await product(life, "later", effective_on=date(2026, 12, 1))
    with pytest.raises(ProductNotEffective):
        await life.opened()
    life.now = datetime(2026, 12, 1, 9, tzinfo=UTC)

    assert (await life.opened()).product_code == "later"
    assert (await life.load(first)).product_version == 1


async def test_merchants_may_narrow_the_limits_and_never_widen_them(life: LifeWorld) -> None:
    async with transaction(life.engine) as session:
        terms = MerchantTerms(life.merchant_id, PRODUCT, date(2026, 11, 22), 690, Kopecks(200_000), Kopecks(90_000_000))
        await rows.add_merchant_terms(session, terms)

    with pytest.raises(PriceOutOfRange) as refused:
        await life.opened(199_999)

    assert refused.value.facts == {
        "price_kopecks": 199_999, "price_min_kopecks": 200_000, "price_max_kopecks": 15_000_000
    }  # fmt: skip
    assert (await life.opened(200_000)).price == 200_000
    with pytest.raises(PriceOutOfRange):
        await life.opened(15_000_001)


async def test_the_term_of_the_law_ends_on_its_last_day(life: LifeWorld) -> None:
    """Six months from the contract; 22 November and 22 May are 181 days apart."""
    await product(life, "half_year", installments=2, step=Step.DAYS, every=92)
    assert (await life.opened()).product_code == "half_year"
    await product(life, "six_months", installments=7, step=Step.MONTHS, every=1)
    assert (await life.opened()).product_code == "six_months"
    await product(life, "seven_months", installments=8, step=Step.MONTHS, every=1)
    with pytest.raises(TermAboveLaw):
        await life.opened()


async def test_the_shorter_term_of_2028_is_for_contracts_from_its_day_on(life: LifeWorld) -> None:
    await product(life, "six_months", installments=7, step=Step.MONTHS, every=1)
    life.now = datetime(2028, 3, 31, 20, 59, 59, tzinfo=UTC)
    assert (await life.opened()).product_code == "six_months"
    life.pass_by(seconds=1)  # 1 April in Moscow
    with pytest.raises(TermAboveLaw):
        await life.opened()


async def test_a_price_that_cannot_be_cut_is_refused(life: LifeWorld) -> None:
    await product(life, "many", installments=12, every=14, price_min=Kopecks(1), first_share_basis_points=833)

    with pytest.raises(PriceTooSmall):
        await life.opened(11)


async def test_a_product_above_the_cap_of_penalty_makes_no_plan(life: LifeWorld, database: Database) -> None:
    made = await product(life, "dear", penalty_basis_points=2_000)
    assert (await life.opened()).product_code == made.code
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:  # as before a change of the law
        connection.execute("ALTER TABLE installment_products DROP CONSTRAINT installment_products_penalty_in_range")
    await product(life, "dearer", penalty_basis_points=2_001)

    with pytest.raises(PenaltyAboveLaw):
        await life.opened()


async def test_the_same_order_again_is_the_same_plan_and_another_body_is_refused(life: LifeWorld) -> None:
    request = life.request()
    first = await life.open(request)

    assert await life.open(request) == first
    written = replace(request, items=(replace(request.items[0], quantity="1.000"),))
    assert await life.open(written) == first
    for change in (
        {"price": Kopecks(PRICE - 100), "items": (thing(PRICE - 100),)},
        {"items": (thing(PRICE, name="Шуба"),)},
        {"prepaid": Kopecks(100), "items": (thing(PRICE + 100),)},
    ):
        with pytest.raises(OrderNumberTaken):
            await life.open(replace(request, **change))
    assert await life.events(first) == ["plan.opened"]


async def test_two_requests_for_one_order_at_once_make_one_plan(life: LifeWorld) -> None:
    request = life.request()

    made = await asyncio.gather(*(life.open(request) for _ in range(4)))

    assert len({plan.id for plan in made}) == 1
    assert len(await life.sql("SELECT FROM installment_plans")) == 1


async def test_goods_by_measure_may_be_rounded_either_way(life: LifeWorld) -> None:
    """1.125 × 333.33 is 374.996 25: shops write 374.99 or 375.00."""
    items = (Item("Сыр", "1.125", Kopecks(33_333)), thing(100_000))
    for price in (137_499, 137_500, 137_501):
        assert (await life.opened(price, items=items)).price == price
    with pytest.raises(BasketMismatch):
        await life.opened(137_502, items=items)
