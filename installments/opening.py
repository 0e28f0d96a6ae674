"""Opening a plan: a merchant registers an order, and its buyer gets a link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from installments import law
from installments import repository as rows
from installments.baskets import are_same, check_basket
from installments.errors import (
    MerchantTermsMissing,
    OrderNumberMalformed,
    OrderNumberTaken,
    PriceOutOfRange,
)
from installments.plan import ORDER_NUMBER_CHARACTERS_MAX, Item, Plan, PlanStatus, Standing
from installments.products import MerchantTerms, Product
from installments.schedule import Installment, build_schedule
from installments.telling import PlanActor, tell
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.ids import new_secret
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a merchant asks for."""

    merchant_id: str
    order_number: str
    product_code: str
    price: Kopecks
    prepaid: Kopecks
    """Paid by points or a certificate beside the price."""
    items: tuple[Item, ...]
    full_payment_price: Kopecks | None = None
    """What the same goods cost when paid at once; none: the same, as the law asks."""
    is_consumer: bool = True


async def open_plan(session: Session, request: PlanRequest, *, plan_id: str, by: PlanActor, now: datetime) -> Plan:
    """Register an order: refusals, then a plan that waits for its buyer. The same order again is the same plan.

    Raises: MerchantTermsMissing, LicenceNotActive, ProductNotEffective, TermAboveLaw, PenaltyAboveLaw, PriceDiffers,
    NotConsumer, PriceOutOfRange, ScheduleRejected, BasketMalformed, BasketMismatch, OrderNumberMalformed,
    OrderNumberTaken. Locks: the order number, until the transaction ends.
    """
    product, _ = await check_offer(session, request, now=now)
    check_basket(request.items, Kopecks(request.price + request.prepaid))
    _check_number(request.order_number)
    await _lock_number(session, request)
    known = await rows.find_plan_by_order(session, request.merchant_id, request.order_number)
    if known is not None:
        return _same(known, request)
    plan = _new_plan(request, product, plan_id, now)
    await rows.add_plan(session, plan)
    await tell(session, plan, "opened", by, now=now)
    return plan


async def check_offer(
    session: Session, request: PlanRequest, *, now: datetime
) -> tuple[Product, tuple[Installment, ...]]:
    """Whether such a plan may be made today, and how it would be paid. The basket is not looked at.

    Raises: as ``open_plan`` up to ScheduleRejected.
    """
    today = moscow_day(now)
    terms = await rows.merchant_terms_on(session, request.merchant_id, request.product_code, today)
    if terms is None:
        raise MerchantTermsMissing(merchant_id=request.merchant_id, product_code=request.product_code)
    licence = await rows.licence_on(session, today)
    law.check_licence(licence is not None and licence.is_active, contract_on=today)
    product = await rows.product_on(session, request.product_code, today)
    full = request.price if request.full_payment_price is None else request.full_payment_price
    law.check_penalty(product.penalty_basis_points, contract_on=today)
    law.check_price(request.price, full, contract_on=today)
    law.check_consumer(request.is_consumer, contract_on=today)
    check_price_range(request.price, product, terms)
    schedule = build_schedule(request.price, product, first_due_on=today)
    law.check_term(today, schedule[-1].due_on)
    return product, schedule


def check_price_range(price: Kopecks, product: Product, terms: MerchantTerms) -> None:
    """Refuse a price outside what product and merchant allow. Raises: PriceOutOfRange."""
    least = max(product.price_min, terms.price_min or product.price_min)
    most = min(product.price_max, terms.price_max or product.price_max)
    if not least <= price <= most:
        raise PriceOutOfRange(price_kopecks=int(price), price_min_kopecks=int(least), price_max_kopecks=int(most))


def _check_number(number: str) -> None:
    is_whole = 1 <= len(number) <= ORDER_NUMBER_CHARACTERS_MAX and number == number.strip()
    if not (is_whole and number.isascii() and number.isprintable()):
        raise OrderNumberMalformed(characters_max=ORDER_NUMBER_CHARACTERS_MAX)


async def _lock_number(session: Session, request: PlanRequest) -> None:
    """Two requests for one order wait for each other, so the second finds the first's plan."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('plan_order:' || :merchant_id || ':' || :number, 0))"),
        {"merchant_id": request.merchant_id, "number": request.order_number},
    )


def _same(known: Plan, request: PlanRequest) -> Plan:
    is_same = (
        (known.product_code, known.price, known.prepaid) == (request.product_code, request.price, request.prepaid)
        and are_same(known.items, request.items)
    )  # fmt: skip
    if not is_same:
        raise OrderNumberTaken(plan_id=known.id, order_number=known.order_number)
    return known


def _new_plan(request: PlanRequest, product: Product, plan_id: str, now: datetime) -> Plan:
    nothing = Kopecks(0)
    return Plan(
        id=plan_id, merchant_id=request.merchant_id, order_number=request.order_number, product_code=product.code,
        product_version=product.version, price=request.price, prepaid=request.prepaid, items=request.items,
        status=PlanStatus.NEW, standing=Standing.NONE, link_code=new_secret(""), buyer_id=None, contract_on=None,
        collector=None, card_token=None, first_payment_id=None, binding_id=None, fee_basis_points=None, fee=nothing,
        refunded=nothing, outstanding=nothing, overpaid=nothing, penalty=nothing, next_due_on=None, is_paused=False,
        reason=None, created_at=now, expires_at=now + product.order_lifetime, committed_at=None, ended_at=None,
        version=1,
    )  # fmt: skip
