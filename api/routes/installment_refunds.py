"""Returns of goods bought by a plan: refunds, corrections of the basket, and deliveries of less than was ordered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api import plan_acts
from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.item_refunding import refuse_plan_of_basket
from api.plan_views import BasketLineView, InstallmentView, PlanView, plan_view
from api.routes.installment_plans import CanRead, Items, Kopeck, acted, actor_of, load_own
from api.wire import Body, Instant, View
from installments import repository as rows
from installments.correcting import CorrectionRequest
from installments.plan import Plan, PlanStatus
from installments.plan_refunds import PlanRefund, RefundKind, list_refunds
from installments.refunding import RefundRequest
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/plans", "installments")

CanRefund = Annotated[Call, needs("installments:write")]
RefundId = Annotated[
    str, Field(strict=True, pattern=r"^[!-~]{1,64}$", examples=["return-7"], description="Your own name of it.")
]


class PlanRefundBody(Body):
    """What came back."""

    refund_id: RefundId
    amount_kopecks: Annotated[Kopeck, Field(examples=[300_000])]
    """Of the price; what was prepaid is not counted."""
    prepaid_kopecks: Kopeck = 0
    items: Items = ()
    """What came back; may be empty when only money is told."""


class BasketCorrectionBody(Body):
    """The basket as it should be: the difference is a refund."""

    refund_id: RefundId
    total_kopecks: Annotated[Kopeck, Field(examples=[700_056])]
    """What the buyer is to pay in all."""
    prepaid_kopecks: Kopeck = 0
    """What of the prepaid part the merchant gives back."""
    items: Items


class DeliveryBody(Body):
    """What was handed over; nothing said: all of it."""

    refund_id: RefundId | None = None
    total_kopecks: Kopeck | None = None
    items: Items | None = None


class PlanRefundView(View):
    """One return of goods, and the plan after it."""

    refund_id: str
    plan_id: str
    kind: RefundKind
    amount_kopecks: int
    prepaid_kopecks: int
    total_kopecks: int
    """What the buyer pays in all after it."""
    items: list[BasketLineView]
    """What came back, or the basket that was put in its place."""
    created_at: Instant

    @classmethod
    def of(cls, refund: PlanRefund) -> PlanRefundView:
        """The return as it is shown."""
        items = refund.returned_items if refund.new_items is None else refund.new_items
        return cls(
            refund_id=refund.refund_id, plan_id=refund.plan_id, kind=refund.kind, amount_kopecks=int(refund.amount),
            prepaid_kopecks=int(refund.prepaid), total_kopecks=int(refund.total),
            items=[BasketLineView.of(item) for item in items], created_at=refund.created_at,
        )  # fmt: skip


class PlanAfterRefundView(PlanRefundView):
    """A return of goods with what it left to pay."""

    plan_status: PlanStatus
    outstanding_kopecks: int
    overpaid_kopecks: int
    """On its way back to the buyer's card."""
    schedule: list[InstallmentView]

    @classmethod
    def after(cls, refund: PlanRefund, plan: PlanView) -> PlanAfterRefundView:
        """The return and the plan as it stands now."""
        return cls(
            **PlanRefundView.of(refund).model_dump(), plan_status=plan.status,
            outstanding_kopecks=plan.outstanding_kopecks, overpaid_kopecks=plan.overpaid_kopecks,
            schedule=plan.schedule,
        )  # fmt: skip


@router.post("/{plan_id}/refunds", status_code=201, response_model=PlanAfterRefundView)
async def refund_installment_plan(plan_id: str, body: PlanRefundBody, call: CanRefund) -> Response:
    """Take goods back. The debt shrinks by the product's policy; what was paid too much goes back to the card."""
    request = RefundRequest(
        body.refund_id, Kopecks(body.amount_kopecks), tuple(line.item() for line in body.items),
        Kopecks(body.prepaid_kopecks),
    )  # fmt: skip

    async def refund(session: Session) -> PlanRefund:
        done = await plan_acts.refund(
            session, plan_id, request, actor_of(call), merchant_id=call.caller.merchant_id, now=call.now
        )
        await refuse_plan_of_basket(session, plan_id)
        return done

    return await _refunded(call, refund)


@router.get("/{plan_id}/refunds")
async def list_plan_refunds(plan_id: str, call: CanRead) -> list[PlanRefundView]:
    """All returns of goods of a plan, oldest first."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        return [PlanRefundView.of(refund) for refund in await list_refunds(session, plan.id)]


@router.post("/{plan_id}/corrections", status_code=201, response_model=PlanAfterRefundView)
async def correct_installment_plan(plan_id: str, body: BasketCorrectionBody, call: CanRefund) -> Response:
    """Put a cheaper basket in the place of the old one."""
    request = CorrectionRequest(
        body.refund_id, Kopecks(body.total_kopecks), tuple(line.item() for line in body.items),
        Kopecks(body.prepaid_kopecks),
    )  # fmt: skip

    async def correct(session: Session) -> PlanRefund:
        done = await plan_acts.correct(
            session, plan_id, request, actor_of(call), merchant_id=call.caller.merchant_id, now=call.now
        )
        await refuse_plan_of_basket(session, plan_id)
        return done

    return await _refunded(call, correct)


@router.post("/{plan_id}/deliveries", status_code=200, response_model=PlanView)
async def deliver_installment_plan(plan_id: str, body: DeliveryBody, call: CanRefund) -> Response:
    """The goods were handed over: all of them, or the smaller basket that is named."""

    async def deliver(session: Session) -> Plan:
        request = None
        if body.items is not None:
            plan = await load_own(session, plan_id, call)
            total = plan.total if body.total_kopecks is None else Kopecks(body.total_kopecks)
            items = tuple(line.item() for line in body.items)
            request = CorrectionRequest(body.refund_id or "delivery", total, items)
            await refuse_plan_of_basket(session, plan.id)
        return await plan_acts.complete_delivery(
            session, plan_id, request, actor_of(call), merchant_id=call.caller.merchant_id, now=call.now
        )

    return await acted(call, deliver)


async def _refunded(call: Call, act: Callable[[Session], Awaitable[PlanRefund]]) -> Response:
    """A return that is kept, what follows from it outside, and the plan after it."""

    async def intent(session: Session, _claim: Claim) -> PlanRefund:
        return await act(session)

    async def follow(refund: PlanRefund) -> PlanRefund:
        await call.door.wiring.plans.carry_on(refund.plan_id, call.caller.key_id)
        return refund

    async def outcome(session: Session, refund: PlanRefund, _same: PlanRefund) -> PlanAfterRefundView:
        plan = await rows.load_plan(session, refund.plan_id)
        view = await plan_view(session, plan, call.door.settings, on=moscow_day(call.now))
        return PlanAfterRefundView.after(refund, view)

    return await in_phases(call, intent=intent, act=follow, outcome=outcome)
