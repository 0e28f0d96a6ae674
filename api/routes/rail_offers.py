"""Offers of rails (предложения по способам оплаты): what a merchant takes off when the buyer pays by one rail."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.till_callers import till_actor
from api.wire import Body, Instant, Text, View
from checkout import offers, repository
from checkout.errors import MerchantNotFound
from checkout.offers import BASIS_POINTS_MAX, NOTE_CHARACTERS_MAX, RailOffer
from ledger.database import Session, transaction

router = door_router("/v1/rail-offers", "orders")

CanWrite = Annotated[Call, needs("tills:manage")]
CanRead = Annotated[Call, needs("orders:read")]


class RailOfferBody(Body):
    """An offer to be made."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)]
    rail: Literal["sbp", "card", "koshelek_pay", "dolyame"]
    basis_points: Annotated[StrictInt, Field(ge=0, le=BASIS_POINTS_MAX, examples=[200])]
    """200 are 2 %; 0 ends an earlier offer."""
    note: Annotated[Text, Field(min_length=1, max_length=NOTE_CHARACTERS_MAX, examples=["По СБП дешевле на 2 %"])]
    """What the buyer reads."""
    valid_from: Instant | None = None
    """From now on when not said."""
    valid_until: Instant | None = None


class RailOfferView(View):
    """An offer as it stands."""

    id: str
    merchant_id: str
    rail: str
    basis_points: int
    note: str
    valid_from: Instant
    valid_until: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, offer: RailOffer) -> RailOfferView:
        """The offer as it is shown."""
        return cls(
            id=offer.id, merchant_id=offer.merchant_id, rail=offer.rail, basis_points=offer.basis_points,
            note=offer.note, valid_from=offer.valid_from, valid_until=offer.valid_until, created_at=offer.created_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=RailOfferView)
async def create_rail_offer(body: RailOfferBody, call: CanWrite) -> Response:
    """Make an offer. Orders placed from then on show it; a plan never costs more than the cheapest rail."""

    async def work(session: Session, claim: Claim) -> RailOfferView:
        merchant = await repository.load_merchant(session, body.merchant_id)
        if call.caller.merchant_id not in (None, merchant.id):
            raise MerchantNotFound(merchant_id=merchant.id)
        offer = RailOffer(
            claim.resource_id, merchant.id, body.rail, body.basis_points, body.note, body.valid_from or call.now,
            body.valid_until, call.now,
        )  # fmt: skip
        await offers.add_rule(session, offer, by=till_actor(call), now=call.now)
        return RailOfferView.of(offer)

    return await once(call, work, prefix="rof")


@router.post("/{rail_offer_id}/close", status_code=200, response_model=RailOfferView)
async def close_rail_offer(rail_offer_id: str, call: CanWrite) -> Response:
    """Let an offer count no more from now on; orders already placed keep it."""

    async def work(session: Session, _claim: Claim) -> RailOfferView:
        ended = await offers.end_rule(
            session, rail_offer_id, merchant_id=call.caller.merchant_id, by=till_actor(call), now=call.now
        )
        return RailOfferView.of(ended)

    return await once(call, work, status=200)


@router.get("")
async def list_rail_offers(
    call: CanRead, merchant_id: str | None = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[RailOfferView]:
    """Offers, oldest first."""
    start = read_cursor("rail-offers", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await offers.list_rules(
            session, merchant_id=call.caller.merchant_id or merchant_id, after=start, limit=limit
        )
    views = [RailOfferView.of(each) for each in found]
    return page_of("rail-offers", views, has_more, views[-1].id if views else None, after)
