"""Buyers of plans (покупатели) for the house: limits, freezes, disputes, relief. Who they are is never shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.plan_views import PlanView
from api.routes.installment_plans import actor_of, load_own, shown
from api.routes.installment_products import PRICE_KOPECKS_MAX
from api.wire import Body, Day, Instant, Text, View
from installments import buyers, disputing, hardship
from installments.buyer import Buyer, Identification
from installments.disputing import Dispute, Ruling
from installments.hardship import Grant
from installments.limits import limit_use, set_limit
from installments.plan import Plan
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments", "installments")

CanManage = Annotated[Call, needs("installments:manage")]
Reason = Annotated[Text, Field(max_length=200, examples=["Доход подтверждён справкой"])]
Granting = Callable[[Session, Grant], Awaitable[Plan]]
Number = Annotated[int, Field(strict=True, ge=1, le=60)]


class BuyerView(View):
    """A buyer as the house sees one: an id, what is proven, and what may be bought. No name, no phone."""

    id: str
    is_phone_verified: bool
    identification: Identification
    limit_kopecks: int
    used_kopecks: int
    free_kopecks: int
    frozen_at: Instant | None
    frozen_reason: str | None
    erased_at: Instant | None
    created_at: Instant
    version: int


class BuyerLimitBody(Body):
    """How much a buyer may owe at once, and why it is changed."""

    limit_kopecks: Annotated[int, Field(strict=True, ge=0, le=PRICE_KOPECKS_MAX, examples=[10_000_000])]
    reason: Reason


class BuyerFreezeBody(Body):
    """Why."""

    reason: Reason


class DisputeBody(Body):
    """What the buyer disputes. No personal data."""

    reason: Reason


class RulingBody(Body):
    """In whose favour."""

    ruling: Ruling


class DisputeView(View):
    """One dispute; while it is open nothing is collected and nothing is paid out."""

    id: str
    plan_id: str
    reason: str
    reserved_kopecks: int
    """Of the merchant's money, when it was opened."""
    opened_at: Instant
    ruling: Ruling | None
    closed_at: Instant | None

    @classmethod
    def of(cls, dispute: Dispute) -> DisputeView:
        """The dispute as it is shown."""
        return cls(
            id=dispute.id, plan_id=dispute.plan_id, reason=dispute.reason, reserved_kopecks=int(dispute.reserved),
            opened_at=dispute.opened_at, ruling=dispute.ruling, closed_at=dispute.closed_at,
        )  # fmt: skip


class SnoozeBody(Body):
    """Which installment is put off, and to when; once in a plan's life."""

    installment_number: Number
    new_due_on: Day
    reason: Reason


class ReAgeBody(Body):
    """Into how many installments all that is unpaid is cut, and from when."""

    first_due_on: Day
    count: Annotated[int, Field(strict=True, ge=1, le=24)]
    reason: Reason


class ReAmortiseBody(Body):
    """What is past due is spread over what is not due yet."""

    reason: Reason


class WaiverBody(Body):
    """How much penalty is forgiven."""

    amount_kopecks: Annotated[int, Field(strict=True, ge=1, le=PRICE_KOPECKS_MAX, examples=[5_47])]
    reason: Reason


@router.get("/buyers/{buyer_id}")
async def read_installment_buyer(buyer_id: str, call: CanManage) -> BuyerView:
    """One buyer, without personal data."""
    async with transaction(call.engine) as session:
        return await _shown_buyer(session, buyer_id, call)


@router.post("/buyers/{buyer_id}/limit", status_code=200, response_model=BuyerView)
async def set_buyer_limit(buyer_id: str, body: BuyerLimitBody, call: CanManage) -> Response:
    """Give a buyer another limit. What is owed above a lower one stays owed."""

    async def work(session: Session, _claim: Claim) -> BuyerView:
        by = actor_of(call).actor
        await set_limit(session, buyer_id, body.limit_kopecks, reason=body.reason, by=by, now=call.now)
        return await _shown_buyer(session, buyer_id, call)

    return await once(call, work, status=200)


@router.post("/buyers/{buyer_id}/freeze", status_code=200, response_model=BuyerView)
async def freeze_buyer(buyer_id: str, body: BuyerFreezeBody, call: CanManage) -> Response:
    """No new plans for a buyer. Open ones go on."""

    async def work(session: Session, _claim: Claim) -> BuyerView:
        await buyers.freeze(session, buyer_id, body.reason, by=actor_of(call).actor, now=call.now)
        return await _shown_buyer(session, buyer_id, call)

    return await once(call, work, status=200)


@router.post("/buyers/{buyer_id}/release", status_code=200, response_model=BuyerView)
async def release_buyer(buyer_id: str, body: BuyerFreezeBody, call: CanManage) -> Response:
    """New plans again for a buyer that was frozen."""

    async def work(session: Session, _claim: Claim) -> BuyerView:
        await buyers.unfreeze(session, buyer_id, body.reason, by=actor_of(call).actor, now=call.now)
        return await _shown_buyer(session, buyer_id, call)

    return await once(call, work, status=200)


@router.post("/plans/{plan_id}/disputes", status_code=201, response_model=DisputeView)
async def open_plan_dispute(plan_id: str, body: DisputeBody, call: CanManage) -> Response:
    """Pause a plan: nothing is collected, and the merchant's money for it waits in a reserve."""

    async def work(session: Session, claim: Claim) -> DisputeView:
        dispute = await disputing.open_dispute(
            session, plan_id, body.reason, actor_of(call), dispute_id=claim.resource_id, now=call.now
        )
        return DisputeView.of(dispute)

    return await once(call, work, prefix="dsp")


@router.post("/plans/{plan_id}/disputes/close", status_code=200, response_model=DisputeView)
async def close_plan_dispute(plan_id: str, body: RulingBody, call: CanManage) -> Response:
    """Let a plan go on. Goods that came back are a refund of their own, made before."""

    async def work(session: Session, _claim: Claim) -> DisputeView:
        return DisputeView.of(
            await disputing.close_dispute(session, plan_id, body.ruling, actor_of(call), now=call.now)
        )

    return await once(call, work, status=200)


@router.post("/plans/{plan_id}/snoozes", status_code=201, response_model=PlanView)
async def snooze_plan(plan_id: str, body: SnoozeBody, call: CanManage) -> Response:
    """Put one unpaid installment off, within the law's term."""

    async def grant(session: Session, given: Grant) -> Plan:
        return await hardship.snooze(session, plan_id, body.installment_number, body.new_due_on, given, now=call.now)

    return await _granted(call, plan_id, body.reason, grant)


@router.post("/plans/{plan_id}/re-ages", status_code=201, response_model=PlanView)
async def re_age_plan(plan_id: str, body: ReAgeBody, call: CanManage) -> Response:
    """Cut all that is unpaid anew from a later day, within the law's term."""

    async def grant(session: Session, given: Grant) -> Plan:
        return await hardship.re_age(session, plan_id, body.first_due_on, body.count, given, now=call.now)

    return await _granted(call, plan_id, body.reason, grant)


@router.post("/plans/{plan_id}/re-amortisations", status_code=201, response_model=PlanView)
async def re_amortise_plan(plan_id: str, body: ReAmortiseBody, call: CanManage) -> Response:
    """Spread what is past due over what is not due yet."""

    async def grant(session: Session, given: Grant) -> Plan:
        return await hardship.re_amortise(session, plan_id, given, now=call.now)

    return await _granted(call, plan_id, body.reason, grant)


@router.post("/plans/{plan_id}/waivers", status_code=201, response_model=PlanView)
async def waive_plan_penalty(plan_id: str, body: WaiverBody, call: CanManage) -> Response:
    """Forgive penalty, up to all of it."""

    async def grant(session: Session, given: Grant) -> Plan:
        return await hardship.waive(session, plan_id, Kopecks(body.amount_kopecks), given, now=call.now)

    return await _granted(call, plan_id, body.reason, grant)


async def _granted(call: Call, plan_id: str, reason: str, grant: Granting) -> Response:
    """What is granted, once for the key, and the plan after it."""

    async def work(session: Session, claim: Claim) -> PlanView:
        await load_own(session, plan_id, call)
        given = Grant(actor_of(call), reason, f"relief:{claim.resource_id}")
        return await shown(session, await grant(session, given), call)

    return await once(call, work, prefix="rlf")


async def _shown_buyer(session: Session, buyer_id: str, call: Call) -> BuyerView:
    buyer: Buyer = await buyers.load_buyer(session, buyer_id)
    use = await limit_use(session, buyer_id, now=call.now)
    return BuyerView(
        id=buyer.id, is_phone_verified=buyer.phone_verified_at is not None, identification=buyer.identification,
        limit_kopecks=int(use.limit), used_kopecks=int(use.used), free_kopecks=int(use.free),
        frozen_at=buyer.frozen_at, frozen_reason=buyer.frozen_reason, erased_at=buyer.erased_at,
        created_at=buyer.created_at, version=buyer.version,
    )  # fmt: skip
