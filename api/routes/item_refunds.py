"""Refunds by items (возврат товаров): goods come back, and money, points and promo code go back as they came."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt
from starlette.responses import Response

from api import item_refunding
from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.item_refunding import Money, Returner
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.routes.installment_plans import actor_of
from api.wire import Body, Instant, Text, View
from checkout import item_refund_rows
from checkout.baskets import LINES_MAX, QUANTITY_MAX
from checkout.card_refunding import CardRefundAnswer
from checkout.item_refund_rows import ItemRefund, ItemRefundStatus, Returned
from ledger.database import Session, transaction
from sbp_gateway.refunds import REASON_CHARACTERS_MAX, RefundAnswer

router = door_router("/v1/item-refunds", "refunds")

CanRefund = Annotated[Call, needs("refunds:write")]
CanRead = Annotated[Call, needs("orders:read")]
Id = Annotated[str, Field(strict=True, max_length=40)]


class ItemBody(Body):
    """So much of one line."""

    line: Annotated[StrictInt, Field(ge=1, le=LINES_MAX)]
    """Its number in the basket, from 1."""
    quantity: Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX)]
    """Pieces one by one; what was weighed or measured only whole."""


class ItemRefundBody(Body):
    """Which goods come back."""

    order_id: Id
    items: Annotated[list[ItemBody], Field(max_length=LINES_MAX, default_factory=list)]
    """All that is left when none is named."""
    reason: Annotated[Text, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)] | None = None


class ItemView(View):
    """So much of one line came back."""

    line: int
    quantity: int


class ItemRefundView(View):
    """Goods that came back, and what goes back for them. ``requested`` is an answer too: the rail takes its time."""

    id: str
    order_id: str
    merchant_id: str
    refund_id: str | None
    """The money's own refund: see ``/v1/refunds``, or the plan's. Nothing where no money goes back."""
    amount_kopecks: int
    points_back: int
    items: list[ItemView]
    reason: str | None
    status: ItemRefundStatus
    is_final: bool
    created_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, refund: ItemRefund) -> ItemRefundView:
        """The item refund as it is shown."""
        return cls(
            id=refund.id, order_id=refund.order_id, merchant_id=refund.merchant_id, refund_id=refund.refund_id,
            amount_kopecks=int(refund.amount), points_back=refund.points_back,
            items=[ItemView(line=each.line, quantity=each.quantity) for each in refund.lines], reason=refund.reason,
            status=refund.status, is_final=refund.status is not ItemRefundStatus.REQUESTED,
            created_at=refund.created_at, ended_at=refund.ended_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=ItemRefundView)
async def create_item_refund(body: ItemRefundBody, call: CanRefund) -> Response:
    """Take goods back. Their money goes by the rail that brought it; points and promo code follow when it has moved."""
    by = Returner(
        call.caller.merchant_id, call.caller.key_id, actor_of(call), call.door.settings.sbp_refund_returns_fee
    )

    async def intent(session: Session, claim: Claim) -> tuple[str, Money]:
        if claim.attempt_no > 1 and await item_refund_rows.find_item_refund(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        wanted = [Returned(each.line, each.quantity) for each in body.items]
        made, money = await item_refunding.begin(
            session, claim.resource_id, body.order_id, wanted, by, reason=body.reason, now=call.now
        )
        return made.id, money

    async def act(intended: tuple[str, Money]) -> RefundAnswer | CardRefundAnswer | None:
        return await item_refunding.ask(
            call.door.wiring.refunds, call.door.wiring.cards, intended[1], call.caller.key_id
        )  # fmt: skip

    async def outcome(
        session: Session, intended: tuple[str, Money], answer: RefundAnswer | CardRefundAnswer | None
    ) -> ItemRefundView:
        return ItemRefundView.of(await item_refunding.record(session, intended[0], answer, now=call.now))

    return await in_phases(
        call, intent=intent, act=act, outcome=outcome, prefix="itr", location="/v1/item-refunds/{id}"
    )


@router.get("/{item_refund_id}")
async def read_item_refund(item_refund_id: str, call: CanRead) -> ItemRefundView:
    """One refund of items."""
    async with transaction(call.engine) as session:
        return ItemRefundView.of(
            await item_refund_rows.load_item_refund(session, item_refund_id, merchant_id=call.caller.merchant_id)
        )


@router.get("")
async def list_item_refunds(
    call: CanRead, order_id: str | None = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[ItemRefundView]:
    """Refunds of items, oldest first."""
    start = read_cursor("item-refunds", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await item_refund_rows.list_item_refunds(
            session, merchant_id=call.caller.merchant_id, order_id=order_id, after=start, limit=limit
        )
    views = [ItemRefundView.of(each) for each in found]
    return page_of("item-refunds", views, has_more, views[-1].id if views else None, after)
