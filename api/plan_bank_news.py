"""What banks tell the house by hand: money that came straight to our account, payments taken back, settlements.

All are known by the bank's own reference, so the same news is booked once, under whatever key it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from checkout import card_payment_rows as cards
from installments import repository as rows
from installments import vouchers
from installments.buyer_errors import ReturnAboveOverpaid
from installments.clearing import BANK_REFERENCE, CARD_REFERENCE, clearing_accounts, operator_of
from installments.debt_sales import check_not_sold
from installments.disputing import open_dispute, open_dispute_of
from installments.errors import MovementDiffers, UndoneMovementUnknown
from installments.merchant_money import lock_money
from installments.movement_rows import load_movements
from installments.movements import Movement, MovementKind
from installments.overpayments import BankReturn, add_bank_return, find_bank_return, refused_by_cards
from installments.plan import Plan, Standing
from installments.recording import record_all
from installments.telling import PlanActor, tell
from ledger import chart
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage


@dataclass(frozen=True, slots=True)
class BankPayment:
    """Money of a buyer on our own bank account."""

    plan_id: str
    amount: Kopecks
    bank_reference: str
    paid_on: date | None = None
    """The Moscow day on which it came; none: now. Penalty stops on it."""


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A card payment that its bank took back, in part or whole."""

    plan_id: str
    movement_id: str
    """The payment."""
    amount: Kopecks
    fee: Kopecks
    """Of the acquirer, on top."""
    bank_reference: str


async def record_bank_payment(session: Session, payment: BankPayment, by: PlanActor, *, now: datetime) -> Plan:
    """Tell a plan of money that came by itself; of a debt written off it is a recovery.

    Дт asset:operator_bank                Кт as ``vouchers.payment`` lists
    Raises: PlanNotFound, PlanNotCommitted, DebtSold, MovementDiffers, MovementInFuture, MovementBeforePlan. Locks: the
    plan, accounts.
    """
    plan = await rows.load_plan(session, payment.plan_id, lock=True)
    is_lost = plan.standing is Standing.WRITTEN_OFF
    reference = f"{BANK_REFERENCE}:{payment.bank_reference}"
    known = (await load_movements(session, [plan.id])).get(plan.id, ())
    if not any(one.reference == reference for one in known):
        await check_not_sold(session, [plan.id])
    first = next((one.kind for one in known if one.reference == reference), None)
    kind = first or (MovementKind.RECOVERY if is_lost else MovementKind.INSTALLMENT_PAYMENT)
    movement = Movement(
        new_id("mov", now), plan.id, kind, payment.amount, _happened_at(payment.paid_on, now), reference
    )  # fmt: skip
    (told,) = await record_all(session, [movement], now=now)
    if told.is_new:
        facts: dict[str, str | int | bool] = {"amount_kopecks": int(payment.amount), "movement_id": told.movement.id}
        await tell(session, told.plan, "bank_payment_told", by, now=now, facts=facts)
    return told.plan


async def record_bank_return(session: Session, back: BankReturn, by: PlanActor, *, now: datetime) -> Plan:
    """Tell a plan that a person has sent what its buyer paid too much back, from our own bank account. What no card
    would take goes first: it is off the plan already.

    Дт liability:plan_overpayment         Кт liability:plan_refund_payable      what no card was asked to take
    Дт liability:plan_refund_payable      Кт asset:operator_bank

    Never dated before what made it, or its replay would take it for a new debt.
    Raises: PlanNotFound, PlanNotCommitted, ReturnAboveOverpaid, MovementDiffers if another transfer has the reference.
    Locks: the plan, accounts.
    """
    plan = await rows.load_plan(session, back.plan_id, lock=True)
    known = await find_bank_return(session, back.bank_reference)
    if known == back:
        return plan
    if known is not None:
        raise MovementDiffers(reference=back.bank_reference)
    refused = await refused_by_cards(session, plan.id)
    if back.amount > plan.overpaid + refused:
        raise ReturnAboveOverpaid(plan_id=plan.id, overpaid_kopecks=int(plan.overpaid + refused))
    of_cards = Kopecks(max(min(back.amount, refused), 0))
    await vouchers.lock_accounts(session, [])
    if not await add_bank_return(session, back, of_cards, now=now):
        raise MovementDiffers(reference=back.bank_reference)
    if back.amount > of_cards:
        plan = await _take_off(session, plan, Kopecks(back.amount - of_cards), back.bank_reference, now)
    await vouchers.pay_credit_by_bank(session, back.amount, reference=back.bank_reference, now=now)
    facts: dict[str, str | int | bool] = {"amount_kopecks": int(back.amount), "refused_kopecks": int(of_cards)}
    await tell(session, plan, "credit_returned", by, now=now, facts=facts)
    return plan


async def _take_off(session: Session, plan: Plan, amount: Kopecks, bank_reference: str, now: datetime) -> Plan:
    """The part of an overpayment that leaves its plan with a transfer."""
    known = (await load_movements(session, [plan.id])).get(plan.id, ())
    at, reference = max([now, *(one.happened_at for one in known)]), f"returned:{BANK_REFERENCE}:{bank_reference}"
    movement = Movement(new_id("mov", now), plan.id, MovementKind.CREDIT_REFUND, amount, at, reference)
    (told,) = await record_all(session, [movement], now=now)
    return told.plan


async def record_chargeback(session: Session, chargeback: Chargeback, by: PlanActor, *, now: datetime) -> Plan:
    """Tell a plan that a bank took one of its card payments back: that much is owed again, and in dispute.

    Дт and Кт as ``vouchers.chargeback``, ``vouchers.book_chargeback_taken`` and ``disputing.open_dispute`` list them.
    Raises: PlanNotFound, PlanNotCommitted, UndoneMovementUnknown if it is no card payment of this plan,
    ChargebackAboveRest, MovementDiffers. Locks: the plan, the merchant's plan money, accounts.
    """
    plan = await rows.load_plan(session, chargeback.plan_id, lock=True)
    acquirer_id = await _acquirer_of(session, plan, chargeback.movement_id)
    movement = Movement(
        new_id("mov", now), plan.id, MovementKind.CHARGEBACK, chargeback.amount, now,
        f"chargeback:{chargeback.bank_reference}", undoes=chargeback.movement_id,
    )  # fmt: skip
    clearing, by_sbp = clearing_accounts(await operator_of(session))
    await lock_money(session, plan.merchant_id)
    of_merchant = chart.plan_payable(plan.merchant_id), chart.plan_reserve(plan.merchant_id)
    await vouchers.lock_accounts(session, [chart.card_settlement(acquirer_id), clearing, by_sbp, *of_merchant])
    (told,) = await record_all(session, [movement], now=now)
    if told.is_new:
        await vouchers.book_chargeback_taken(
            session, acquirer_id, clearing, chargeback.amount, chargeback.fee, reference=told.movement.id, now=now
        )
        facts: dict[str, str | int | bool] = {
            "amount_kopecks": int(chargeback.amount), "fee_kopecks": int(chargeback.fee),
            "payment_movement_id": chargeback.movement_id,
        }  # fmt: skip
        await tell(session, told.plan, "chargeback_told", by, now=now, facts=facts)
        await _dispute(session, chargeback, by, now)
    return await rows.load_plan(session, plan.id)


async def _dispute(session: Session, chargeback: Chargeback, by: PlanActor, now: datetime) -> None:
    """Nothing more is collected from a buyer who has gone to the bank, until a person has ruled. DECISIONS.md, 27."""
    if await open_dispute_of(session, chargeback.plan_id) is None:
        reason = f"chargeback {chargeback.bank_reference}"
        await open_dispute(session, chargeback.plan_id, reason, by, dispute_id=new_id("dsp", now), now=now)


async def record_settlement(
    session: Session, acquirer_id: str, gross: Kopecks, fee: Kopecks, by: PlanActor, *, bank_reference: str,
    now: datetime,
) -> None:  # fmt: skip
    """An acquirer's money for installments came to our bank account, less its fee.

    Дт and Кт as ``vouchers.book_acquirer_settlement`` lists them. Raises: EntryRejected. Locks: accounts.
    """
    reference = f"{acquirer_id}:{bank_reference}"
    await vouchers.book_acquirer_settlement(session, acquirer_id, gross, fee, reference=reference, now=now)
    facts: dict[str, str | int | bool] = {
        "gross_kopecks": int(gross), "fee_kopecks": int(fee), "bank_reference": bank_reference,
    }  # fmt: skip
    told = AuditEvent("plan.acquirer_settled", by.actor, by.origin, f"acquirer:{acquirer_id}", now, facts=facts)
    await stage(session, [told])


async def _acquirer_of(session: Session, plan: Plan, movement_id: str) -> str:
    known = (await load_movements(session, [plan.id])).get(plan.id, ())
    paid = next((one for one in known if one.id == movement_id and one.reference.startswith(CARD_REFERENCE)), None)
    payment = None if paid is None else await cards.find_payment(session, paid.reference)
    if payment is None or payment.acquirer_id is None:
        raise UndoneMovementUnknown(undoes=movement_id)
    return payment.acquirer_id


def _happened_at(paid_on: date | None, now: datetime) -> datetime:
    """Noon of the day, so that it is that day's however the hour is told."""
    if paid_on is None or paid_on == moscow_day(now):
        return now
    return datetime.combine(paid_on, time(12), MOSCOW).astimezone(now.tzinfo)
