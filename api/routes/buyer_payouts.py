"""Payouts to buyers (выплаты покупателям) through SBP: to a phone number and a bank."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, Text, View
from checkout.errors import MerchantNotFound
from ledger.database import Session, transaction
from sbp_gateway import buyer_payout_repository as rows
from sbp_gateway import paying_buyers
from sbp_gateway.buyer_payouts import PURPOSE_CHARACTERS_MAX, BuyerPayout, BuyerPayoutStatus
from sbp_gateway.errors import BuyerPayoutNotFound
from sbp_gateway.paying_buyers import BuyerPayoutRequest

router = door_router("/v1/sbp/payouts", "payouts")

CanPayOut = Annotated[Call, needs("payouts:write")]


class BuyerPayoutBody(Body):
    """What to send, to whom, and whose money it is."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)]
    phone: Annotated[str, Field(strict=True, max_length=30, examples=["+7 912 345-67-89"])]
    """A Russian mobile number; forgotten when the payout is over."""
    bank_member_id: Annotated[str, Field(strict=True, pattern="^[0-9]{12}$", examples=["100000000004"])]
    """The buyer's bank in SBP."""
    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])]
    purpose: Annotated[Text, Field(max_length=PURPOSE_CHARACTERS_MAX, examples=["Возврат за заказ A-1001"])]


class BuyerPayoutView(View):
    """Money on its way to a buyer. The phone is only ever shown masked."""

    id: str
    merchant_id: str
    phone_mask: str
    bank_member_id: str
    amount_kopecks: int
    purpose: str
    status: BuyerPayoutStatus
    reason: str | None
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, payout: BuyerPayout) -> BuyerPayoutView:
        """The payout as it is shown."""
        return cls(
            id=payout.id, merchant_id=payout.merchant_id, phone_mask=payout.phone_mask,
            bank_member_id=payout.bank_member_id, amount_kopecks=int(payout.amount), purpose=payout.purpose,
            status=payout.status, reason=payout.reason, created_at=payout.created_at,
            finished_at=payout.finished_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=BuyerPayoutView)
async def create_buyer_payout(body: BuyerPayoutBody, call: CanPayOut) -> Response:
    """Set the merchant's money aside; the worker asks the bank to send it."""
    if not call.caller.sees(body.merchant_id):
        raise MerchantNotFound(merchant_id=body.merchant_id)
    limits = call.door.wiring.payout_bank.limits

    async def work(session: Session, claim: Claim) -> BuyerPayoutView:
        request = BuyerPayoutRequest(
            body.merchant_id, body.phone, body.bank_member_id, body.amount_kopecks, body.purpose
        )
        payout = await paying_buyers.request_payout(session, claim.resource_id, request, limits, now=call.now)
        return BuyerPayoutView.of(payout)

    return await once(call, work, prefix="bpo", location="/v1/sbp/payouts/{id}")


@router.get("/{payout_id}")
async def read_buyer_payout(payout_id: str, call: CanPayOut) -> BuyerPayoutView:
    """One payout to a buyer."""
    async with transaction(call.engine) as session:
        payout = await rows.load_payout(session, payout_id)
    if not call.caller.sees(payout.merchant_id):
        raise BuyerPayoutNotFound(payout_id=payout_id)
    return BuyerPayoutView.of(payout)


@router.get("")
async def list_buyer_payouts(
    call: CanPayOut,
    merchant_id: str | None = None,
    status: BuyerPayoutStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[BuyerPayoutView]:
    """Payouts to buyers, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("buyer_payouts", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_payouts(session, merchant_id=whose, status=status, after=start, limit=limit)
    views = [BuyerPayoutView.of(payout) for payout in found]
    return page_of("buyer_payouts", views, has_more, views[-1].id if views else None, after)
