"""Vouchers of refunds: the money set aside, given back to the buyer, or released. By settlement mode."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ledger import accounts, chart, holds
from ledger.database import Session
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.money import Kopecks
from sbp_gateway.bookkeeping import PaymentSides, sides_of
from sbp_gateway.errors import RefundNotCovered
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refunds import Refund, RefundablePayment


async def reserve(
    session: Session, refund_id: str, payment: RefundablePayment, amount: Kopecks, fee_returned: Kopecks, *,
    now: datetime,
) -> tuple[UUID | None, UUID | None]:  # fmt: skip
    """Set a refund's money aside, so that no payout or other refund can take it: the payment's sides, turned round.

    collected        Дт liability:merchant_payable:<merchant> Кт asset:sbp_settlement:<member>  amount less fee
                     Дт income:fee:sbp                        Кт asset:sbp_settlement:<member>  our fee given back
    collected, late  Дт liability:late_receipts:sbp           Кт asset:sbp_settlement:<member>  amount
    direct           Дт memo:sbp_direct_sales:<merchant>      Кт memo:sbp_direct:<merchant>     amount
                     Дт income:fee:sbp                        Кт asset:fee_receivable:<merchant> our fee given back
    direct, late     Дт memo:sbp_direct_late:<merchant>       Кт memo:sbp_direct:<merchant>     amount

    Held, booked when the money has moved. Our fee is given back only where the installation says so.
    Raises: RefundNotCovered. Locks: the accounts, in the order of their codes.
    """
    sides = sides_of(
        payment.settlement_mode, merchant_id=payment.merchant_id, member_id=payment.member_id, is_late=payment.is_late
    )
    is_direct = payment.settlement_mode is SettlementMode.DIRECT
    needed = amount if is_direct else Kopecks(amount - fee_returned)
    await _refuse_uncovered(session, sides.owner, needed)
    hold_id = await _hold(session, f"sbp_refund:{refund_id}", payment, sides, needed, now)
    fee_money = chart.fee_receivable(payment.merchant_id) if is_direct else sides.money
    fee_sides = PaymentSides(money=fee_money, owner=chart.SBP_FEE_INCOME)
    fee_hold_id = await _hold(session, f"sbp_refund_fee:{refund_id}", payment, fee_sides, fee_returned, now)
    return hold_id, fee_hold_id


async def book_moved(session: Session, refund: Refund, *, now: datetime) -> UUID:
    """Book what ``reserve`` set aside: the buyer has the money. Gives the first entry's id.

    Дт and Кт as ``reserve`` lists them for the payment's settlement mode.

    Raises: EntryRejected if the holds are not open. Locks: the holds and their accounts.
    """
    entries = [
        await holds.post_part(
            session, hold_id, reference=f"{name}_moved:{refund.id}", happened_at=now, now=now,
            metadata={"refund_id": refund.id, "payment_id": refund.payment_id, "merchant_id": refund.merchant_id},
        )
        for name, hold_id in _holds_of(refund)
    ]  # fmt: skip
    return entries[0]


async def release(session: Session, refund: Refund, *, now: datetime) -> None:
    """Give back what was set aside: nothing moved, nothing is booked. Locks: the holds and their accounts."""
    for name, hold_id in _holds_of(refund):
        await holds.release(session, hold_id, reference=f"{name}_released:{refund.id}", happened_at=now)


def _holds_of(refund: Refund) -> list[tuple[str, UUID]]:
    both = (("sbp_refund", refund.hold_id), ("sbp_refund_fee", refund.fee_hold_id))
    return [(name, hold_id) for name, hold_id in both if hold_id is not None]


async def _refuse_uncovered(session: Session, owner: str, needed: Kopecks) -> None:
    account = await accounts.find_account(session, owner)
    available = 0 if account is None else account.available
    if needed > available:
        raise RefundNotCovered(needed_kopecks=int(needed), available_kopecks=max(available, 0))


async def _hold(
    session: Session, reference: str, payment: RefundablePayment, sides: PaymentSides, amount: Kopecks, now: datetime
) -> UUID | None:
    if amount == 0:
        return None
    request = HoldRequest(
        reference=reference, kind="sbp.refund", debit=sides.owner, credit=sides.money, amount=amount, happened_at=now,
        metadata={"payment_id": payment.id, "merchant_id": payment.merchant_id},
    )  # fmt: skip
    try:
        return (await holds.place(session, request, now=now)).id
    except EntryRejected as refusal:
        if refusal.code != "ledger.overdrawn":
            raise
        raise RefundNotCovered(needed_kopecks=int(amount)) from None
