"""Vouchers of SBP: what the books say when a payment comes in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger import chart, journal
from ledger.database import Session
from ledger.entry import Entry, Posting, Refused
from sbp_gateway.payments import Payment


async def book_payments(session: Session, payments: Sequence[Payment], *, now: datetime) -> None:
    """Book payments that came in, each by the voucher it calls for.

    Raises: EntryRejected if the books refuse one; the session must be rolled back then.
    Locks: the accounts of all payments, in the order of their codes.
    """
    entries = [late_voucher(payment) if payment.is_late else payment_voucher(payment) for payment in payments]
    for verdict in await journal.post_batch(session, entries, now=now):
        if isinstance(verdict, Refused):
            raise verdict.error()


def payment_voucher(payment: Payment) -> Entry:
    """A buyer paid an order; the money is with the merchant's bank of settlement and owed to the merchant.

    Дт asset:sbp_settlement:<member>        Кт liability:merchant_payable:<merchant>  gross
    Дт liability:merchant_payable:<merchant> Кт income:fee:sbp                        our fee, when there is one
    """
    payable = chart.merchant_payable(payment.merchant_id)
    postings = [Posting(chart.sbp_settlement(payment.member_id), payable, payment.amount)]
    if payment.fee > 0:
        postings.append(Posting(payable, chart.SBP_FEE_INCOME, payment.fee))
    return _voucher(payment, "sbp.payment", tuple(postings))


def late_voucher(payment: Payment) -> Entry:
    """A buyer paid an attempt that was already over: the money is kept for the buyer, no fee is taken.

    Дт asset:sbp_settlement:<member>        Кт liability:late_receipts:sbp            gross
    """
    settlement = chart.sbp_settlement(payment.member_id)
    return _voucher(payment, "sbp.late_payment", (Posting(settlement, chart.SBP_LATE_RECEIPTS, payment.amount),))


def _voucher(payment: Payment, kind: str, postings: tuple[Posting, ...]) -> Entry:
    return Entry(
        id=payment.entry_id,
        reference=f"sbp_payment:{payment.trx_id}",
        kind=kind,
        happened_at=payment.paid_at,
        postings=postings,
        metadata={"payment_id": payment.id, "merchant_id": payment.merchant_id},
    )
