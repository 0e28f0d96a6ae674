"""Plans (планы рассрочки): made by a merchant, accepted by its buyer, committed, corrected, refunded, given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api import plan_acts
from api.buyer_key import buyers_key, required_key
from api.door import Call, door_router, needs
from api.errors import FieldFault, RequestInvalid, SandboxOnly
from api.idempotency import Claim, in_phases, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.plan_acts import commit as commit_plan
from api.plan_form.return_urls import URL_CHARACTERS_MAX, ReturnUrls, add_return_urls
from api.plan_views import MovementView, PlanLineView, PlanView, movement_views, plan_view
from api.routes.installment_products import PRICE_KOPECKS_MAX, MerchantId, Price, ProductCode
from api.settings import Mode
from api.wire import Body, Day, Flag, Text, View
from checkout.errors import MerchantNotFound
from checkout.repository import load_merchant
from installments import repository as rows
from installments.accepting import Acceptance
from installments.buyer import PersonalDetails
from installments.buyers import find_or_add_buyer, tell_of_buyer, verify_phone
from installments.cancelling import CancelReason
from installments.codes import digest_phone
from installments.committing import CommitRequest
from installments.opening import PlanRequest, open_plan
from installments.plan import ITEMS_MAX, Item, Plan, PlanStatus
from installments.telling import PlanActor
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/plans", "installments")

CanRead = Annotated[Call, needs("installments:read")]
CanWrite = Annotated[Call, needs("installments:write")]
Kopeck = Annotated[int, Field(strict=True, ge=0, le=PRICE_KOPECKS_MAX)]
Url = Annotated[
    str, Field(strict=True, max_length=URL_CHARACTERS_MAX, pattern=r"^https?://[!-~]+$", examples=["https://shop.example/ok"])
]  # fmt: skip


class BasketLineBody(Body):
    """A line of the basket."""

    name: Annotated[Text, Field(max_length=256, examples=["Духи «Ночь»"])]
    quantity: Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,7}([.][0-9]{1,6})?$", examples=["2"])]
    price_kopecks: Annotated[int, Field(strict=True, ge=0, le=PRICE_KOPECKS_MAX, examples=[250_014])]
    """For one."""
    sku: Annotated[Text, Field(max_length=128, examples=["SR-1042"])] | None = None
    receipt: Annotated[
        dict[Annotated[Text, Field(max_length=64)], Annotated[Text, Field(max_length=64)]],
        Field(default_factory=dict, max_length=16),
    ]
    """Tax, payment method and object, for receipts: handed on as they are."""

    def item(self) -> Item:
        """The line as the rules know it."""
        return Item(
            self.name, self.quantity, Kopecks(self.price_kopecks), self.sku, tuple(sorted(self.receipt.items()))
        )


Items = Annotated[tuple[BasketLineBody, ...], Field(max_length=ITEMS_MAX)]


class PlanBody(Body):
    """An order that its buyer will pay in parts."""

    merchant_id: MerchantId | None = None
    """Whose order; a key of one merchant need not say."""
    order_number: Annotated[str, Field(strict=True, min_length=1, max_length=44, examples=["A-1042"])]
    product_code: ProductCode = "dolyame"
    price_kopecks: Annotated[int, Field(strict=True, ge=1, le=PRICE_KOPECKS_MAX, examples=[1_000_056])]
    prepaid_kopecks: Kopeck = 0
    """Paid by points or a certificate beside it."""
    full_payment_price_kopecks: Kopeck | None = None
    """What the same goods cost when paid at once: the same, by law."""
    is_consumer: Flag = True
    items: Annotated[Items, Field(min_length=1)]
    success_url: Url | None = None
    fail_url: Url | None = None
    """Where the buyer's form leads back to."""


class BuyerBody(Body):
    """Who buys."""

    phone: Annotated[str, Field(strict=True, max_length=20, examples=["+79161234567"])]
    born_on: Day
    first_name: Annotated[Text, Field(max_length=100, examples=["Мария"])]
    last_name: Annotated[Text, Field(max_length=100, examples=["Иванова"])]


class AcceptanceBody(Body):
    """A buyer's yes that a sandbox's own till gives for them. In production buyers say it themselves, at the link."""

    buyer: BuyerBody
    card_token: Annotated[str, Field(strict=True, max_length=64, examples=["tok_4fzK9aQ7Lr2XbN8yTc5Wd1HgE"])] | None = (
        None
    )
    """A card of the operator's."""
    binding_id: Annotated[str, Field(strict=True, max_length=40)] | None = None


class CommitBody(Body):
    """What is committed; what is not said is as ordered."""

    amount_kopecks: Price | None = None
    items: Items | None = None
    prepaid_kopecks: Kopeck | None = None


class CancelBody(Body):
    """Nothing to say."""


class PlanMovementsView(View):
    """Everything that changed what a buyer owes."""

    plan_id: str
    movements: list[MovementView]


@router.post("", status_code=201, response_model=PlanView)
async def create_installment_plan(body: PlanBody, call: CanWrite) -> Response:
    """Register an order; its buyer follows ``link``. The same order again is the same plan."""
    merchant_id = _whose(call, body.merchant_id)

    async def work(session: Session, claim: Claim) -> PlanView:
        await load_merchant(session, merchant_id)
        full = body.full_payment_price_kopecks
        request = PlanRequest(
            merchant_id, body.order_number, body.product_code, Kopecks(body.price_kopecks),
            Kopecks(body.prepaid_kopecks), tuple(line.item() for line in body.items),
            None if full is None else Kopecks(full), body.is_consumer,
        )  # fmt: skip
        plan = await open_plan(session, request, plan_id=claim.resource_id, by=actor_of(call), now=call.now)
        if plan.id == claim.resource_id:
            await add_return_urls(session, plan.id, ReturnUrls(body.success_url, body.fail_url))
        return await shown(session, plan, call)

    return await once(call, work, prefix="pln", location="/v1/installments/plans/{id}")


@router.get("/{plan_id}")
async def read_installment_plan(plan_id: str, call: CanRead) -> PlanView:
    """One plan with its basket and schedule."""
    async with transaction(call.engine) as session:
        return await shown(session, await load_own(session, plan_id, call), call)


@router.get("")
async def list_installment_plans(
    call: CanRead,
    merchant_id: str | None = None,
    status: PlanStatus | None = None,
    buyer_id: str | None = None,
    order_number: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[PlanLineView]:
    """Plans, oldest first. With ``order_number`` and a merchant: the one plan of that order."""
    whose, start = call.caller.merchant_id or merchant_id, read_cursor("plans", after) or ""
    async with transaction(call.engine) as session:
        if order_number is not None and whose is not None:
            found = await rows.find_plan_by_order(session, whose, order_number)
            return page_of("plans", [] if found is None else [PlanLineView.of(found)], False, None)
        plans, has_more = await rows.list_plans(
            session, merchant_id=whose, status=status, buyer_id=buyer_id, after=start, limit=limit
        )
    views = [PlanLineView.of(plan) for plan in plans]
    return page_of("plans", views, has_more, views[-1].id if views else None, after)


@router.get("/{plan_id}/movements")
async def list_plan_movements(plan_id: str, call: CanRead) -> PlanMovementsView:
    """Everything that changed what the buyer owes, in the order in which it happened."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        return PlanMovementsView(plan_id=plan.id, movements=await movement_views(session, plan.id))


@router.post("/{plan_id}/acceptance", status_code=200, response_model=PlanView)
async def accept_installment_plan(plan_id: str, body: AcceptanceBody, call: CanWrite) -> Response:
    """Say yes for a buyer, in a sandbox only: decided about, and the first installment held."""
    if call.door.settings.mode is not Mode.SANDBOX:
        raise SandboxOnly()
    if (body.card_token is None) == (body.binding_id is None):
        raise RequestInvalid((FieldFault("/card_token", "either a card or a binding"),))

    async def accept(session: Session) -> Plan:
        await load_own(session, plan_id, call)
        buyer = await find_or_add_buyer(session, body.buyer.phone, now=call.now)
        await digest_phone(session, buyer, required_key(buyers_key(call.door.settings)))
        told = PersonalDetails(body.buyer.first_name, body.buyer.last_name, born_on=body.buyer.born_on)
        await tell_of_buyer(session, buyer.id, told, now=call.now)
        await verify_phone(session, buyer.id, now=call.now)
        acceptance = Acceptance(buyer.id, None, body.card_token, body.binding_id)
        return await plan_acts.accept(session, plan_id, acceptance, actor_of(call), now=call.now)

    return await acted(call, accept)


@router.post("/{plan_id}/commit", status_code=200, response_model=PlanView)
async def commit_installment_plan(plan_id: str, body: CommitBody, call: CanWrite) -> Response:
    """The goods go out: the debt begins, the first installment is taken. For less the price is cut anew."""

    async def commit(session: Session) -> Plan:
        request = CommitRequest(
            _kopecks(body.amount_kopecks), None if body.items is None else tuple(line.item() for line in body.items),
            _kopecks(body.prepaid_kopecks),
        )  # fmt: skip
        return await commit_plan(
            session, plan_id, request, actor_of(call), merchant_id=call.caller.merchant_id, now=call.now
        )

    return await acted(call, commit)


@router.post("/{plan_id}/cancel", status_code=200, response_model=PlanView)
async def cancel_installment_plan(plan_id: str, body: CancelBody, call: CanWrite) -> Response:
    """Give the plan up before its commit; what is held on the card is let go. After it, refund instead."""
    del body

    async def cancel(session: Session) -> Plan:
        return await plan_acts.cancel(
            session, plan_id, CancelReason.MERCHANT, actor_of(call), merchant_id=call.caller.merchant_id, now=call.now
        )

    return await acted(call, cancel)


async def acted(call: Call, act: Callable[[Session], Awaitable[Plan]]) -> Response:
    """What is to happen is written down, what follows outside is done, and the plan is read again."""

    async def intent(session: Session, _claim: Claim) -> Plan:
        return await act(session)

    async def follow(plan: Plan) -> str:
        await call.door.wiring.plans.carry_on(plan.id, call.caller.key_id)
        return plan.id

    async def outcome(session: Session, _plan: Plan, plan_id: str) -> PlanView:
        return await shown(session, await rows.load_plan(session, plan_id), call)

    return await in_phases(call, intent=intent, act=follow, outcome=outcome, status=200)


async def load_own(session: Session, plan_id: str, call: Call) -> Plan:
    """The plan, if the caller may see it. Raises: PlanNotFound."""
    return await rows.load_plan(session, plan_id, merchant_id=call.caller.merchant_id)


async def shown(session: Session, plan: Plan, call: Call) -> PlanView:
    """The plan as it is answered."""
    return await plan_view(session, plan, call.door.settings, on=moscow_day(call.now))


def actor_of(call: Call) -> PlanActor:
    """Who acts, for the log."""
    return PlanActor(f"caller:{call.caller.key_id}", call.request_id)


def _whose(call: Call, named: str | None) -> str:
    merchant_id = named or call.caller.merchant_id
    if merchant_id is None:
        raise RequestInvalid((FieldFault("/merchant_id", "this key sees all merchants: say which"),))
    if not call.caller.sees(merchant_id):
        raise MerchantNotFound(merchant_id=merchant_id)
    return merchant_id


def _kopecks(amount: int | None) -> Kopecks | None:
    return None if amount is None else Kopecks(amount)
