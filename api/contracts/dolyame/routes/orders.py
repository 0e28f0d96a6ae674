"""Orders: created, read, committed, cancelled. A write is intent, what follows outside, and the order as it is then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from starlette.responses import Response

from api.answers import JSON, Answer
from api.contracts.dolyame import repository
from api.contracts.dolyame.amounts import write_json
from api.contracts.dolyame.bodies import CommitBody, NewOrderBody, items_of
from api.contracts.dolyame.entrance import contract_router, shop_of
from api.contracts.dolyame.masking import masked
from api.contracts.dolyame.notifications import refuse_private
from api.contracts.dolyame.orders import DolyameOrder, order_object
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from api.plan_acts import cancel as cancel_plan
from api.plan_acts import commit as commit_plan
from installments import repository as plan_rows
from installments.cancelling import CancelReason
from installments.committing import CommitRequest
from installments.opening import PlanRequest, open_plan
from installments.plan import Plan
from installments.telling import PlanActor
from ledger.database import Session, transaction

router = contract_router("dolyame orders")

AnyCall = Annotated[Call, needs("")]
Intent = Callable[[Session, Claim], Awaitable[str]]
"""What is to happen, written down; gives the plan's id."""


@router.post("/orders/create")
async def create(call: AnyCall, body: NewOrderBody) -> Response:
    """Register an order: its buyer gets a link. The same order again is the same link."""
    refuse_private(body.notification_url, call.door.settings.mode)

    async def intent(session: Session, claim: Claim) -> str:
        shop, order = shop_of(call), body.order
        request = PlanRequest(
            merchant_id=shop.merchant_id, order_number=order.id, product_code=shop.product_code, price=order.amount,
            prepaid=order.prepaid, items=items_of(order.items),
        )  # fmt: skip
        plan = await open_plan(session, request, plan_id=claim.resource_id, by=actor_of(call), now=call.now)
        await repository.add_order(session, order_row(call, body, plan.id, call.now))
        if plan.id == claim.resource_id:
            await repository.say_fiscalization(session, plan.id, body.fiscalization, now=call.now)
        return plan.id

    return await carried_out(call, intent, prefix="pln")


def order_row(call: Call, body: NewOrderBody, plan_id: str, now: datetime) -> DolyameOrder:
    """What is kept of an order beside its plan."""
    shop = shop_of(call)
    return DolyameOrder(
        plan_id=plan_id, merchant_id=shop.merchant_id, login=shop.login, notification_url=body.notification_url,
        success_url=body.success_url, fail_url=body.fail_url, client_info=masked(body.client),
        fiscalization=body.fiscalization, delivered_at=None, created_at=now,
    )  # fmt: skip


@router.get("/orders/{order_id:path}/info")
async def info(call: AnyCall, order_id: str) -> Response:
    """The order with its basket."""
    async with transaction(call.engine) as session:
        plan = await repository.load_plan_of(session, order_id, merchant_id=shop_of(call).merchant_id)
        said = await order_said(session, call, plan, with_items=True)
    return Response(write_json(said), media_type=JSON)


@router.post("/orders/{order_id:path}/info")
async def info_by_post(call: AnyCall, order_id: str) -> Response:
    """The same, for clients that post everything. Nothing is kept under its correlation id."""
    return await info(call, order_id)


@router.post("/orders/{order_id:path}/commit")
async def commit(call: AnyCall, order_id: str, body: CommitBody) -> Response:
    """The goods go out: the debt begins, for all that was approved or for less."""

    async def intent(session: Session, _claim: Claim) -> str:
        plan = await repository.load_plan_of(session, order_id, merchant_id=shop_of(call).merchant_id, lock=True)
        request = CommitRequest(body.amount, items_of(body.items), body.prepaid_amount)
        await repository.say_fiscalization(session, plan.id, said_of(body.fiscalization_settings), now=call.now)
        await commit_plan(session, plan.id, request, actor_of(call), now=call.now)
        return plan.id

    return await carried_out(call, intent)


@router.post("/orders/{order_id:path}/cancel")
async def cancel(call: AnyCall, order_id: str) -> Response:
    """The shop gives up before the commit; what is held on the card is let go. The body, if any, says nothing."""

    async def intent(session: Session, _claim: Claim) -> str:
        plan = await repository.load_plan_of(session, order_id, merchant_id=shop_of(call).merchant_id, lock=True)
        await cancel_plan(session, plan.id, CancelReason.MERCHANT, actor_of(call), now=call.now)
        return plan.id

    return await carried_out(call, intent)


async def carried_out(call: Call, intent: Intent, *, prefix: str = "dlo") -> Response:
    """Intent, what follows from it outside, and the order as it is then: kept under the correlation id."""

    async def act(plan_id: str) -> None:
        await call.door.wiring.plans.carry_on(plan_id, call.caller.name)

    async def outcome(session: Session, plan_id: str, _done: None) -> Answer:
        plan = await plan_rows.load_plan(session, plan_id)
        return Answer(200, write_json(await order_said(session, call, plan)), resource_id=plan_id)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix=prefix)


async def order_said(session: Session, call: Call, plan: Plan, *, with_items: bool = False) -> dict[str, Any]:
    """The order as it goes out."""
    picture = await repository.picture_of(session, plan, now=call.now)
    return order_object(picture, shop_of(call).profile, call.door.settings.public_url, with_items=with_items)


def actor_of(call: Call) -> PlanActor:
    """Who does it, for the log."""
    return PlanActor(f"caller:{call.caller.name}", call.request_id)


def said_of(settings: Any) -> str | None:
    """What a shop says of receipts, if anything."""
    return None if settings is None else str(settings.type)
