"""Payouts to buyers: set the money aside, ask the bank, book what it did. Intent, call, outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger import chart, holds, outbox
from ledger.database import Session
from ledger.errors import EntryRejected
from ledger.holds import Hold, HoldRequest
from ledger.money import Kopecks
from ledger.outbox import Event
from sbp_gateway import buyer_payout_repository as rows
from sbp_gateway import repository as sbp
from sbp_gateway.buyer_payouts import (
    ALLOWED,
    BuyerPayout,
    BuyerPayoutStatus,
    PayoutLimits,
    advance,
    check_amount,
    read_phone,
    wait_before_try,
)
from sbp_gateway.errors import BuyerBankUnknown, BuyerPayoutNotCovered, MerchantNotRegistered
from sbp_gateway.payout_bank import PayoutAnswer, PayoutWord
from sbp_gateway.phones import mask_phone

NOT_COVERED = frozenset({"ledger.overdrawn", "ledger.unknown_account"})
"""Refusals of the books that mean: the merchant is not owed so much. Without an account it is owed nothing."""

STATUS_AFTER = {
    PayoutWord.COMPLETED: BuyerPayoutStatus.SENT,
    PayoutWord.IN_PROGRESS: BuyerPayoutStatus.PROCESSING,
    PayoutWord.DECLINED: BuyerPayoutStatus.REJECTED,
}


@dataclass(frozen=True, slots=True)
class BuyerPayoutRequest:
    """What a merchant asks for. The phone as it was written."""

    merchant_id: str
    phone: str
    bank_member_id: str
    amount_kopecks: int
    purpose: str


async def request_payout(
    session: Session, payout_id: str, request: BuyerPayoutRequest, limits: PayoutLimits, *, now: datetime
) -> BuyerPayout:
    """Intent: set the merchant's money aside and write the payout down; the worker asks the bank.

    Дт liability:merchant_payable:<merchant> Кт asset:sbp_settlement:<member>  held, booked when the bank has paid

    The member is the bank that holds what we owe the merchant, which need not be the one it registers codes with now.

    Raises: InvalidBuyerPhone, BuyerPayoutOutOfRange, MerchantNotRegistered, BuyerBankUnknown, BuyerPayoutNotCovered.
    Locks: both accounts, in their one order.
    """
    phone = read_phone(request.phone)
    amount = check_amount(request.amount_kopecks, limits)
    if not await sbp.merchants_by_id(session, [request.merchant_id]):
        raise MerchantNotRegistered(merchant_id=request.merchant_id)
    if not await rows.is_bank_listed(session, request.bank_member_id):
        raise BuyerBankUnknown(bank_member_id=request.bank_member_id)
    member_id = (await sbp.collecting_members(session, [request.merchant_id])).get(request.merchant_id)
    if member_id is None:
        raise BuyerPayoutNotCovered(merchant_id=request.merchant_id, amount_kopecks=int(amount))
    hold = await _set_aside(session, payout_id, request.merchant_id, member_id, amount, now)
    payout = BuyerPayout(
        id=payout_id, merchant_id=request.merchant_id, member_id=member_id, phone=phone,
        phone_mask=mask_phone(phone), bank_member_id=request.bank_member_id, amount=amount,
        purpose=request.purpose, status=BuyerPayoutStatus.REQUESTED, hold_id=hold.id, entry_id=None, tries=0,
        asked_at=None, reason=None, created_at=now, finished_at=None,
    )  # fmt: skip
    await rows.add_payout(session, payout)
    return payout


async def _set_aside(
    session: Session, payout_id: str, merchant_id: str, member_id: str, amount: Kopecks, now: datetime
) -> Hold:
    request = HoldRequest(
        reference=f"buyer_payout:{payout_id}",
        kind="sbp.buyer_payout",
        debit=chart.merchant_payable(merchant_id),
        credit=chart.sbp_settlement(member_id),
        amount=amount,
        happened_at=now,
        metadata={"payout_id": payout_id, "merchant_id": merchant_id},
    )
    try:
        return await holds.place(session, request, now=now)
    except EntryRejected as refusal:
        if refusal.code not in NOT_COVERED:
            raise
        raise BuyerPayoutNotCovered(merchant_id=merchant_id, amount_kopecks=int(amount)) from None


async def record_answer(
    session: Session, payout_id: str, answer: PayoutAnswer | None, *, now: datetime
) -> BuyerPayout:  # fmt: skip
    """Outcome: book or give back the money as the bank says. No answer leaves the payout as unknown as it was.

    Дт liability:merchant_payable:<merchant> Кт asset:sbp_settlement:<member>  when the bank has paid

    Raises: BuyerPayoutNotFound. Locks: the payout, then the hold and its accounts.
    """
    payout = await rows.lock_payout(session, payout_id)
    to = BuyerPayoutStatus.UNKNOWN if answer is None else STATUS_AFTER[answer.word]
    if to is BuyerPayoutStatus.SENT and to in ALLOWED[payout.status]:
        return await _book(session, payout, now)
    if to is BuyerPayoutStatus.REJECTED and to in ALLOWED[payout.status]:
        return await _give_back(session, payout, answer.reason if answer else None, now)
    if not ALLOWED[payout.status]:
        return payout  # its end was written down before
    waiting = advance(payout, to, now=now) if to in ALLOWED[payout.status] else payout
    await rows.save_payout(session, waiting, next_try_at=now + wait_before_try(payout.tries))
    return waiting


async def _book(session: Session, payout: BuyerPayout, now: datetime) -> BuyerPayout:
    entry_id = await holds.post_part(
        session, payout.hold_id, reference=f"buyer_payout_sent:{payout.id}", happened_at=now, now=now,
        metadata={"payout_id": payout.id, "merchant_id": payout.merchant_id},
    )  # fmt: skip
    return await _end(session, advance(payout, BuyerPayoutStatus.SENT, now=now, entry_id=entry_id), now)


async def _give_back(session: Session, payout: BuyerPayout, reason: str | None, now: datetime) -> BuyerPayout:
    await holds.release(session, payout.hold_id, reference=f"buyer_payout_rejected:{payout.id}", happened_at=now)
    return await _end(session, advance(payout, BuyerPayoutStatus.REJECTED, now=now, reason=reason), now)


async def _end(session: Session, payout: BuyerPayout, now: datetime) -> BuyerPayout:
    await rows.save_payout(session, payout, next_try_at=None)
    event = Event(f"buyer_payout.{payout.status}", payout.id, payout.merchant_id, told(payout))
    await outbox.publish(session, event, now=now)
    return payout


def told(payout: BuyerPayout) -> dict[str, str | int | None]:
    """What the world is told about a payout to a buyer. The phone only masked."""
    return {
        "payout_id": payout.id,
        "merchant_id": payout.merchant_id,
        "amount_kopecks": int(payout.amount),
        "phone_mask": payout.phone_mask,
        "bank_member_id": payout.bank_member_id,
        "status": payout.status.value,
        "reason": payout.reason,
    }
