"""Goods that come back: refunds, corrections of the basket, deliveries of less than was ordered.

Clients give a refund no id of its own, so it is known by its correlation id; DECISIONS.md, 3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from starlette.responses import Response

from api import plan_acts
from api.answers import Answer
from api.contracts.dolyame import repository
from api.contracts.dolyame.amounts import write_json
from api.contracts.dolyame.bodies import BasketBody, CorrectionBody, DeliveryBody, RefundBody, items_of
from api.contracts.dolyame.entrance import contract_router, shop_of
from api.contracts.dolyame.errors import CorrectionAmbiguous
from api.contracts.dolyame.routes.orders import actor_of, order_said, said_of
from api.door import Call, needs
from api.idempotency import Claim, in_phases
from api.item_refunding import refuse_plan_of_basket
from installments import repository as plan_rows
from installments.baskets import basket_total, uneven_lines
from installments.correcting import CorrectionRequest
from installments.plan import Item, Plan
from installments.plan_refunds import PlanRefund, find_refund, prepaid_refunded
from installments.refunding import RefundRequest
from ledger.database import Session
from ledger.money import Kopecks

router = contract_router("dolyame refunds")

AnyCall = Annotated[Call, needs("")]
REFUND, CORRECTION, DELIVERY = "refund", "correction", "complete_delivery"


@dataclass(frozen=True, slots=True)
class Intended:
    """A refund written down."""

    plan_id: str
    refund_id: str


Act = Callable[[Session, Plan, str], Awaitable[object]]
"""Carries out one act on a locked plan under a refund's id."""
Outcome = Callable[[Session, Intended], Awaitable[dict[str, object]]]


@router.post("/orders/{order_id:path}/refund")
async def refund(call: AnyCall, order_id: str, body: RefundBody) -> Response:
    """Goods came back: the debt shrinks, and what was paid of them goes back to the card."""

    async def act(session: Session, plan: Plan, refund_id: str) -> PlanRefund:
        request = RefundRequest(refund_id, body.amount, items_of(body.returned_items), body.prepaid)
        await refuse_plan_of_basket(session, plan.id)
        await repository.say_fiscalization(session, plan.id, said_of(body.fiscalization_settings), now=call.now)
        return await plan_acts.refund(session, plan.id, request, actor_of(call), now=call.now)

    return await carried_out(call, order_id, REFUND, act, refund_said)


@router.post("/orders/{order_id:path}/correction")
async def correct(call: AnyCall, order_id: str, body: CorrectionBody) -> Response:
    """Another, cheaper basket in place of the old one: a refund of the difference."""
    if body.new_items is None:
        raise CorrectionAmbiguous()
    items = items_of(body.new_items)

    async def act(session: Session, plan: Plan, refund_id: str) -> PlanRefund:
        known = await find_refund(session, plan.id, refund_id)
        if known is not None:
            return known
        await refuse_plan_of_basket(session, plan.id)
        total = await total_meant(session, plan, body, items)
        request = CorrectionRequest(refund_id, total, items, body.prepaid)
        await repository.say_fiscalization(session, plan.id, said_of(body.fiscalization_settings), now=call.now)
        return await plan_acts.correct(session, plan.id, request, actor_of(call), now=call.now)

    return await carried_out(call, order_id, CORRECTION, act, refund_said)


async def total_meant(session: Session, plan: Plan, body: CorrectionBody, items: tuple[Item, ...]) -> Kopecks:
    """The new total that a correction means: its amount, or the old total less its amount, whichever its basket makes.

    DECISIONS.md, 4. A basket that makes neither is refused further on.
    """
    prepaid_left = plan.prepaid - await prepaid_refunded(session, plan.id) - body.prepaid
    by_items = basket_total(items) - prepaid_left
    if abs(plan.total - body.amount - by_items) <= uneven_lines(items):
        return Kopecks(plan.total - body.amount)
    return body.amount


@router.post("/orders/{order_id:path}/complete_delivery")
async def complete_delivery(call: AnyCall, order_id: str, body: DeliveryBody | None = None) -> Response:
    """The goods were handed over: all, or what a smaller basket names."""
    basket = None if body is None else body.order

    async def act(session: Session, plan: Plan, refund_id: str) -> Plan:
        request = None if basket is None else await delivered(session, plan, refund_id, basket)
        if request is not None and await find_refund(session, plan.id, refund_id) is not None:
            request = None  # it was corrected already, before a crash
        if request is not None:
            await refuse_plan_of_basket(session, plan.id)
        done = await plan_acts.complete_delivery(session, plan.id, request, actor_of(call), now=call.now)
        await repository.say_delivered(session, plan.id, now=call.now)
        return done

    async def said(session: Session, intended: Intended) -> dict[str, object]:
        return await order_said(session, call, await plan_rows.load_plan(session, intended.plan_id))

    return await carried_out(call, order_id, DELIVERY, act, said)


async def delivered(session: Session, plan: Plan, refund_id: str, basket: BasketBody) -> CorrectionRequest:
    """The basket that was handed over, and what of the prepaid part is given back with it."""
    prepaid_back = Kopecks(0)
    if basket.prepaid_amount is not None:
        prepaid_back = Kopecks(plan.prepaid - await prepaid_refunded(session, plan.id) - basket.prepaid_amount)
    return CorrectionRequest(refund_id, basket.amount, items_of(basket.items), prepaid_back)


async def carried_out(call: Call, order_id: str, operation: str, act: Act, said: Outcome) -> Response:
    """Claim the refund and carry it out; then money goes to the card; then the answer is kept."""

    async def intent(session: Session, claim: Claim) -> Intended:
        plan = await repository.load_plan_of(session, order_id, merchant_id=shop_of(call).merchant_id, lock=True)
        refund_id = await repository.claim_refund(
            session, plan.id, operation, call.fingerprint.digest, refund_id=claim.resource_id, now=call.now
        )
        await act(session, plan, refund_id)
        return Intended(plan.id, refund_id)

    async def follow(intended: Intended) -> None:
        await call.door.wiring.plans.carry_on(intended.plan_id, call.caller.name)

    async def outcome(session: Session, intended: Intended, _done: None) -> Answer:
        await repository.end_refund(session, intended.refund_id, now=call.now)
        return Answer(200, write_json(await said(session, intended)), resource_id=intended.refund_id)

    return await in_phases(call, intent=intent, act=follow, outcome=outcome, status=200, prefix="dlr")


async def refund_said(session: Session, intended: Intended) -> dict[str, object]:
    """The refund as it goes out: ``amount`` is what the buyer pays in all after it."""
    found = await find_refund(session, intended.plan_id, intended.refund_id)
    assert found is not None, "a refund that was carried out is kept"
    return {"refund_id": found.refund_id, "amount": found.total}
