"""Vouchers of SBP: what the books say when a payment comes in, in either settlement mode.

``sides_of`` is the one table of where money is and whose it is: a payment books the first against
the second, and whatever takes money back books the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger import chart, journal
from ledger.accounts import AccountTerms, open_account
from ledger.database import Session
from ledger.entry import Entry, Posting, Refused
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.payments import Payment
from sbp_gateway.unmatched_payments import UnmatchedPayment


@dataclass(frozen=True, slots=True)
class PaymentSides:
    """The two accounts of a payment's gross amount."""

    money: str
    """Where the money is: debited by a payment, credited when it goes back."""
    owner: str
    """Whose it is: credited by a payment, debited when it goes back. May not be overdrawn."""


def sides_of(mode: SettlementMode, *, merchant_id: str, member_id: str, is_late: bool) -> PaymentSides:
    """Where the money of a payment is and whose it is.

    collected          Дт asset:sbp_settlement:<member>  Кт liability:merchant_payable:<merchant>
    collected, late    Дт asset:sbp_settlement:<member>  Кт liability:late_receipts:sbp
    direct             Дт memo:sbp_direct:<merchant>     Кт memo:sbp_direct_sales:<merchant>
    direct, late       Дт memo:sbp_direct:<merchant>     Кт memo:sbp_direct_late:<merchant>

    Source: DECISIONS.md, 21.
    """
    if mode is SettlementMode.DIRECT:
        owner = chart.sbp_direct_late(merchant_id) if is_late else chart.sbp_direct_sales(merchant_id)
        return PaymentSides(chart.sbp_direct(merchant_id), owner)
    owner = chart.SBP_LATE_RECEIPTS if is_late else chart.merchant_payable(merchant_id)
    return PaymentSides(chart.sbp_settlement(member_id), owner)


def fee_source_of(mode: SettlementMode, merchant_id: str) -> str:
    """What our fee is taken from: what we owe the merchant, or, of a direct one, a bill we send it."""
    return chart.fee_receivable(merchant_id) if mode is SettlementMode.DIRECT else chart.merchant_payable(merchant_id)


def unmatched_of(mode: SettlementMode, merchant_id: str) -> str:
    """Where money waits until a person says whose order it pays."""
    return chart.sbp_direct_unmatched(merchant_id) if mode is SettlementMode.DIRECT else chart.SBP_UNMATCHED_RECEIPTS


async def open_accounts(session: Session, merchant: SbpMerchant, *, now: datetime) -> None:
    """Open the accounts that a merchant's payments are booked to."""
    for terms in terms_of(merchant):
        await open_account(session, terms, now=now)


def terms_of(merchant: SbpMerchant) -> tuple[AccountTerms, ...]:
    """The accounts of a merchant's payments, and what is unusual about them."""
    if merchant.settlement_mode is SettlementMode.DIRECT:
        owners = (
            chart.sbp_direct_sales(merchant.merchant_id), chart.sbp_direct_late(merchant.merchant_id),
            chart.sbp_direct_unmatched(merchant.merchant_id),
        )  # fmt: skip
        return (
            AccountTerms(chart.sbp_direct(merchant.merchant_id)),
            *(AccountTerms(owner, normal_side="credit", available_min=0) for owner in owners),
            AccountTerms(chart.fee_receivable(merchant.merchant_id)),
            AccountTerms(chart.SBP_FEE_INCOME),
        )
    codes = (
        chart.sbp_settlement(merchant.member_id), chart.bank_fee_payable(merchant.member_id), chart.SBP_BANK_FEE,
        chart.SBP_FEE_INCOME, chart.SBP_LATE_RECEIPTS, chart.SBP_UNMATCHED_RECEIPTS,
    )  # fmt: skip
    return tuple(AccountTerms(code) for code in codes)


async def book_payments(session: Session, payments: Sequence[Payment], *, now: datetime) -> None:
    """Book payments that came in, each by the voucher it calls for.

    Raises: EntryRejected if the books refuse one; the session must be rolled back then.
    Locks: the accounts of all payments, in their one order.
    """
    entries = [late_voucher(payment) if payment.is_late else payment_voucher(payment) for payment in payments]
    for verdict in await journal.post_batch(session, entries, now=now):
        if isinstance(verdict, Refused):
            raise verdict.error()


def payment_voucher(payment: Payment) -> Entry:
    """A buyer paid an order.

    Collected: the money is with the bank of settlement and owed to the merchant.
    Дт asset:sbp_settlement:<member>         Кт liability:merchant_payable:<merchant>  gross
    Дт liability:merchant_payable:<merchant> Кт income:fee:sbp                         our fee, when there is one
    and the bank's fee as ``bank_fee_posting`` says.

    Direct: the money is with the merchant; we remember it and are owed our fee.
    Дт memo:sbp_direct:<merchant>            Кт memo:sbp_direct_sales:<merchant>       gross
    Дт asset:fee_receivable:<merchant>       Кт income:fee:sbp                         our fee, when there is one

    Money that waited for its order is there already, and only changes whose it is:
    Дт liability:unmatched_receipts:sbp      Кт liability:merchant_payable:<merchant>  gross, collected
    Дт memo:sbp_direct_unmatched:<merchant>  Кт memo:sbp_direct_sales:<merchant>       gross, direct
    """
    postings = [_gross(payment)]
    if payment.fee > 0:
        source = fee_source_of(payment.settlement_mode, payment.merchant_id)
        postings.append(Posting(source, chart.SBP_FEE_INCOME, payment.fee))
    kind = "sbp.payment" if payment.unmatched_payment_id is None else "sbp.match"
    return _voucher(payment, kind, (*postings, *_bank_fee(payment)))


def late_voucher(payment: Payment) -> Entry:
    """A buyer paid an attempt that was already over, or nobody's order: it is the buyer's, no fee of ours is taken.

    Collected: we keep it and owe it.
    Дт asset:sbp_settlement:<member>         Кт liability:late_receipts:sbp            gross
    and the bank's fee as ``bank_fee_posting`` says.

    Direct: the merchant has it and owes it; no liability of ours.
    Дт memo:sbp_direct:<merchant>            Кт memo:sbp_direct_late:<merchant>        gross

    Money that waited for its order, and a person says that it goes back:
    Дт liability:unmatched_receipts:sbp      Кт liability:late_receipts:sbp            gross, collected
    Дт memo:sbp_direct_unmatched:<merchant>  Кт memo:sbp_direct_late:<merchant>        gross, direct
    """
    return _voucher(payment, "sbp.late_payment", (_gross(payment), *_bank_fee(payment)))


def bank_fee_posting(payment: Payment) -> Posting:
    """What the bank charges us for a payment whose money we collect.

    Дт expense:bank_fee:sbp  Кт asset:sbp_settlement:<member>      kept back when it credits the money
    Дт expense:bank_fee:sbp  Кт liability:bank_fee_payable:<member> charged apart
    """
    settlement, bill = chart.sbp_settlement(payment.member_id), chart.bank_fee_payable(payment.member_id)
    return Posting(chart.SBP_BANK_FEE, settlement if payment.is_bank_fee_withheld else bill, payment.bank_fee)


def _gross(payment: Payment) -> Posting:
    sides = sides_of(
        payment.settlement_mode, merchant_id=payment.merchant_id, member_id=payment.member_id, is_late=payment.is_late
    )
    if payment.unmatched_payment_id is not None:
        return Posting(unmatched_of(payment.settlement_mode, payment.merchant_id), sides.owner, payment.amount)
    return Posting(sides.money, sides.owner, payment.amount)


async def book_unmatched(session: Session, payment: UnmatchedPayment, member_id: str, *, now: datetime) -> None:
    """Book money that no order knows yet. Raises: EntryRejected. Locks: its two accounts."""
    (verdict,) = await journal.post_batch(session, [unmatched_voucher(payment, member_id)], now=now)
    if isinstance(verdict, Refused):
        raise verdict.error()


def unmatched_voucher(payment: UnmatchedPayment, member_id: str) -> Entry:
    """A buyer paid by a sticker, or under an activation that nobody knows: whose order it is, a person must say.

    Дт asset:sbp_settlement:<member>         Кт liability:unmatched_receipts:sbp       gross, collected
    Дт memo:sbp_direct:<merchant>            Кт memo:sbp_direct_unmatched:<merchant>   gross, direct
    """
    mode, merchant_id = payment.settlement_mode, payment.merchant_id
    money = sides_of(mode, merchant_id=merchant_id, member_id=member_id, is_late=False).money
    return Entry(
        id=payment.entry_id,
        reference=f"sbp_payment:{payment.trx_id}",
        kind="sbp.unmatched_payment",
        happened_at=payment.paid_at,
        postings=(Posting(money, unmatched_of(mode, merchant_id), payment.amount),),
        metadata={"unmatched_payment_id": payment.id, "merchant_id": merchant_id},
    )


def _bank_fee(payment: Payment) -> tuple[Posting, ...]:
    return (bank_fee_posting(payment),) if payment.bank_fee > 0 else ()


def _voucher(payment: Payment, kind: str, postings: tuple[Posting, ...]) -> Entry:
    return Entry(
        id=payment.entry_id,
        reference=f"{'sbp_match' if payment.unmatched_payment_id else 'sbp_payment'}:{payment.trx_id}",
        kind=kind,
        happened_at=payment.paid_at,
        postings=postings,
        metadata={"payment_id": payment.id, "merchant_id": payment.merchant_id},
    )
