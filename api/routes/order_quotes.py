"""Quotes of orders (предварительный расчёт): what a basket would cost by each rail, with code and points."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.order_baskets import BasketBody, TendersBody, TendersView
from api.wire import View
from checkout import tenders, till
from checkout.orders import OrderRequest
from ledger.database import Session

router = door_router("/v1/order-quotes", "orders")


class OrderQuoteBody(TendersBody):
    """A basket at a till, and what the buyer might pay with."""

    terminal_id: Annotated[str, Field(strict=True, max_length=40)]
    basket: BasketBody


class OrderQuoteView(View):
    """What an order would be. Nothing is set aside: a code may be gone and points spent when it is placed."""

    amount_kopecks: int
    """What a rail without an offer would bring."""
    points_max: int
    """How many points may pay for it, whatever the card has."""
    points_earned: int
    """How many it would earn."""
    tenders: TendersView


@router.post("", status_code=200, response_model=OrderQuoteView)
async def quote_order(body: OrderQuoteBody, call: Annotated[Call, needs("orders:write")]) -> Response:
    """Say what an order would cost: it is placed as any other, looked at, and undone. Refusals are an order's own."""

    async def work(session: Session, claim: Claim) -> OrderQuoteView:
        wish = body.wish(None)
        assert wish is not None
        request = OrderRequest(body.terminal_id, claim.resource_id, int(wish.basket.subtotal), None, call.now)
        async with session.begin_nested() as tried:
            placed = await till.place_basket(
                session, claim.resource_id, request, wish, merchant_id=call.caller.merchant_id, now=call.now
            )
            points_max, points_earned = await tenders.points_terms(session, placed.basket, now=call.now)
            await tried.rollback()
        return OrderQuoteView(
            amount_kopecks=int(placed.order.amount), points_max=points_max, points_earned=points_earned,
            tenders=TendersView.of(placed.basket, placed.offers),
        )  # fmt: skip

    return await once(call, work, status=200, prefix="ord")
