"""Quotes (предварительный расчёт): what a purchase in parts would be, and why it would not."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.door import Call, door_router, needs
from api.routes.installment_products import PRICE_KOPECKS_MAX
from api.vault_calls import whose
from api.wire import Day, View
from checkout.repository import load_merchant
from installments import buyer_rows
from installments.buyer_errors import BuyerNotFound
from installments.buyer_rows import BuyerStanding
from installments.quoting import Offer, Quote, load_offer, quote_offer
from installments.schedule import Installment
from ledger.clock import moscow_day
from ledger.database import transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/quotes", "installments")


class QuotedInstallmentView(View):
    """One part, if the buyer agreed today."""

    number: int
    due_on: Day
    amount_kopecks: int

    @classmethod
    def of(cls, part: Installment) -> QuotedInstallmentView:
        """The part as it is shown."""
        return cls(number=part.number, due_on=part.due_on, amount_kopecks=int(part.amount))


class LimitUseView(View):
    """How much of a buyer's limit is used."""

    limit_kopecks: int
    used_kopecks: int
    free_kopecks: int


class QuoteView(View):
    """One product at one price. Nothing is kept and nobody is held."""

    merchant_id: str
    product_code: str
    product_version: int
    name: str
    price_kopecks: int
    price_min_kopecks: int
    price_max_kopecks: int
    is_eligible: bool
    reasons: list[str]
    """Codes of refusals; the first is the one to tell."""
    schedule: list[QuotedInstallmentView]
    fee_to_buyer_kopecks: int = 0
    """Always nothing, by law."""
    penalty_basis_points: int
    last_day_allowed: Day | None
    """By the law, of the last installment."""
    needs_bureau: bool
    limit_use: LimitUseView | None
    """Of the buyer that was named."""

    @classmethod
    def of(cls, merchant_id: str, quote: Quote) -> QuoteView:
        """The quote as it is shown."""
        use = quote.limit_use
        return cls(
            merchant_id=merchant_id, product_code=quote.product.code, product_version=quote.product.version,
            name=quote.product.name, price_kopecks=int(quote.price), price_min_kopecks=int(quote.price_min),
            price_max_kopecks=int(quote.price_max), is_eligible=quote.is_eligible, reasons=list(quote.reasons),
            schedule=[QuotedInstallmentView.of(part) for part in quote.schedule],
            penalty_basis_points=quote.product.penalty_basis_points, last_day_allowed=quote.last_day_allowed,
            needs_bureau=quote.needs_bureau,
            limit_use=None if use is None else LimitUseView(
                limit_kopecks=int(use.limit), used_kopecks=int(use.used), free_kopecks=int(use.free)
            ),
        )  # fmt: skip


@router.get("")
async def list_installment_quotes(
    call: Annotated[Call, needs("installments:read")],
    price_kopecks: Annotated[int, Query(ge=1, le=PRICE_KOPECKS_MAX, examples=[1_000_056])],
    merchant_id: str | None = None,
    product_code: str | None = None,
    buyer_id: str | None = None,
) -> list[QuoteView]:
    """A quote of each product of a merchant, or of one. With a buyer, what is known of them counts too: the house's
    own keys may name one, merchants' may not."""
    merchant = whose(call, merchant_id)
    if buyer_id is not None and call.caller.merchant_id is not None:
        raise BuyerNotFound(buyer_id=buyer_id)
    offer, standing = await _remembered(call, merchant, buyer_id)
    quotes = quote_offer(offer, Kopecks(price_kopecks), product_code=product_code, standing=standing)
    return [QuoteView.of(merchant, quote) for quote in quotes]


async def _remembered(call: Call, merchant_id: str, buyer_id: str | None) -> tuple[Offer, BuyerStanding | None]:
    """What the merchant offers, asked for once in some seconds, and how the buyer stands, asked for each time."""
    offer, standing = call.door.offers.find(merchant_id, call.now), None
    if offer is None or buyer_id is not None:
        async with transaction(call.engine) as session:
            if offer is None:
                await load_merchant(session, merchant_id)
                offer = await load_offer(session, merchant_id, now=call.now)
                call.door.offers.keep(offer, call.now)
            if buyer_id is not None:
                standing = await buyer_rows.load_standing(session, buyer_id, on=moscow_day(call.now))
    return offer, standing
