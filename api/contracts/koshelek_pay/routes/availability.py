"""A card was scanned: which ways of paying has its buyer at this till?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from starlette.responses import Response

from api.answers import Answer
from api.contracts.koshelek_pay.answering import Proof, answer_of, let_in
from api.contracts.koshelek_pay.bodies import TYPE_OF, AvailabilityBody
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.door import Call, needs
from api.guessing import refuse_guessing
from api.idempotency import Claim, once
from api.loyalty_key import loyalty_key
from api.open_rails import open_rails
from checkout.offers import RailOffer, by_rail, rules_on
from checkout.presentments import Presentment, present
from ledger.database import Session

router = contract_router("koshelek_pay availability")

CanWrite = Annotated[Call, needs("orders:write")]


@router.post("/availability-info/task")
async def read_availability(call: CanWrite, body: AvailabilityBody, proof: Proof) -> Response:
    """Take the scan down and say how it may be paid; the same scan again is answered as before.

    When paying is not possible the list is empty and the till goes on with loyalty alone.
    """
    terminal = await let_in(call, body, proof)
    refuse_guessing(call, body.cardSession, loyalty_key(call.door))

    async def work(session: Session, claim: Claim) -> Answer:
        presentment = await present(
            session, body.cardSession, terminal.id, key=loyalty_key(call.door), now=call.now,
            merchant_id=merchant_id_of(call), presentment_id=claim.resource_id,
            rails=await open_rails(session, terminal, now=call.now),
        )  # fmt: skip
        offers = by_rail(await rules_on(session, presentment.merchant_id, now=call.now))
        return answer_of(availability_object(presentment, offers), presentment.id)

    return await once(call, work, status=200, prefix="prs")


def availability_object(presentment: Presentment, offers: Mapping[str, RailOffer]) -> dict[str, Any]:
    """What the till may do; ``koshelekPayIsDefault`` lets it go straight on to paying."""
    rails = [rail for rail in presentment.rails if rail in TYPE_OF]
    default = presentment.preferred_rail if presentment.preferred_rail in rails else next(iter(rails), None)
    return {
        "sessionId": presentment.id,
        "paymentMethods": [method_object(rail, offers.get(rail), is_default=rail == default) for rail in rails],
        "koshelekPayIsDefault": default is not None and default == presentment.preferred_rail,
    }


def method_object(rail: str, offer: RailOffer | None, *, is_default: bool) -> dict[str, Any]:
    """One way of paying, with what the merchant takes off for it and the line that the buyer reads."""
    told: dict[str, Any] = {"paymentType": TYPE_OF[rail].value, "isDefault": is_default}
    if offer is not None:
        told |= {"discountBasisPoints": offer.basis_points, "note": offer.note}
    return told
