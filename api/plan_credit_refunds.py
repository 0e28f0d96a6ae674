"""What buyers paid above the debt, on its way back to the cards it came from.

The movement takes it off the plan, the till sets it aside and the vault is asked; a refusal tries the next card payment
of the plan, and when there is none left a person is told. Locks: the plan, then its card payments, then accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout import card_payment_rows as cards
from checkout.card_payments import CardPayment, CardPaymentStatus, CardRefund, CardRefundStatus
from checkout.card_refunding import request_refund
from installments import repository as rows
from installments import vouchers
from installments.clearing import clearing_accounts, operator_of
from installments.movement_rows import load_movements
from installments.movements import Movement, MovementKind
from installments.plan import Plan
from installments.reckoning import PAYMENTS
from installments.recording import record
from installments.telling import BY_ITSELF, tell
from ledger import chart
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks

REASON = "Возврат переплаты по рассрочке"


async def follow_credit(session: Session, plan_id: str, *, now: datetime) -> tuple[list[CardRefund], bool]:
    """Begin to give back what a plan owes its buyer, end what the bank has decided.

    Gives what to ask about, and whether anything was begun or ended: then accounts are locked.
    Locks: the plan, its card payments, accounts.
    """
    plan = await rows.load_plan(session, plan_id, lock=True)
    opened = [(await cards.load_refund(session, row.card_refund_id), row) for row in await _open(session, plan.id)]
    ended = [(refund, row.movement_id) for refund, row in opened if refund.is_final]
    payments = await _payments(session, plan) if plan.overpaid > 0 or ended else []
    if not ended and not any(payment.rest > 0 for payment in payments):
        return [refund for refund, _ in opened], False
    await _lock_accounts(session, payments)
    for refund, movement_id in ended:
        await _end(session, plan, refund, movement_id, now)
    plan = await rows.load_plan(session, plan_id, lock=True)
    if plan.overpaid > 0:
        await _begin(session, plan, now)
    return [await cards.load_refund(session, row.card_refund_id) for row in await _open(session, plan.id)], True


async def _lock_accounts(session: Session, payments: Sequence[CardPayment]) -> None:
    """Everything that giving money back may move: plan, clearing and card each book for themselves."""
    operator_id = await operator_of(session)
    settled = {chart.card_settlement(payment.acquirer_id) for payment in payments if payment.acquirer_id is not None}
    codes = {*clearing_accounts(operator_id), chart.fee_receivable(operator_id), *settled}
    await vouchers.lock_accounts(session, codes)


async def _begin(session: Session, plan: Plan, now: datetime) -> None:
    """Take the overpayment off the plan, card payment by card payment, the newest first.

    Never dated before what made it, or its replay would take it for a new debt: a clock behind the others waits.
    """
    movements = (await load_movements(session, [plan.id])).get(plan.id, ())
    if any(movement.happened_at > now for movement in movements):
        return
    left = plan.overpaid
    for payment in await _payments(session, plan):
        part = Kopecks(min(left, payment.rest))
        if part > 0:
            refund_id = new_id("ref", now)
            movement = Movement(
                new_id("mov", now), plan.id, MovementKind.CREDIT_REFUND, part, now, f"returned:{refund_id}"
            )  # fmt: skip
            await record(session, plan.id, movement, now=now)
            await _request(session, plan, payment, part, refund_id, movement.id, now)
            left = Kopecks(left - part)


async def _request(
    session: Session, plan: Plan, payment: CardPayment, amount: Kopecks, refund_id: str, movement_id: str, now: datetime
) -> None:
    clearing, _ = clearing_accounts(await operator_of(session))
    await vouchers.fund_credit_refund(session, clearing, amount, reference=refund_id, now=now)
    await request_refund(
        session, refund_id, payment.id, amount_kopecks=int(amount), reason=REASON, merchant_id=None, now=now
    )
    await session.execute(
        text("""INSERT INTO plan_credit_refunds (card_refund_id, plan_id, payment_id, amount_kopecks, movement_id,
                    created_at) VALUES (:id, :plan_id, :payment_id, :amount, :movement_id, :now)"""),
        {
            "id": refund_id, "plan_id": plan.id, "payment_id": payment.id, "amount": int(amount),
            "movement_id": movement_id, "now": now,
        },
    )  # fmt: skip


async def _end(session: Session, plan: Plan, refund: CardRefund, movement_id: str, now: datetime) -> None:
    await session.execute(
        text("UPDATE plan_credit_refunds SET ended_at = :now, is_refused = :is_refused WHERE card_refund_id = :id"),
        {"id": refund.id, "now": now, "is_refused": refund.status is not CardRefundStatus.SUCCEEDED},
    )
    if refund.status is CardRefundStatus.SUCCEEDED:
        facts: dict[str, str | int | bool] = {"amount_kopecks": int(refund.amount), "card_refund_id": refund.id}
        await tell(session, plan, "credit_refunded", BY_ITSELF, now=now, facts=facts)
        return
    clearing, _ = clearing_accounts(await operator_of(session))
    await vouchers.take_back_credit_refund(session, clearing, refund.amount, reference=refund.id, now=now)
    await _try_others(session, plan, refund, movement_id, now)


async def _try_others(session: Session, plan: Plan, refused: CardRefund, movement_id: str, now: datetime) -> None:
    """Another card payment of the plan takes what one would not; what none takes is left to a person."""
    left = refused.amount
    avoided = {row.payment_id for row in await _all(session, plan.id) if row.is_refused}
    for payment in await _payments(session, plan):
        part = Kopecks(min(left, payment.rest))
        if payment.id not in avoided and part > 0:
            await _request(session, plan, payment, part, new_id("ref", now), movement_id, now)
            left = Kopecks(left - part)
    if left > 0:
        facts: dict[str, str | int | bool] = {"amount_kopecks": int(left), "reason": refused.refusal or "other"}
        await tell(session, plan, "credit_refund_refused", BY_ITSELF, now=now, facts=facts)


async def _payments(session: Session, plan: Plan) -> list[CardPayment]:
    """Captured card payments that the plan was told of, the newest first."""
    movements = (await load_movements(session, [plan.id])).get(plan.id, ())
    named = [_payment_id(movement.reference) for movement in movements if movement.kind in PAYMENTS]
    found = [await cards.find_payment(session, each, lock=True) for each in sorted({each for each in named if each})]
    taken = [each for each in found if each is not None and each.status is CardPaymentStatus.CAPTURED]
    return sorted(taken, key=lambda each: each.id, reverse=True)


def _payment_id(reference: str) -> str | None:
    """References of movements paid by card are, or end with, the card payment's id."""
    last = reference.rsplit(":", 1)[-1]
    return last if last.startswith("cpy_") else None


async def _open(session: Session, plan_id: str) -> Sequence[Row[Any]]:
    return [row for row in await _all(session, plan_id) if row.ended_at is None]


async def _all(session: Session, plan_id: str) -> Sequence[Row[Any]]:
    found = await session.execute(
        text("""SELECT c.card_refund_id, c.payment_id, c.movement_id, c.ended_at, r.status = 'refused' AS is_refused
                  FROM plan_credit_refunds AS c JOIN card_refunds AS r ON r.id = c.card_refund_id
                 WHERE c.plan_id = :plan_id ORDER BY c.card_refund_id"""),
        {"plan_id": plan_id},
    )
    return list(found)
