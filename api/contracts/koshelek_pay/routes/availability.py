"""A card was scanned: which ways of paying has its buyer at this till?"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header
from starlette.responses import Response

from api.answers import Answer
from api.contracts.koshelek_pay.answering import answer_of, let_in
from api.contracts.koshelek_pay.bodies import TYPE_OF, AvailabilityBody
from api.contracts.koshelek_pay.entrance import contract_router, merchant_id_of
from api.door import Call, needs
from api.idempotency import Claim, once
from api.loyalty_key import loyalty_key
from checkout.presentments import Presentment, present
from ledger.database import Session

router = contract_router("koshelek_pay availability")

CanWrite = Annotated[Call, needs("orders:write")]
Token = Annotated[str | None, Header(max_length=100)]


@router.post("/availability-info/task")
async def read_availability(call: CanWrite, body: AvailabilityBody, token: Token = None) -> Response:
    """Take the scan down and say how it may be paid; the same scan again is answered as before.

    When paying is not possible the list is empty and the till goes on with loyalty alone.
    """
    terminal = await let_in(call, body, token)

    async def work(session: Session, claim: Claim) -> Answer:
        presentment = await present(
            session, body.cardSession, terminal.id, key=loyalty_key(call.door), now=call.now,
            merchant_id=merchant_id_of(call), presentment_id=claim.resource_id,
        )  # fmt: skip
        return answer_of(availability_object(presentment), presentment.id)

    return await once(call, work, status=200, prefix="prs")


def availability_object(presentment: Presentment) -> dict[str, Any]:
    """What the till may do; ``koshelekPayIsDefault`` lets it go straight on to paying."""
    kinds = [TYPE_OF[rail] for rail in presentment.rails if rail in TYPE_OF]
    preferred = TYPE_OF.get(presentment.preferred_rail or "")
    return {
        "sessionId": presentment.id,
        "paymentMethods": [{"paymentType": kind.value, "isDefault": kind is (preferred or kinds[0])} for kind in kinds],
        "koshelekPayIsDefault": preferred is not None,
    }
