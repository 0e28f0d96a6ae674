"""What the house does to a debt by a person's hand: goodwill, write-offs, and what banks tell of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Self

from pydantic import Field, model_validator
from starlette.responses import Response

from api import plan_bank_news
from api.door import Call, door_router
from api.idempotency import Claim, once
from api.plan_bank_news import BankPayment, Chargeback
from api.plan_views import PlanView
from api.routes.installment_buyers import CanManage, Reason
from api.routes.installment_plans import actor_of, shown
from api.routes.installment_products import PRICE_KOPECKS_MAX
from api.wire import Body, Day, View
from installments import hardship
from installments.hardship import Grant
from installments.overpayments import BankReturn, list_overpaid
from installments.plan import Plan
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments", "installments")

Money = Annotated[int, Field(strict=True, ge=1, le=PRICE_KOPECKS_MAX, examples=[250_014])]
BankReference = Annotated[
    str, Field(strict=True, pattern=r"^[!-~]{1,64}$", examples=["case-2026-118"], description="The bank's own name.")
]


class GoodwillBody(Body):
    """How much of the debt is forgiven at our own cost."""

    amount_kopecks: Money
    reason: Reason


class WriteOffBody(Body):
    """Why nothing more is expected."""

    reason: Reason


class BankPaymentBody(Body):
    """Money of the buyer that came straight to our bank account."""

    amount_kopecks: Money
    bank_reference: BankReference
    paid_on: Day | None = None
    """The Moscow day on which it came; today when not said."""


class BankReturnBody(Body):
    """What was sent back to the buyer from our bank account."""

    amount_kopecks: Money
    bank_reference: BankReference


class OverpaymentView(View):
    """What a plan owes its buyer."""

    plan_id: str
    buyer_id: str | None
    overpaid_kopecks: int
    refused_kopecks: int
    """Of it, what no card would take."""


class ChargebackBody(Body):
    """A card payment that its bank took back."""

    movement_id: Annotated[str, Field(strict=True, pattern=r"^mov_[0-9a-z]{26}$")]
    """The payment, as ``GET …/movements`` names it."""
    amount_kopecks: Money
    fee_kopecks: Annotated[int, Field(strict=True, ge=0, le=PRICE_KOPECKS_MAX)] = 0
    """The acquirer's, on top."""
    bank_reference: BankReference


class AcquirerSettlementBody(Body):
    """What an acquirer sent to our bank account for captured installments."""

    acquirer_id: Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,20}$", examples=["100000000001"])]
    gross_kopecks: Money
    """Before its fee."""
    fee_kopecks: Annotated[int, Field(strict=True, ge=0, le=PRICE_KOPECKS_MAX)] = 0
    bank_reference: BankReference

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fee_kopecks > self.gross_kopecks:
            raise ValueError("fee_kopecks is no more than gross_kopecks")
        return self


class AcquirerSettlementView(View):
    """A settlement as it is booked."""

    acquirer_id: str
    gross_kopecks: int
    fee_kopecks: int
    net_kopecks: int
    bank_reference: str


@router.post("/acquirer-settlements", status_code=201, response_model=AcquirerSettlementView)
async def record_acquirer_settlement(body: AcquirerSettlementBody, call: CanManage) -> Response:
    """The money of installments is on our bank account, less the acquirer's fee."""

    async def work(session: Session, _claim: Claim) -> AcquirerSettlementView:
        await plan_bank_news.record_settlement(
            session, body.acquirer_id, Kopecks(body.gross_kopecks), Kopecks(body.fee_kopecks), actor_of(call),
            bank_reference=body.bank_reference, now=call.now,
        )  # fmt: skip
        return AcquirerSettlementView(**body.model_dump(), net_kopecks=body.gross_kopecks - body.fee_kopecks)

    return await once(call, work)


@router.post("/plans/{plan_id}/goodwill", status_code=201, response_model=PlanView)
async def forgive_plan_debt(plan_id: str, body: GoodwillBody, call: CanManage) -> Response:
    """Forgive a part of the debt: what is late first, then from the end."""

    async def work(session: Session, claim: Claim) -> Plan:
        grant = Grant(actor_of(call), body.reason, f"relief:{claim.resource_id}")
        return await hardship.forgive(session, plan_id, Kopecks(body.amount_kopecks), grant, now=call.now)

    return await _done(call, work, "rlf")


@router.post("/plans/{plan_id}/write-offs", status_code=201, response_model=PlanView)
async def write_plan_off(plan_id: str, body: WriteOffBody, call: CanManage) -> Response:
    """Stop expecting all that is owed. Nothing more is collected; money that comes after all is a recovery."""

    async def work(session: Session, claim: Claim) -> Plan:
        grant = Grant(actor_of(call), body.reason, f"relief:{claim.resource_id}")
        return await hardship.write_off(session, plan_id, grant, now=call.now)

    return await _done(call, work, "rlf")


@router.post("/plans/{plan_id}/bank-payments", status_code=201, response_model=PlanView)
async def record_plan_bank_payment(plan_id: str, body: BankPaymentBody, call: CanManage) -> Response:
    """Money came by itself; of a debt that was written off it is a recovery. The same bank reference is booked once."""
    payment = BankPayment(plan_id, Kopecks(body.amount_kopecks), body.bank_reference, body.paid_on)

    async def work(session: Session, _claim: Claim) -> Plan:
        return await plan_bank_news.record_bank_payment(session, payment, actor_of(call), now=call.now)

    return await _done(call, work)


@router.get("/overpayments")
async def list_plan_overpayments(call: CanManage) -> list[OverpaymentView]:
    """Money of buyers that no card can take, or every card refused: a person returns it. The oldest plans first."""
    async with transaction(call.engine) as session:
        return [
            OverpaymentView(
                plan_id=one.plan_id,
                buyer_id=one.buyer_id,
                overpaid_kopecks=int(one.amount),
                refused_kopecks=int(one.refused),
            )
            for one in await list_overpaid(session)
        ]


@router.post("/plans/{plan_id}/bank-returns", status_code=201, response_model=PlanView)
async def record_plan_bank_return(plan_id: str, body: BankReturnBody, call: CanManage) -> Response:
    """What a buyer paid too much was sent back from our bank account. The same bank reference is booked once."""
    back = BankReturn(plan_id, Kopecks(body.amount_kopecks), body.bank_reference)

    async def work(session: Session, _claim: Claim) -> Plan:
        return await plan_bank_news.record_bank_return(session, back, actor_of(call), now=call.now)

    return await _done(call, work)


@router.post("/plans/{plan_id}/chargebacks", status_code=201, response_model=PlanView)
async def record_plan_chargeback(plan_id: str, body: ChargebackBody, call: CanManage) -> Response:
    """A bank took a card payment back: that much is owed again. The same bank reference is booked once."""
    chargeback = Chargeback(
        plan_id, body.movement_id, Kopecks(body.amount_kopecks), Kopecks(body.fee_kopecks), body.bank_reference
    )

    async def work(session: Session, _claim: Claim) -> Plan:
        return await plan_bank_news.record_chargeback(session, chargeback, actor_of(call), now=call.now)

    return await _done(call, work)


async def _done(call: Call, work: Callable[[Session, Claim], Awaitable[Plan]], prefix: str = "obj") -> Response:
    """What was done, once for the key, and the plan after it."""

    async def whole(session: Session, claim: Claim) -> PlanView:
        return await shown(session, await work(session, claim), call)

    return await once(call, whole, prefix=prefix)
