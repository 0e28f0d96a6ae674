"""Vouchers of payments by card: money taken, set aside for a refund, given back.

An authorisation is booked nowhere: until the capture the money is the buyer's, and nobody owes anybody. What merchants
are owed for cards stands apart from what they are owed for SBP: an acquirer settles on days of its own, and a payout
takes only money that a bank already holds for us.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from checkout.card_payments import CardPayment, CardRefund
from checkout.errors import CardRefundNotCovered
from ledger import accounts, chart, holds, journal
from ledger.accounts import AccountTerms
from ledger.database import Session
from ledger.entry import Entry, Posting, Refused
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.money import Kopecks


async def book_capture(session: Session, payment: CardPayment, *, now: datetime) -> None:
    """A buyer paid by card: the acquirer owes us the money and we owe it to the merchant, less our fee.

    Дт asset:card_settlement:<acquirer>      Кт liability:card_payable:<merchant>      captured
    Дт liability:card_payable:<merchant>     Кт income:fee:card                        our fee, when there is one

    The reference is the payment's id, so nothing books it twice.
    Raises: EntryRejected. Locks: the accounts, in their one order.
    """
    await _open_accounts(session, payment, now)
    (verdict,) = await journal.post_batch(session, [capture_voucher(payment)], now=now)
    if isinstance(verdict, Refused):
        raise verdict.error()


def capture_voucher(payment: CardPayment) -> Entry:
    """Дт and Кт as ``book_capture`` lists them."""
    assert payment.acquirer_id is not None
    assert payment.captured_at is not None
    owner = chart.card_payable(payment.merchant_id)
    postings = [Posting(chart.card_settlement(payment.acquirer_id), owner, payment.captured)]
    if payment.fee > 0:
        postings.append(Posting(owner, chart.CARD_FEE_INCOME, payment.fee))
    return Entry(
        id=payment.entry_id,
        reference=f"card_payment:{payment.id}",
        kind="card.payment",
        happened_at=payment.captured_at,
        postings=tuple(postings),
        metadata={"payment_id": payment.id, "merchant_id": payment.merchant_id},
    )


async def available_for(session: Session, payment: CardPayment) -> int:
    """Kopecks of the merchant that are not set aside for something else."""
    account = await accounts.find_account(session, chart.card_payable(payment.merchant_id))
    return 0 if account is None else account.available


async def reserve_refund(
    session: Session, refund_id: str, payment: CardPayment, amount: Kopecks, fee_billed: Kopecks, *, now: datetime
) -> tuple[UUID | None, UUID | None]:
    """Set a refund's money aside, so that no payout or other refund can take it.

    Дт asset:fee_receivable:<merchant>       Кт asset:card_settlement:<acquirer>       our fee, billed if it lacks
    Дт liability:card_payable:<merchant>     Кт asset:card_settlement:<acquirer>       the rest

    Held, booked when the acquirer has given the money back.
    Raises: CardRefundNotCovered. Locks: the accounts of both holds, as SBP's refunds do.
    """
    assert payment.acquirer_id is not None
    money, fee_hold_id = chart.card_settlement(payment.acquirer_id), None
    if fee_billed > 0:
        bill = chart.fee_receivable(payment.merchant_id)
        await accounts.open_account(session, AccountTerms(bill), now=now)
        fee_hold_id = await _hold(session, f"card_refund_fee:{refund_id}", payment, bill, money, fee_billed, now)
    own, owner = Kopecks(amount - fee_billed), chart.card_payable(payment.merchant_id)
    return await _hold(session, f"card_refund:{refund_id}", payment, owner, money, own, now), fee_hold_id


async def book_refund(session: Session, refund: CardRefund, *, now: datetime) -> UUID:
    """Book what ``reserve_refund`` set aside: the buyer has the money. Gives the merchant's own part's entry.

    Дт and Кт as ``reserve_refund`` lists them. Locks: the holds, and their accounts.
    """
    entries = [
        await holds.post_part(
            session, hold_id, reference=f"{name}_moved:{refund.id}", happened_at=now, now=now,
            metadata={"refund_id": refund.id, "payment_id": refund.payment_id, "merchant_id": refund.merchant_id},
        )
        for name, hold_id in _holds_of(refund)
    ]  # fmt: skip
    return entries[-1]


async def release_refund(session: Session, refund: CardRefund, *, now: datetime) -> None:
    """Give back what was set aside: nothing moved, nothing is booked."""
    for name, hold_id in _holds_of(refund):
        await holds.release(session, hold_id, reference=f"{name}_released:{refund.id}", happened_at=now)


def _holds_of(refund: CardRefund) -> list[tuple[str, UUID]]:
    both = (("card_refund_fee", refund.fee_hold_id), ("card_refund", refund.hold_id))
    return [(name, hold_id) for name, hold_id in both if hold_id is not None]


async def _open_accounts(session: Session, payment: CardPayment, now: datetime) -> None:
    assert payment.acquirer_id is not None
    for code in (chart.card_settlement(payment.acquirer_id), chart.CARD_FEE_INCOME):
        await accounts.open_account(session, AccountTerms(code), now=now)
    await accounts.open_account(
        session, AccountTerms(chart.card_payable(payment.merchant_id), available_min=0), now=now
    )


async def _hold(
    session: Session, reference: str, payment: CardPayment, debit: str, credit: str, amount: Kopecks, now: datetime
) -> UUID | None:
    if amount == 0:
        return None
    request = HoldRequest(
        reference=reference, kind="card.refund", debit=debit, credit=credit, amount=amount, happened_at=now,
        metadata={"payment_id": payment.id, "merchant_id": payment.merchant_id},
    )  # fmt: skip
    try:
        return (await holds.place(session, request, now=now)).id
    except EntryRejected as refusal:
        if refusal.code != "ledger.overdrawn":
            raise
        raise CardRefundNotCovered(amount_kopecks=int(amount)) from None
