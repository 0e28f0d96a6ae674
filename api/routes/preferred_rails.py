"""Preferred rails: how the buyer of a loyalty card chose to pay."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.till_callers import till_actor
from api.wire import Body, Instant, View
from checkout import preferred_rails
from checkout.preferred_rails import PreferredRail
from ledger.database import Session, transaction

router = door_router("/v1/loyalty-cards", "loyalty cards")

CanWrite = Annotated[Call, needs("loyalty:write")]
CanRead = Annotated[Call, needs("loyalty:read")]


class PreferredRailBody(Body):
    """What the buyer chose in the wallet."""

    rail: Annotated[str, Field(strict=True, max_length=32, examples=["sbp"])] | None
    """null takes the choice back."""


class PreferredRailView(View):
    """The buyer's choice; with version 0 nothing was chosen yet."""

    loyalty_card_id: str
    rail: str | None
    chosen_at: Instant | None
    version: int

    @classmethod
    def of(cls, chosen: PreferredRail) -> PreferredRailView:
        """The choice as it is shown."""
        return cls(
            loyalty_card_id=chosen.loyalty_card_id, rail=chosen.rail, chosen_at=chosen.chosen_at,
            version=chosen.version,
        )  # fmt: skip


@router.post("/{card_id}/preferred-rail", status_code=200, response_model=PreferredRailView)
async def set_preferred_rail(card_id: str, body: PreferredRailBody, call: CanWrite) -> Response:
    """Choose how to pay with this card: at the next scan a till goes straight on by that rail, if it is on there."""

    async def work(session: Session, _claim: Claim) -> PreferredRailView:
        chosen = await preferred_rails.prefer_rail(
            session, card_id, body.rail, merchant_id=call.caller.merchant_id, by=till_actor(call), now=call.now
        )
        return PreferredRailView.of(chosen)

    return await once(call, work, status=200)


@router.get("/{card_id}/preferred-rail")
async def read_preferred_rail(card_id: str, call: CanRead) -> PreferredRailView:
    """What the buyer of this card chose."""
    async with transaction(call.engine) as session:
        chosen = await preferred_rails.load_preferred(session, card_id, merchant_id=call.caller.merchant_id)
    return PreferredRailView.of(chosen)
