"""Orders (заказы) and attempts to have them paid."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, StrictBool, StrictInt, model_validator
from starlette.responses import Response

from api import failover, plan_paying
from api.bindings import BindingRail
from api.card_rail import CardRail, CardTerms
from api.cash_link_rail import CashLinkRail
from api.device_payments import RAIL as DEVICE_RAIL
from api.device_payments import DeviceProof
from api.door import Call, DirectRoute, door_router, needs
from api.failover import Redirect
from api.idempotency import Claim, in_phases, once
from api.order_baskets import TendersBody, TendersView, tenders_views
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.plan_rail import PRODUCT, PlanRail, refunded_by_plan, shown_links
from api.plan_rail import RAIL as PLAN_RAIL
from api.routes.installment_plans import actor_of
from api.routes.installment_products import ProductCode
from api.sale_watching import take_back
from api.short_road import ShortRoad
from api.till_callers import till_actor
from api.wire import Body, Instant, Text, View
from api.wiring import SbpRail
from checkout import card_payment_rows, repository, till
from checkout.attempts import Attempt, AttemptStatus
from checkout.orders import Order, OrderRequest, OrderStatus
from checkout.rail import Offer, Rail, ShownQr, Start
from checkout.rail_switches import RailSwitch
from ledger.database import Session, transaction
from sbp_gateway import activating, cash_link_repository, refund_rows
from sbp_gateway.cash_links import Activation
from sbp_gateway.errors import ActivationPaying
from tokenization.koshelek_pay.statuses import PayChannel

hot_router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=DirectRoute)
router = door_router("/v1/orders", "orders")

CanWrite = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]


class OrderBody(TendersBody):
    """An order to be placed. With a basket its sum may be left out: it is what the lines come to."""

    terminal_id: Annotated[str, Field(strict=True, max_length=40)]
    number: Annotated[str, Field(strict=True, max_length=200, examples=["A-1001"])]
    """The merchant's own number, unique for the merchant."""
    amount_kopecks: Annotated[StrictInt, Field(examples=[149990])] | None = None
    """What the buyer owes before promo code and points."""
    currency: Annotated[str, Field(strict=True, max_length=8, examples=["RUB"])] = "RUB"
    description: Annotated[Text, Field(max_length=140)] | None = None
    placed_at: Instant | None = None

    @model_validator(mode="after")
    def check_amount(self) -> OrderBody:
        """A sum, or lines that come to one."""
        if self.amount_kopecks is None and self.basket is None:
            raise ValueError("either amount_kopecks or a basket")
        return self


class DeviceProofBody(Body):
    """A payment as the buyer's device proved it: Кошелёк Pay."""

    device_token: Annotated[str, Field(strict=True, pattern=r"^dtk_[0-9A-Za-z]{25}$")]
    trid: Annotated[str, Field(strict=True, pattern=r"^643[0-9]{8}$", examples=["64310203040"])]
    """Which wallet the token is of."""
    de55: Annotated[
        str, Field(strict=True, pattern=r"^([A-Za-z0-9+/]{4}){1,85}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")
    ]
    """Chip data with the cryptogram, in base 64: in hexadecimal one in some thousands looks like a card number."""
    channel: PayChannel = PayChannel.CONTACTLESS
    mcc: Annotated[str, Field(strict=True, pattern=r"^[0-9]{4}$", examples=["5411"])]
    """What the till sells: a token may be for some goods only."""


class AttemptBody(Body):
    """How the buyer wants to pay."""

    rail: Literal["sbp", "card", "koshelek_pay", "dolyame"] | None = None
    """None: the one that the buyer of the scanned card chose, else the till's first; only what needs no more words."""
    card_token: Annotated[str, Field(strict=True, max_length=64)] | None = None
    """Which card, for the rail ``card``; the buyer entered it in the vault's form."""
    capture: StrictBool = True
    """False holds the card's money; capture or void it later by the payment."""
    keep_credential: StrictBool = False
    """The buyer agrees that the merchant charges this card later without them."""
    device: DeviceProofBody | None = None
    """What the buyer's device says, for the rail ``koshelek_pay``."""
    cash_link_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Arm the till's cash link with the sum, instead of making a new QR."""
    binding_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    """Charge the buyer by an account binding; nobody scans anything."""
    plan_product: ProductCode | None = None
    """Which product of installments, for the rail ``dolyame``; the usual one when none is named."""
    ttl_minutes: Annotated[StrictInt, Field(examples=[10])] | None = None
    """How long the buyer may pay; by a cash link at most 20 minutes."""

    @model_validator(mode="after")
    def check_one(self) -> AttemptBody:
        """One way at a time."""
        if self.cash_link_id is not None and self.binding_id is not None:
            raise ValueError("either cash_link_id or binding_id")
        of_sbp = (self.cash_link_id, self.binding_id, self.ttl_minutes)
        if self.rail == "card" and self.card_token is None:
            raise ValueError("a card needs card_token")
        if self.rail != "sbp" and any(each is not None for each in of_sbp):
            raise ValueError("cash_link_id, binding_id and ttl_minutes are for the rail sbp")
        if self.rail != PLAN_RAIL and self.plan_product is not None:
            raise ValueError("plan_product is for the rail dolyame")
        if (self.rail == "koshelek_pay") != (self.device is not None):
            raise ValueError("device is for the rail koshelek_pay, which needs it")
        if self.rail != "card" and (self.card_token is not None or not self.capture or self.keep_credential):
            raise ValueError("card_token, capture and keep_credential are for the rail card")
        return self


class QrView(View):
    """What the buyer scans."""

    id: str
    qrc_id: str
    payload: str


class AttemptView(View):
    """One try to have an order paid."""

    id: str
    order_id: str
    rail: str
    amount_kopecks: int
    status: AttemptStatus
    qr: QrView | None
    payment_id: str | None
    created_at: Instant
    version: int

    @classmethod
    def of(cls, attempt: Attempt, qr: ShownQr | None) -> AttemptView:
        """The attempt as it is shown; its QR as long as it may be scanned, and after."""
        return cls(
            id=attempt.id, order_id=attempt.order_id, rail=attempt.rail, amount_kopecks=int(attempt.amount),
            status=attempt.status, qr=None if qr is None else QrView(id=qr.id, qrc_id=qr.qrc_id, payload=qr.payload),
            payment_id=attempt.payment_id, created_at=attempt.created_at, version=attempt.version,
        )  # fmt: skip


class OrderView(View):
    """An order with its attempts."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    number: str
    amount_kopecks: int
    amount_refunded_kopecks: int = 0
    """What the buyer has back."""
    description: str | None
    status: OrderStatus
    placed_at: Instant
    created_at: Instant
    paid_at: Instant | None
    version: int
    attempts: list[AttemptView]
    tenders: TendersView | None = None
    """What pays for it, line by line; of an order with a basket."""

    @classmethod
    def of(
        cls, order: Order, attempts: Sequence[AttemptView], refunded_kopecks: int = 0,
        tenders: TendersView | None = None,
    ) -> OrderView:  # fmt: skip
        """The order as it is shown."""
        return cls(
            id=order.id, merchant_id=order.merchant_id, store_id=order.store_id, terminal_id=order.terminal_id,
            number=order.number, amount_kopecks=int(order.amount), amount_refunded_kopecks=refunded_kopecks,
            description=order.description, status=order.status, placed_at=order.placed_at, created_at=order.created_at,
            paid_at=order.paid_at, version=order.version, attempts=list(attempts), tenders=tenders,
        )  # fmt: skip


@hot_router.post("", status_code=201, response_model=OrderView)
async def create_order(call: CanWrite, body: OrderBody) -> Response:
    """Place an order for a terminal; with a basket also what is set aside for it: promo code, then points.

    The rail brings the rest, one kopeck at least. An order that nobody pays lets code and points go in the end.
    """

    async def work(session: Session, claim: Claim) -> OrderView:
        wish = body.wish(body.amount_kopecks)
        asked = body.amount_kopecks if wish is None else int(wish.basket.subtotal)
        assert asked is not None
        request = OrderRequest(
            body.terminal_id, body.number, asked, body.description, body.placed_at or call.now, body.currency
        )
        whose, now = call.caller.merchant_id, call.now
        if wish is None:
            order = await till.place_order(session, claim.resource_id, request, merchant_id=whose, now=now)
            return OrderView.of(order, [])
        placed = await till.place_basket(session, claim.resource_id, request, wish, merchant_id=whose, now=now)
        return OrderView.of(placed.order, [], tenders=TendersView.of(placed.basket, placed.offers))

    return await once(call, work, prefix="ord", location="/v1/orders/{id}")


@hot_router.post("/{order_id}/attempts", status_code=201, response_model=AttemptView)
async def create_attempt(order_id: str, body: AttemptBody, call: CanWrite) -> Response:
    """Try to have an order paid: the answer holds the QR to show.

    When NSPK's answer is lost the attempt is ``unknown`` and has no QR yet; read the order again.
    """
    rail = _rail_of(call, body)
    off = await call.door.wiring.rails.off(call.now)

    async def intent(session: Session, claim: Claim) -> tuple[str, Offer | None]:
        nonlocal rail
        if claim.attempt_no > 1 and await repository.load_attempt(session, claim.resource_id) is not None:
            return claim.resource_id, None  # we died in the call; the worker finds out
        wanted = body
        if body.rail is None:
            usual = await failover.usual_rail(session, order_id, merchant_id=call.caller.merchant_id, now=call.now)
            wanted = AttemptBody.model_validate({"rail": usual})
        instead = await _instead(call, session, wanted, order_id, off)
        rail = _rail_of(call, wanted if instead is None else AttemptBody(rail=instead.rail))
        _, offer = await till.begin_attempt(
            session, rail, claim.resource_id, order_id=order_id, merchant_id=call.caller.merchant_id, now=call.now
        )
        if instead is not None:
            await failover.keep(session, offer, instead, till_actor(call), now=call.now)
        return claim.resource_id, offer

    async def act(intended: tuple[str, Offer | None]) -> Start | None:
        return None if intended[1] is None else await rail.start(intended[1])

    async def outcome(session: Session, intended: tuple[str, Offer | None], start: Start | None) -> AttemptView:
        attempt_id, offer = intended
        if offer is None or start is None:
            attempt = await repository.load_attempt(session, attempt_id)
            assert attempt is not None
            return (await _attempt_views(call, session, [attempt]))[attempt.id]
        attempt = await till.record_start(session, rail, offer, start, now=call.now)
        if attempt.status is not AttemptStatus.WAITING:
            return AttemptView.of(attempt, None)
        kept = await rail.shown(session, [attempt.id])  # what ``start`` brought may have been given up meanwhile
        return AttemptView.of(attempt, kept.get(attempt.id))

    is_stopped = body.rail is None or any(switch.rail == body.rail for switch in off)
    road = ShortRoad(rail, order_id, AttemptView.of) if isinstance(rail, SbpRail) and not is_stopped else None
    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="att", road=road)


async def _instead(
    call: Call, session: Session, body: AttemptBody, order_id: str, off: Sequence[RailSwitch]
) -> Redirect | None:
    """By which rail the buyer is asked instead, if the one wanted is off. Raises: OrderNotFound, RailOff."""
    assert body.rail is not None, "it was chosen"
    provider = "nspk_cash_link" if body.cash_link_id is not None else None
    return await failover.redirect(
        session, off, asked=body.rail, provider=provider, order_id=order_id,
        merchant_id=call.caller.merchant_id, links=call.door.wiring.rail.nspk, now=call.now,
    )  # fmt: skip


def _rail_of(call: Call, body: AttemptBody) -> Rail:
    """A plan, a card, a device, a new QR, the same charged by a binding, or the till's cash link."""
    wiring, settings = call.door.wiring, call.door.settings
    if body.rail == PLAN_RAIL:
        return PlanRail(settings, actor_of(call), body.plan_product or PRODUCT)
    if body.card_token is not None:
        terms = CardTerms(body.card_token, body.capture, is_credential_kept=body.keep_credential)
        return CardRail(wiring.cards, terms, call.caller.key_id)
    if body.device is not None:
        said = body.device
        proof = DeviceProof(said.trid, said.mcc, said.channel, b64decode(said.de55).hex())
        return CardRail(wiring.cards, CardTerms(said.device_token), call.caller.key_id, DEVICE_RAIL, proof)
    if body.cash_link_id is None:
        rail = wiring.rail if body.ttl_minutes is None else replace(wiring.rail, ttl_minutes=body.ttl_minutes)
        return rail if body.binding_id is None else BindingRail(rail, body.binding_id)
    minutes = settings.sbp_activation_minutes if body.ttl_minutes is None else body.ttl_minutes
    return CashLinkRail(wiring.sales.nspk, body.cash_link_id, minutes)


@router.post("/{order_id}/cancel", status_code=200, response_model=OrderView)
async def cancel_order(order_id: str, call: CanWrite) -> Response:
    """Cancel an order at once, whatever QR the buyer was shown: they may pay by other means.

    NSPK takes no QR back: what is paid by it afterwards is told as ``payment.late`` and refunded by itself.
    A cash link armed with the sum is disarmed first; while a buyer pays by it, that is refused.
    """

    async def intent(session: Session, _claim: Claim) -> Activation | None:
        await repository.load_order(session, order_id, merchant_id=call.caller.merchant_id)
        live = await cash_link_repository.live_of_order(session, order_id)
        return None if live is None else await activating.begin_deactivation(session, live, now=call.now)

    async def act(activation: Activation | None) -> None:
        if activation is not None:
            await take_back(call.door.wiring.sales, activation)

    async def outcome(session: Session, activation: Activation | None, _done: None) -> OrderView:
        plan_ids = await plan_paying.lock_plans_of_order(session, order_id)
        locked = await repository.lock_order(session, order_id, merchant_id=call.caller.merchant_id)
        armed = await cash_link_repository.live_of_order(session, order_id)
        if armed is not None and activation is not None and armed.id == activation.id:
            raise ActivationPaying(cash_link_id=armed.cash_link_id)
        if armed is None:
            await till.withdraw_attempts(session, locked)
        order = await till.cancel_order(session, order_id, merchant_id=call.caller.merchant_id, now=call.now)
        await plan_paying.give_up(session, plan_ids, now=call.now)
        return (await _order_views(call, session, [order]))[0]

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200)


@router.get("/{order_id}")
async def read_order(order_id: str, call: CanRead) -> OrderView:
    """One order with its attempts."""
    async with transaction(call.engine) as session:
        order = await repository.load_order(session, order_id, merchant_id=call.caller.merchant_id)
        return (await _order_views(call, session, [order]))[0]


@router.get("")
async def list_orders(
    call: CanRead,
    merchant_id: str | None = None,
    status: OrderStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[OrderView]:
    """Orders, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("orders", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_orders(
            session, merchant_id=whose, status=status, after=start, limit=limit
        )
        views = await _order_views(call, session, found)
    return page_of("orders", views, has_more, views[-1].id if views else None, after)


async def _order_views(call: Call, session: Session, orders: Sequence[Order]) -> list[OrderView]:
    attempts = await repository.attempts_of_orders(session, [order.id for order in orders])
    shown = await _attempt_views(call, session, attempts)
    paid = {attempt.order_id: attempt.payment_id for attempt in attempts if attempt.payment_id is not None}
    refunded = await refund_rows.refunded_by_payment(session, list(paid.values())) if paid else {}
    if any(attempt.rail != "sbp" for attempt in attempts):
        refunded |= await card_payment_rows.refunded_by_payment(session, list(paid.values()))
        refunded |= await refunded_by_plan(session, list(paid.values()))
    baskets = await tenders_views(session, [order.id for order in orders])
    return [
        OrderView.of(
            order,
            [shown[attempt.id] for attempt in attempts if attempt.order_id == order.id],
            refunded.get(paid.get(order.id, ""), 0),
            baskets.get(order.id),
        )
        for order in orders
    ]


async def _attempt_views(call: Call, session: Session, attempts: Sequence[Attempt]) -> Mapping[str, AttemptView]:
    if not attempts:
        return {}
    codes = await call.door.wiring.rail.shown(session, [attempt.id for attempt in attempts])
    by_plan = [attempt.id for attempt in attempts if attempt.rail == PLAN_RAIL]
    if by_plan:
        codes = {**codes, **await shown_links(session, call.door.settings, by_plan)}
    return {attempt.id: AttemptView.of(attempt, codes.get(attempt.id)) for attempt in attempts}
