"""A quote says dates, amounts and what stands against it, keeps nothing, and mostly asks the database nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from installments import repository as rows
from installments.buyer_errors import BuyerNotFound
from installments.errors import MerchantTermsMissing
from installments.products import MerchantTerms
from installments.quoting import OfferMemory, load_offer, quote, quote_offer
from installments.repository import Licence
from ledger.database import Engine, text, transaction
from ledger.money import Kopecks
from tests.installments.buyer_world import MERCHANT, NOW, TODAY, BuyerWorld, over, owed


@pytest_asyncio.fixture
async def world(engine: Engine) -> BuyerWorld:
    """A merchant that sells by installments up to 120,000 roubles, and our licence."""
    world = await BuyerWorld(engine).begin()
    async with transaction(engine) as session:
        terms = MerchantTerms(MERCHANT, "dolyame", date(2026, 1, 1), 690, Kopecks(1_000_00), Kopecks(120_000_00))
        await rows.add_merchant_terms(session, terms)
        await rows.add_licence(session, Licence(date(2026, 4, 1), "R-1", True, Kopecks(500_000_000)))
    return world


async def quoted(world: BuyerWorld, price: int, **more: Any) -> Any:
    async with transaction(world.engine) as session:
        return await quote(session, MERCHANT, "dolyame", Kopecks(price), **{"now": NOW, **more})


async def test_a_quote_is_the_plan_as_it_would_be(world: BuyerWorld) -> None:
    found = await quoted(world, 10_000_57)

    assert [(part.due_on.isoformat(), int(part.amount)) for part in found.schedule] == [
        ("2026-11-22", 2_500_15), ("2026-12-06", 2_500_14), ("2026-12-20", 2_500_14), ("2027-01-03", 2_500_14),
    ]  # fmt: skip
    assert (found.is_eligible, found.reasons, found.needs_bureau, found.limit_use) == (True, (), False, None)
    assert (found.price_min, found.price_max, found.last_day_allowed) == (1_000_00, 120_000_00, date(2027, 5, 22))


@pytest.mark.parametrize(
    ("price", "reasons"),
    [
        pytest.param(999_99, ("installments.price_out_of_range",), id="a kopeck below the merchant's least"),
        pytest.param(1_000_00, (), id="the merchant's least"),
        pytest.param(120_000_00, (), id="the merchant's most"),
        pytest.param(120_000_01, ("installments.price_out_of_range",), id="a kopeck above the merchant's most"),
    ],
)
async def test_a_price_out_of_range_is_a_reason(world: BuyerWorld, price: int, reasons: tuple[str, ...]) -> None:
    assert (await quoted(world, price)).reasons == reasons


async def test_without_a_licence_the_quote_says_so_from_the_day_of_the_law(world: BuyerWorld) -> None:
    async with transaction(world.engine) as session:
        await rows.add_licence(session, Licence(TODAY, "R-1", False, Kopecks(0)))

    assert (await quoted(world, 5_000_00)).reasons == ("installments.licence_not_active",)
    assert (await quoted(world, 5_000_00, now=datetime(2026, 3, 31, 9, tzinfo=UTC))).reasons == ()


async def test_what_stands_against_a_buyer_is_told_with_the_limit(world: BuyerWorld) -> None:
    buyer = await world.buyer(limit=30_000_00)
    await world.plan(**owed(buyer, 10_000_00, due_on=TODAY - timedelta(days=3)))

    found = await quoted(world, 20_000_01, buyer_id=buyer.id)

    assert found.reasons == ("installments.arrears_recent", "installments.limit_exceeded")
    assert (found.limit_use.used, found.limit_use.free) == (10_000_00, 20_000_00)


async def test_a_buyers_debt_counts_towards_the_bureau(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    await world.plan(**over(buyer))
    await world.plan(50_000_00, **owed(buyer, 49_000_00))

    assert (await quoted(world, 1_000_00, buyer_id=buyer.id)).needs_bureau is False
    above = await quoted(world, 1_000_01, buyer_id=buyer.id)
    assert (above.needs_bureau, above.reasons) == (True, ("installments.bureau_report_required",))


async def test_what_is_not_known_of_a_buyer_is_not_held_against_them(world: BuyerWorld) -> None:
    buyer = await world.buyer(born_on=None, is_verified=False)

    assert (await quoted(world, 5_000_00, buyer_id=buyer.id)).is_eligible


async def test_a_minor_is_told_before_filling_in_the_form(world: BuyerWorld) -> None:
    buyer = await world.buyer(born_on=date(2008, 11, 23))

    assert (await quoted(world, 5_000_00, buyer_id=buyer.id)).reasons == ("installments.under_age",)


async def test_a_product_without_terms_is_refused(world: BuyerWorld) -> None:
    async with transaction(world.engine) as session:
        with pytest.raises(MerchantTermsMissing):
            await quote(session, MERCHANT, "monthly", Kopecks(5_000_00), now=NOW)
        with pytest.raises(BuyerNotFound):
            await quote(session, MERCHANT, "dolyame", Kopecks(5_000_00), buyer_id="byr_" + "0" * 26, now=NOW)


async def test_every_product_that_a_merchant_sells_is_quoted(world: BuyerWorld) -> None:
    async with transaction(world.engine) as session:
        product = await rows.product_on(session, "dolyame", TODAY)
        longer = replace(product, code="monthly", version=1, installments=6, first_share_basis_points=0)
        await rows.add_product(session, longer)
        await rows.add_merchant_terms(session, MerchantTerms(MERCHANT, "monthly", TODAY, 900, None, None))

    async with transaction(world.engine) as session:
        found = quote_offer(await load_offer(session, MERCHANT, now=NOW), Kopecks(6_000_00))

    assert [(each.product.code, len(each.schedule)) for each in found] == [("dolyame", 4), ("monthly", 6)]


async def test_an_offer_is_forgotten_after_its_time_at_midnight_and_when_the_clock_goes_back(world: BuyerWorld) -> None:
    memory, late = OfferMemory(timedelta(seconds=15)), datetime(2026, 11, 22, 20, 59, 55, tzinfo=UTC)
    async with transaction(world.engine) as session:
        offer = await load_offer(session, MERCHANT, now=late)
    memory.keep(offer, late)

    assert memory.find(MERCHANT, late + timedelta(seconds=4)) == offer
    assert memory.find(MERCHANT, late + timedelta(seconds=5)) is None
    assert memory.find(MERCHANT, late - timedelta(seconds=1)) is None
    memory.keep(offer, NOW)
    assert memory.find(MERCHANT, NOW + timedelta(seconds=15)) is None


async def test_a_quote_keeps_nothing(world: BuyerWorld) -> None:
    buyer = await world.buyer()
    async with transaction(world.engine) as session:
        before = await everything(session)
    await quoted(world, 5_000_00, buyer_id=buyer.id)
    async with transaction(world.engine) as session:
        assert await everything(session) == before


async def everything(session: Any) -> Any:
    counted = text("""SELECT (SELECT count(*) FROM plan_decisions), (SELECT count(*) FROM events),
                             (SELECT count(*) FROM buyer_codes), (SELECT buyers::text FROM buyers)""")
    return (await session.execute(counted)).one()
