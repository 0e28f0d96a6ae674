"""Vouchers of refunds: the money set aside, given back to the buyer, or released. By settlement mode."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from ledger import accounts, chart, holds
from ledger.accounts import AccountTerms
from ledger.database import Session
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.money import Kopecks
from sbp_gateway.bookkeeping import PaymentSides, sides_of
from sbp_gateway.errors import RefundNotCovered
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refund_rows import load_payment
from sbp_gateway.refunds import Refund, RefundablePayment, RefundCover


async def available_for(session: Session, payment: RefundablePayment) -> int:
    """Kopecks of the payment's owner that are not set aside for something else."""
    account = await accounts.find_account(session, _sides(payment).owner)
    return 0 if account is None else account.available


async def reserve(
    session: Session, refund_id: str, payment: RefundablePayment, cover: RefundCover, *, now: datetime
) -> tuple[UUID | None, UUID | None]:
    """Set a refund's money aside, so that no payout or other refund can take it: the payment's sides, turned round.

    collected        Дт liability:merchant_payable:<merchant> Кт asset:sbp_settlement:<member>  the merchant's part
                     Дт income:fee:sbp                        Кт asset:sbp_settlement:<member>  our fee given back
                     Дт asset:fee_receivable:<merchant>       Кт asset:sbp_settlement:<member>  or our fee billed
    collected, late  Дт liability:late_receipts:sbp           Кт asset:sbp_settlement:<member>  amount
    direct           Дт memo:sbp_direct_sales:<merchant>      Кт memo:sbp_direct:<merchant>     amount
                     Дт income:fee:sbp                        Кт asset:fee_receivable:<merchant> our fee given back
    direct, late     Дт memo:sbp_direct_late:<merchant>       Кт memo:sbp_direct:<merchant>     amount

    Held, booked when the money has moved. The fee is given back or billed, never both. Source: DECISIONS.md, 30.
    Raises: RefundNotCovered. Locks: the accounts of both holds, in their one order: those of our fee
    (``asset``, ``income``) come before ``liability`` and after ``memo``.
    """
    sides = _sides(payment)
    fee_sides, fee = PaymentSides(money=sides.money, owner=chart.SBP_FEE_INCOME), cover.fee_returned
    bill = chart.fee_receivable(payment.merchant_id)
    if payment.settlement_mode is SettlementMode.DIRECT:
        fee_sides = replace(fee_sides, money=bill)
    elif cover.fee_billed > 0:
        fee_sides, fee = replace(fee_sides, owner=bill), cover.fee_billed
        await accounts.open_account(session, AccountTerms(bill), now=now)
    if payment.settlement_mode is SettlementMode.DIRECT:
        own_hold_id = await _hold(session, f"sbp_refund:{refund_id}", payment, sides, cover.own, now)
        return own_hold_id, await _hold(session, f"sbp_refund_fee:{refund_id}", payment, fee_sides, fee, now)
    fee_hold_id = await _hold(session, f"sbp_refund_fee:{refund_id}", payment, fee_sides, fee, now)
    return await _hold(session, f"sbp_refund:{refund_id}", payment, sides, cover.own, now), fee_hold_id


def _sides(payment: RefundablePayment) -> PaymentSides:
    return sides_of(
        payment.settlement_mode, merchant_id=payment.merchant_id, member_id=payment.member_id, is_late=payment.is_late
    )


async def book_moved(session: Session, refund: Refund, *, now: datetime) -> UUID:
    """Book what ``reserve`` set aside: the buyer has the money. Gives the own part's entry, if it has one.

    Дт and Кт as ``reserve`` lists them for the payment's settlement mode.

    Raises: EntryRejected if the holds are not open. Locks: the holds, and their accounts as ``reserve`` does.
    """
    entry_id = None
    for name, hold_id in await _holds_of(session, refund):
        booked = await holds.post_part(
            session, hold_id, reference=f"{name}_moved:{refund.id}", happened_at=now, now=now,
            metadata={"refund_id": refund.id, "payment_id": refund.payment_id, "merchant_id": refund.merchant_id},
        )  # fmt: skip
        entry_id = booked if entry_id is None or hold_id == refund.hold_id else entry_id
    assert entry_id is not None
    return entry_id


async def release(session: Session, refund: Refund, *, now: datetime) -> None:
    """Give back what was set aside: nothing moved, nothing is booked. Locks: as ``book_moved``."""
    for name, hold_id in await _holds_of(session, refund):
        await holds.release(session, hold_id, reference=f"{name}_released:{refund.id}", happened_at=now)


async def _holds_of(session: Session, refund: Refund) -> list[tuple[str, UUID]]:
    """In the order of locks that ``reserve`` keeps to: the fee's first, of a direct merchant last."""
    both = (("sbp_refund_fee", refund.fee_hold_id), ("sbp_refund", refund.hold_id))
    found = [(name, hold_id) for name, hold_id in both if hold_id is not None]
    if len(found) > 1 and (await load_payment(session, refund.payment_id)).settlement_mode is SettlementMode.DIRECT:
        found.reverse()
    return found


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
        raise RefundNotCovered(amount_kopecks=int(amount)) from None
