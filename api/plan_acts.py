"""What doors do to plans: accept, commit, cancel, refund, correct, confirm a delivery. For native routes and contracts.

Each act is the *intent*: it writes down what is to happen, in the transaction it is given, and is safe to repeat by
state. What follows from it outside (a card is held, captured, let go, refunded) is done after the commit by

    await wiring.plans.carry_on(plan_id, acting_for)

which never raises for what the network does and may be called at any time by anybody; the worker does the same. A
door made of three phases (``api.idempotency.in_phases``) is therefore: intent = the act, act = ``carry_on``,
outcome = read the plan again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from api.card_rail import CardTerms, request_payment
from api.plan_first_payments import commit_by_itself, take_first_installment, void_first_payments
from checkout import card_payment_rows as cards
from checkout import shift_operations
from checkout.card_payments import ENDED, Initiator
from installments import accepting, buyer_rows, cancelling, clearing, committing, correcting, deciding, feeds, refunding
from installments import repository as rows
from installments.accepting import Acceptance
from installments.cancelling import CancelReason
from installments.committing import CommitRequest
from installments.correcting import CorrectionRequest
from installments.errors import CommitDiffers, FirstPaymentBusy
from installments.plan import CollectorName, Plan, PlanStatus
from installments.plan_refunds import PlanRefund
from installments.refunding import RefundRequest
from installments.telling import PlanActor
from ledger.database import Session, text
from ledger.ids import new_id
from sbp_gateway.binding_repository import load_binding
from sbp_gateway.bindings import BindingStatus
from sbp_gateway.errors import BindingNotBound


async def accept(session: Session, plan_id: str, acceptance: Acceptance, by: PlanActor, *, now: datetime) -> Plan:
    """The buyer says yes, with a card or a binding: decided about, and the first installment is being held.

    The plan is ``approved`` (look again after ``carry_on``), ``rejected`` with a reason, or where it was if it had been
    accepted before. An approved plan whose card was refused takes another card by the same act; with neither card nor
    binding only the decision is made, and the card comes by the same act later.

    Raises: PlanNotFound, PlanCanceled, AcceptanceDiffers, PlanExpired, FirstPaymentBusy, FirstPaymentTriesSpent,
    LicenceNotActive, TermAboveLaw, CardTokenMalformed, BindingNotFound, BindingNotBound. Locks: the plan, the buyer.
    """
    plan = await rows.load_plan(session, plan_id, lock=True)
    if not accepting.check_acceptance(plan, acceptance, now=now):
        return plan
    if plan.status is PlanStatus.NEW:
        plan = await _decide(session, plan, acceptance, by, now)
        if plan.status is PlanStatus.REJECTED:
            return plan
    return await _begin_first_payment(session, plan, acceptance, now)


async def commit(
    session: Session, plan_id: str, request: CommitRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> Plan:  # fmt: skip
    """The merchant commits, whole or for less; the first installment is being taken of what is held.

    A plan that pays for an order at a till is committed whole: the order costs no less.
    Raises: as ``installments.committing.commit_plan``. Locks: the plan, its first payment, accounts.
    """
    waiting = await rows.load_plan(session, plan_id, merchant_id=merchant_id, lock=True)
    if waiting.first_payment_id is not None:  # before the accounts, as workers do
        await cards.load_payment(session, waiting.first_payment_id, lock=True)
    plan, is_new = await committing.commit_plan(session, plan_id, request, by, merchant_id=merchant_id, now=now)
    if is_new:
        await _refuse_less_than_order(session, plan)
        await take_first_installment(session, plan, now=now)
    return plan


async def _refuse_less_than_order(session: Session, plan: Plan) -> None:
    """Raises: CommitDiffers."""
    asked: int | None = await session.scalar(
        text("""SELECT a.amount_kopecks FROM plan_attempts AS t JOIN attempts AS a ON a.id = t.attempt_id
                 WHERE t.plan_id = :id"""),
        {"id": plan.id},
    )
    if asked not in (None, plan.price):
        raise CommitDiffers(plan_id=plan.id, order_kopecks=asked, committed_kopecks=int(plan.price))


async def cancel(
    session: Session, plan_id: str, reason: CancelReason, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> Plan:  # fmt: skip
    """Give the plan up before its commit; what is held on a card is being let go.

    Raises: PlanNotFound, PlanCommitted, PlanCanceled. Locks: the plan, its first payment.
    """
    plan = await cancelling.cancel(session, plan_id, reason, by, merchant_id=merchant_id, now=now)
    await void_first_payments(session, plan, now=now)
    return plan


async def refund(
    session: Session, plan_id: str, request: RefundRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> PlanRefund:  # fmt: skip
    """Goods came back. The same refund id again gives the first answer.

    Raises: as ``installments.refunding.refund``. Locks: the plan, accounts.
    """
    made = await refunding.refund(session, plan_id, request, by, merchant_id=merchant_id, now=now)
    return await _into_shift(session, made, now)


async def correct(
    session: Session, plan_id: str, request: CorrectionRequest, by: PlanActor, *, merchant_id: str | None = None,
    now: datetime,
) -> PlanRefund:  # fmt: skip
    """A cheaper basket in place of the old one: a refund of the difference.

    Raises: as ``installments.correcting.correct``. Locks: the plan, accounts.
    """
    made = await correcting.correct(session, plan_id, request, by, merchant_id=merchant_id, now=now)
    return await _into_shift(session, made, now)


async def complete_delivery(
    session: Session, plan_id: str, request: CorrectionRequest | None, by: PlanActor, *,
    merchant_id: str | None = None, now: datetime,
) -> Plan:  # fmt: skip
    """The goods were handed over: all of them, or what a smaller basket names.

    Raises: as ``installments.correcting.complete_delivery``. Locks: the plan, accounts.
    """
    return await correcting.complete_delivery(session, plan_id, request, by, merchant_id=merchant_id, now=now)


async def _into_shift(session: Session, made: PlanRefund, now: datetime) -> PlanRefund:
    """Goods of a plan that was a till's rail go back into the shift of that till; of no other plan."""
    attempt_id = await session.scalar(
        text("SELECT attempt_id FROM plan_attempts WHERE plan_id = :id"), {"id": made.plan_id}
    )
    if attempt_id is not None and made.amount > 0:
        refund_id = f"{made.plan_id}:{made.refund_id}"  # the merchant's own id is unique within the plan only
        await shift_operations.note_refund(session, refund_id, attempt_id, made.amount, now=now)
    return made


async def _decide(session: Session, plan: Plan, acceptance: Acceptance, by: PlanActor, now: datetime) -> Plan:
    buyer = await buyer_rows.load_buyer(session, acceptance.buyer_id, lock=True)
    named = await accepting.name_buyer(session, plan, acceptance, now=now)
    decision = await deciding.decide(session, named, buyer, now=now)
    if decision.is_approved:
        approved = await accepting.approve(session, named, acceptance, by, now=now)
        await feeds.tell_of_approval(session, approved, needs_bureau=decision.needs_bureau, now=now)
        return approved
    return await accepting.reject(session, named, decision.reasons[0], by, now=now)


async def _begin_first_payment(session: Session, plan: Plan, acceptance: Acceptance, now: datetime) -> Plan:
    """By card: one more card is tried. By a binding nothing can be held, so the plan waits for its commit at once."""
    if acceptance.collector is None:
        return plan
    if plan.first_payment_id is not None:
        payment = await cards.load_payment(session, plan.first_payment_id, lock=True)
        if payment.status not in ENDED:
            if payment.card_token == acceptance.card_token:
                return plan  # ``carry_on`` goes on with it
            raise FirstPaymentBusy(plan_id=plan.id)
        plan = await accepting.hold_refused(session, plan, payment.reason or "voided", now=now)
        if plan.status is not PlanStatus.APPROVED:
            return plan
    if acceptance.binding_id is not None:
        return await _take_binding(session, plan, acceptance.binding_id, now)
    assert acceptance.card_token is not None
    first = await accepting.first_installment(session, plan)
    terms = CardTerms(acceptance.card_token, False, Initiator.BUYER, True)
    operator_id = await clearing.operator_of(session)
    payment = await request_payment(session, new_id("cpy", now), operator_id, first.amount, terms, now=now)
    return await accepting.try_card(session, plan, payment.id, acceptance.card_token, now=now)


async def _take_binding(session: Session, plan: Plan, binding_id: str, now: datetime) -> Plan:
    """The buyer's own binding with the operator, whose consent stands. Raises: BindingNotFound, BindingNotBound."""
    binding = await load_binding(session, binding_id, merchant_id=await clearing.operator_of(session))
    if binding.status is not BindingStatus.BOUND or binding.buyer_reference != plan.buyer_id:
        raise BindingNotBound(binding_id=binding_id)
    bound = replace(plan, binding_id=binding_id, collector=CollectorName.SBP, card_token=None)
    waiting = await accepting.hold_succeeded(session, bound, now=now)
    return await commit_by_itself(session, waiting, now=now)
