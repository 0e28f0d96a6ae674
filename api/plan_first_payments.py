"""First installments between plans and the till: held, taken at the commit, let go, and told to the plan.

Every function follows from how the plan and its card payments stand, so it may be repeated at any time by anybody.
Locks: the plan, then its card payments, then accounts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from checkout import card_payment_rows as cards
from checkout.card_capturing import begin_capture
from checkout.card_payments import (
    UNSURE,
    VOID_REFUSED,
    CardPayment,
    CardPaymentStatus,
    advance,
)
from installments import accepting, bureau, cancelling, committing, vouchers
from installments import repository as rows
from installments.cancelling import CancelReason
from installments.committing import CommitRequest
from installments.first_payments import open_first_payments, settle_first_payment
from installments.movement_rows import load_installments
from installments.movements import Movement, MovementKind
from installments.plan import Plan, PlanStatus
from installments.recording import record_all
from installments.telling import BY_ITSELF
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks

OVER = frozenset({PlanStatus.CANCELED, PlanStatus.REJECTED})
COMMITTED = frozenset({PlanStatus.COMMITTED, PlanStatus.COMPLETED, PlanStatus.REFUNDED})


async def follow(session: Session, plan_id: str, *, now: datetime) -> list[CardPayment]:
    """Do all that follows from how a plan and its first payments stand, and give the payments to ask the vault about.

    Locks: the plan, its open first payments, accounts.
    """
    plan = await rows.load_plan(session, plan_id, lock=True)
    asked = []
    for payment_id in await open_first_payments(session, plan.id):
        payment = await cards.load_payment(session, payment_id, lock=True)
        plan = await _follow_one(session, plan, payment, now)
        payment = await cards.load_payment(session, payment_id)
        if payment.status in UNSURE:
            asked.append(payment)
    return asked


async def complete_if_paid(session: Session, plan_id: str, *, now: datetime) -> Plan:
    """A committed plan whose first installment came another way than by its hold is paid to the merchant too.

    Gives the plan as it stands after it.

    Locks: the plan.
    """
    plan = await rows.load_plan(session, plan_id, lock=True)
    if plan.status is not PlanStatus.COMMITTED or await open_first_payments(session, plan_id):
        return plan
    installments = (await load_installments(session, [plan_id])).get(plan_id, ())
    if all(part.unpaid == 0 for part in installments if part.number == 1):
        return await committing.complete(session, plan, now=now)
    return plan


async def take_first_installment(session: Session, plan: Plan, *, now: datetime) -> None:
    """Begin to take the first installment of a plan just committed, of what is held for it; the rest is let go.

    If the bank holds nothing any more, the installment is collected like any other.
    Locks: the first payment.
    """
    if plan.first_payment_id is None:
        return
    payment = await cards.load_payment(session, plan.first_payment_id, lock=True)
    if payment.status is not CardPaymentStatus.AUTHORISED:
        return
    first = await accepting.first_installment(session, plan)
    await begin_capture(session, payment.id, min(first.amount, payment.amount), merchant_id=None, now=now)


async def void_first_payments(session: Session, plan: Plan, *, now: datetime) -> None:
    """Begin to let go of all that is held for a plan that is over. Locks: its first payments."""
    if plan.status not in OVER:
        return
    for payment_id in await open_first_payments(session, plan.id):
        await _let_go(session, await cards.load_payment(session, payment_id, lock=True), now)


async def _follow_one(session: Session, plan: Plan, payment: CardPayment, now: datetime) -> Plan:
    if payment.status in UNSURE:
        return plan
    if payment.status is CardPaymentStatus.CAPTURED:
        return await _after_capture(session, plan, payment, now)
    if payment.status is CardPaymentStatus.AUTHORISED:
        return await _after_hold(session, plan, payment, now)
    return await _after_refusal(session, plan, payment, now)


async def _after_hold(session: Session, plan: Plan, payment: CardPayment, now: datetime) -> Plan:
    """Held: the plan waits for its commit. Whoever comes too late, or could not be captured, is let go."""
    is_current = payment.id == plan.first_payment_id
    if is_current and plan.status is PlanStatus.APPROVED:
        plan = await accepting.hold_succeeded(session, plan, now=now)
        await vouchers.book_hold(session, plan, payment.amount, now=now)
    if is_current and plan.status is PlanStatus.WAIT_FOR_COMMIT:
        return await commit_by_itself(session, plan, now=now)
    await _let_go(session, payment, now)
    return plan


async def commit_by_itself(session: Session, plan: Plan, *, now: datetime) -> Plan:
    """A plan that waits for its commit, committed at once where its terms say so. Locks: as a commit.

    One that pays for an order is left to ``plan_paying``: the order's points are booked before the plan's money.
    """
    product = await rows.load_product(session, plan.product_code, plan.product_version)
    is_late = plan.expires_at is not None and plan.expires_at <= now
    if not product.is_committed_at_once or is_late or await bureau.is_awaited(session, plan.id):
        return plan
    if await _pays_an_order(session, plan.id):
        return plan
    committed, _ = await committing.commit_plan(session, plan.id, CommitRequest(), BY_ITSELF, now=now)
    await take_first_installment(session, committed, now=now)
    return committed


async def _pays_an_order(session: Session, plan_id: str) -> bool:
    found = await session.scalar(
        text("SELECT true FROM plan_attempts WHERE plan_id = :id AND settled_at IS NULL"), {"id": plan_id}
    )
    return found is not None


async def _after_refusal(session: Session, plan: Plan, payment: CardPayment, now: datetime) -> Plan:
    """Refused or let go: an approved plan takes another card, one that waits is lost, a committed one is collected."""
    is_current = payment.id == plan.first_payment_id
    if is_current:
        await vouchers.book_hold_released(session, plan, now=now)
    if is_current and plan.status is PlanStatus.APPROVED:
        return await accepting.hold_refused(session, plan, payment.reason or "voided", now=now)
    await settle_first_payment(session, payment.id, now=now)
    if is_current and plan.status is PlanStatus.WAIT_FOR_COMMIT:
        return await cancelling.end_canceled(session, plan, CancelReason.HOLD_LOST, BY_ITSELF, now=now)
    return plan


async def _after_capture(session: Session, plan: Plan, payment: CardPayment, now: datetime) -> Plan:
    """Taken: told to the plan once, by the payment's id, and the order is paid to the merchant."""
    assert plan.status in COMMITTED, "money is taken at the commit only"
    told = await record_all(session, await _movements_of(session, plan, payment, now), now=now)
    await settle_first_payment(session, payment.id, now=now)
    plan = told[-1].plan
    if plan.status is PlanStatus.COMMITTED:
        return await committing.complete(session, plan, now=now)
    return plan


async def _movements_of(session: Session, plan: Plan, payment: CardPayment, now: datetime) -> list[Movement]:
    """The down payment; and what the hold lacked of a first installment cut anew, spread over those to come.

    A commit for less can leave a kopeck or two more on the first installment than was held for it.
    Source: DECISIONS.md, "The first installment".
    """
    held_at = _held_at(plan, payment)
    paid = Movement(
        new_id("mov", now), plan.id, MovementKind.DOWN_PAYMENT, payment.captured, held_at, payment.id
    )  # fmt: skip
    first = await accepting.first_installment(session, plan)
    if payment.captured >= first.amount:
        return [paid]
    rest = f"{payment.id}:rest"
    return [paid, Movement(new_id("mov", now), plan.id, MovementKind.RE_AMORTISE, Kopecks(0), held_at, rest)]


def _held_at(plan: Plan, payment: CardPayment) -> datetime:
    """When the buyer gave the money: when it was held, on the day of the contract at the latest.

    The merchant may commit days later, and a card may be tried past midnight: neither makes the buyer late.
    """
    assert plan.contract_on is not None
    if moscow_day(payment.created_at) <= plan.contract_on:
        return payment.created_at
    midnight = datetime.combine(plan.contract_on + timedelta(days=1), time(), MOSCOW)
    return (midnight - timedelta(microseconds=1)).astimezone(payment.created_at.tzinfo)


async def _let_go(session: Session, payment: CardPayment, now: datetime) -> None:
    if payment.status is not CardPaymentStatus.AUTHORISED:
        return
    if payment.reason == VOID_REFUSED:  # the acquirer will not: the hold ends by itself
        await settle_first_payment(session, payment.id, now=now)
        return
    voiding = replace(advance(payment, CardPaymentStatus.VOIDING, now=now), next_look_at=now)
    await cards.save_payment(session, voiding)
