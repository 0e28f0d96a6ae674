"""Presentments (предъявления): a till scans a loyalty barcode, and learns whose card it is and how it may be paid."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.door import Call, DirectRoute, door_router, needs
from api.guessing import refuse_guessing
from api.idempotency import Claim, once
from api.loyalty_key import loyalty_key
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.short_presentment import present_shortly
from api.wire import Body, Instant, View
from checkout import presentments
from checkout.barcode import read_barcode, step_shown
from checkout.presentments import Presentment, UnavailableReason
from ledger.database import Session, transaction
from ledger.errors import Rejected

hot_router = APIRouter(prefix="/v1/presentments", tags=["presentments"], route_class=DirectRoute)
router = door_router("/v1/presentments", "presentments")

CanWrite = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]


class PresentmentBody(Body):
    """What the till's scanner has read."""

    terminal_id: Annotated[str, Field(strict=True, max_length=40)]
    barcode: Annotated[
        str, Field(strict=True, min_length=1, max_length=64, examples=["K1291234567899S000112345678"])
    ]  # fmt: skip


class PresentmentView(View):
    """Whose card it is, and whether the till may go straight on to paying."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    loyalty_card_id: str
    is_payment_available: bool
    rails: list[str]
    """What can be paid by at this till now."""
    preferred_rail: str | None
    """What the buyer has chosen to pay by, if it is on here."""
    unavailable_reason: UnavailableReason | None
    """Why the card is good for loyalty alone."""
    presented_at: Instant

    @classmethod
    def of(cls, presentment: Presentment) -> PresentmentView:
        """The scan as it is shown."""
        return cls(
            id=presentment.id, merchant_id=presentment.merchant_id, store_id=presentment.store_id,
            terminal_id=presentment.terminal_id, loyalty_card_id=presentment.loyalty_card_id,
            is_payment_available=presentment.is_payment_available, rails=list(presentment.rails),
            preferred_rail=presentment.preferred_rail, unavailable_reason=presentment.unavailable_reason,
            presented_at=presentment.presented_at,
        )  # fmt: skip


@hot_router.post("", status_code=201, response_model=PresentmentView)
async def create_presentment(call: CanWrite, body: PresentmentBody) -> Response:
    """Scan a barcode. A phone's code is of its 30 seconds and counts once; a plastic card is good for loyalty alone."""
    key = loyalty_key(call.door)
    refuse_guessing(call, body.barcode, key)
    till = None
    try:
        read = read_barcode(body.barcode)
        step = step_shown(read, key, now=call.now)
        till = await call.door.tills.till(call.engine, body.terminal_id, now=call.now)
    except Rejected:
        pass  # said by the long way, and kept under the key
    else:
        if (answer := await present_shortly(call, till, read, step, PresentmentView.of)) is not None:
            return answer.response()

    async def work(session: Session, claim: Claim) -> PresentmentView:
        presentment = await presentments.present(
            session, body.barcode, body.terminal_id, key=key, now=call.now, merchant_id=call.caller.merchant_id,
            presentment_id=claim.resource_id, rails=None if till is None else till.rails,
            is_in_time=till is None or till.is_in_time,
        )  # fmt: skip
        return PresentmentView.of(presentment)

    return await once(call, work, prefix="prs", location="/v1/presentments/{id}")


@router.get("/{presentment_id}")
async def read_presentment(presentment_id: str, call: CanRead) -> PresentmentView:
    """One scan."""
    async with transaction(call.engine) as session:
        found = await presentments.load_presentment(session, presentment_id, merchant_id=call.caller.merchant_id)
    return PresentmentView.of(found)


@router.get("")
async def list_presentments(
    call: CanRead,
    merchant_id: str | None = None,
    terminal_id: str | None = None,
    loyalty_card_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[PresentmentView]:
    """Scans, oldest first."""
    start = read_cursor("presentments", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await presentments.list_presentments(
            session, merchant_id=call.caller.merchant_id or merchant_id, terminal_id=terminal_id,
            card_id=loyalty_card_id, after=start, limit=limit,
        )  # fmt: skip
    views = [PresentmentView.of(one) for one in found]
    return page_of("presentments", views, has_more, views[-1].id if views else None, after)
