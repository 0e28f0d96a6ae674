"""Payouts to buyers (выплаты покупателям): a merchant's money sent to a phone number and a bank through SBP."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from ledger.errors import InvariantBroken
from ledger.money import Kopecks
from sbp_gateway.errors import BuyerPayoutOutOfRange, InvalidBuyerPhone

CALL_WAIT = timedelta(seconds=15)
"""A call to the bank without an outcome for so long was lost with its process. Over the call's limit of 5 s."""
FORGOTTEN_AFTER = timedelta(minutes=1)
"""From when on a bank that does not know a payout will not get to know it: whatever was on its way has come."""
REFUSAL_BELIEVED_AFTER = timedelta(days=1)
"""A repeated request may be refused while the first one is carried out: the refusal is believed only when the bank
still knows no such payout so long after it."""
TRY_WAIT_MAX = timedelta(minutes=10)
PURPOSE_CHARACTERS_MAX = 140
_PHONE = re.compile(r"(?:\+?7|8)(9[0-9]{9})")
_BETWEEN_DIGITS = re.compile(r"[\s()-]")


class BuyerPayoutStatus(StrEnum):
    """Where a payout to a buyer stands."""

    REQUESTED = "requested"
    """The money is set aside; the bank is being asked."""
    PROCESSING = "processing"
    """The bank has taken it and has not said how it ended."""
    UNKNOWN = "unknown"
    """The bank may or may not have taken it. The worker asks until it knows."""
    SENT = "sent"
    """The money moved. Final."""
    REJECTED = "rejected"
    """The bank refused; the money is the merchant's again. Final."""


ALLOWED: dict[BuyerPayoutStatus, frozenset[BuyerPayoutStatus]] = {
    BuyerPayoutStatus.REQUESTED: frozenset(
        {
            BuyerPayoutStatus.PROCESSING,
            BuyerPayoutStatus.UNKNOWN,
            BuyerPayoutStatus.SENT,
            BuyerPayoutStatus.REJECTED,
        }
    ),
    BuyerPayoutStatus.PROCESSING: frozenset({BuyerPayoutStatus.SENT, BuyerPayoutStatus.REJECTED}),
    BuyerPayoutStatus.UNKNOWN: frozenset(
        {BuyerPayoutStatus.PROCESSING, BuyerPayoutStatus.SENT, BuyerPayoutStatus.REJECTED}
    ),
    BuyerPayoutStatus.SENT: frozenset(),
    BuyerPayoutStatus.REJECTED: frozenset(),
}
OPEN = frozenset(status for status, following in ALLOWED.items() if following)
"""While the bank may still be asked, and the phone number is still known."""


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """What one bank sends in one payout. Amounts: kopecks."""

    amount_min: Kopecks
    amount_max: Kopecks


AT_ONCE = PayoutLimits(Kopecks(100), Kopecks(50_000_000))
"""Source: YooKassa, payouts through SBP: 1 to 500,000 roubles at once. SBP itself takes a million."""


@dataclass(frozen=True, slots=True)
class BuyerPayout:
    """Money on its way to a buyer."""

    id: str
    merchant_id: str
    member_id: str
    """The bank whose account of ours the money leaves."""
    phone: str | None
    """Eleven digits, until the payout is over; then nobody here knows it any more."""
    phone_mask: str
    """``0079******12``"""
    bank_member_id: str
    """The buyer's bank."""
    amount: Kopecks
    purpose: str
    status: BuyerPayoutStatus
    hold_id: UUID
    """Sets the money aside in the books until the bank has had its last word."""
    entry_id: UUID | None
    """Books it, once sent."""
    tries: int
    asked_at: datetime | None
    """When the bank was last asked to pay, if it was."""
    reason: str | None
    """Why the bank refused; of an open payout, what it said to a repeated request and nobody believes yet."""
    created_at: datetime
    finished_at: datetime | None


def read_phone(written: str) -> str:
    """The eleven digits of a Russian mobile number, however it was written. Raises: InvalidBuyerPhone, without it."""
    found = _PHONE.fullmatch(_BETWEEN_DIGITS.sub("", written))
    if found is None or not written.isascii():
        raise InvalidBuyerPhone
    return f"7{found[1]}"


def check_amount(amount: int, limits: PayoutLimits) -> Kopecks:
    """The amount, if one payout may be of it. Raises: BuyerPayoutOutOfRange."""
    if not limits.amount_min <= amount <= limits.amount_max:
        raise BuyerPayoutOutOfRange(
            amount_kopecks=amount,
            amount_kopecks_min=int(limits.amount_min),
            amount_kopecks_max=int(limits.amount_max),
        )
    return Kopecks(amount)


def advance(
    payout: BuyerPayout, to: BuyerPayoutStatus, *, now: datetime, entry_id: UUID | None = None,
    reason: str | None = None,
) -> BuyerPayout:  # fmt: skip
    """The payout in its next status; at its end the phone number is forgotten.

    Raises: InvariantBroken if the table of statuses does not allow it: callers look first.
    """
    if to not in ALLOWED[payout.status] or (to is BuyerPayoutStatus.SENT) != (entry_id is not None):
        raise InvariantBroken("a payout cannot go there", payout_id=payout.id, status=payout.status, to=to)
    if to in OPEN:
        return replace(payout, status=to)
    return replace(payout, status=to, phone=None, entry_id=entry_id, reason=reason, finished_at=now)


def wait_before_try(tries: int) -> timedelta:
    """How long to wait before asking the bank once more: 1, 2, 4 s and so on to ten minutes."""
    return min(timedelta(seconds=1 << min(tries, 12)), TRY_WAIT_MAX)


def is_forgotten(payout: BuyerPayout, now: datetime) -> bool:
    """Whether a bank that says it does not know the payout may be asked to pay it once more."""
    return payout.asked_at is None or now >= payout.asked_at + FORGOTTEN_AFTER


def is_refusal_believed(payout: BuyerPayout, now: datetime) -> bool:
    """Whether a bank that refused a repeated request, and knows no such payout, will not carry out the first one."""
    return payout.asked_at is None or now >= payout.asked_at + REFUSAL_BELIEVED_AFTER
