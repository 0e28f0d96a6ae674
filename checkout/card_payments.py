"""Payments by card (платежи картой): what the till and plans know of them. The card itself is a token here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from ledger.errors import InvariantBroken
from ledger.money import Kopecks

ANSWER_WAIT = timedelta(seconds=20)
"""A question to the vault that nobody reported on for so long was asked by a process that died."""
FIRST_LOOK_WAIT = timedelta(seconds=1)
LOOK_WAIT_MAX = timedelta(minutes=2)


class CardPaymentStatus(StrEnum):
    """Where a payment by card stands."""

    REQUESTED = "requested"
    """Written down; the vault is being asked."""
    UNKNOWN = "unknown"
    """Nobody knows whether the card was charged. The vault finds out, and the worker asks it."""
    AUTHORISED = "authorised"
    """The buyer's bank holds the money; the books know nothing of it yet."""
    CAPTURING = "capturing"
    """The money is being taken."""
    CAPTURED = "captured"
    """The money is taken, and booked. Refunds are of it."""
    VOIDING = "voiding"
    """The money is being let go. If the acquirer will not, it is as before, and what was taken is booked."""
    VOIDED = "voided"
    """The buyer's money was let go; nothing was booked. Final."""
    REFUSED = "refused"
    """The bank said no, or the vault did, or an answer was lost and the charge reversed. Final."""


ALLOWED: dict[CardPaymentStatus, frozenset[CardPaymentStatus]] = {
    CardPaymentStatus.REQUESTED: frozenset(
        {
            CardPaymentStatus.UNKNOWN, CardPaymentStatus.AUTHORISED, CardPaymentStatus.CAPTURED,
            CardPaymentStatus.VOIDING, CardPaymentStatus.REFUSED,
        }
    ),
    CardPaymentStatus.UNKNOWN: frozenset(
        {
            CardPaymentStatus.AUTHORISED, CardPaymentStatus.CAPTURED, CardPaymentStatus.VOIDING,
            CardPaymentStatus.REFUSED,
        }
    ),
    CardPaymentStatus.AUTHORISED: frozenset({CardPaymentStatus.CAPTURING, CardPaymentStatus.VOIDING}),
    CardPaymentStatus.CAPTURING: frozenset(
        {CardPaymentStatus.CAPTURED, CardPaymentStatus.AUTHORISED, CardPaymentStatus.VOIDING}
    ),
    CardPaymentStatus.CAPTURED: frozenset(),
    CardPaymentStatus.VOIDING: frozenset(
        {CardPaymentStatus.VOIDED, CardPaymentStatus.AUTHORISED, CardPaymentStatus.CAPTURED}
    ),
    CardPaymentStatus.VOIDED: frozenset(),
    CardPaymentStatus.REFUSED: frozenset(),
}  # fmt: skip
ENDED = frozenset({CardPaymentStatus.VOIDED, CardPaymentStatus.REFUSED})
VOID_REFUSED = "void_refused"
"""The reason of a payment whose money the acquirer would not let go."""
UNSURE = frozenset({
    CardPaymentStatus.REQUESTED, CardPaymentStatus.UNKNOWN, CardPaymentStatus.CAPTURING, CardPaymentStatus.VOIDING,
})  # fmt: skip


class Initiator(StrEnum):
    """Who is there when a card is charged."""

    BUYER = "buyer"
    MERCHANT = "merchant"
    """The buyer agreed earlier, at the payment named as the first."""


@dataclass(frozen=True, slots=True)
class CardPayment:
    """One payment by card."""

    id: str
    merchant_id: str
    attempt_id: str | None
    """Which attempt of an order it is; none when it stands by itself."""
    first_payment_id: str | None
    """At which payment the buyer agreed to this one."""
    card_token: str
    card_mask: str | None
    amount: Kopecks
    capture: Kopecks | None
    """How much is to be taken, once somebody has said so."""
    captured: Kopecks
    refunded: Kopecks
    """Given back, or set aside for refunds under way."""
    fee: Kopecks
    is_captured_at_once: bool
    initiator: Initiator
    is_credential_kept: bool
    """The buyer agrees to later payments without being there."""
    status: CardPaymentStatus
    reason: str | None
    acquirer_id: str | None
    rrn: str | None
    approval_code: str | None
    entry_id: UUID | None
    looks: int
    next_look_at: datetime | None
    created_at: datetime
    captured_at: datetime | None
    ended_at: datetime | None
    version: int

    @property
    def rest(self) -> Kopecks:
        """What can still be given back."""
        return Kopecks(self.captured - self.refunded)


class ChargeNews(StrEnum):
    """What the vault says of a charge."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"
    REFUSED = "refused"
    """Also: reversed, after its answer was lost."""
    VOIDED = "voided"
    PENDING = "pending"
    """The acquirer's word is missing, and the vault is after it; or the vault's own answer was lost."""


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    """The news and what came with it."""

    news: ChargeNews
    reason: str | None = None
    card_mask: str | None = None
    acquirer_id: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    captured_kopecks: int = 0


def advance(payment: CardPayment, to: CardPaymentStatus, *, now: datetime) -> CardPayment:
    """The payment in its next status; whoever is unsure is looked at soon.

    Raises: InvariantBroken if the table of statuses does not allow it: callers look first.
    """
    if to not in ALLOWED[payment.status]:
        raise InvariantBroken("a card payment cannot go there", payment_id=payment.id, status=payment.status, to=to)
    look_at = now + (FIRST_LOOK_WAIT if to is CardPaymentStatus.UNKNOWN else ANSWER_WAIT)
    return replace(
        payment, status=to, looks=0, next_look_at=look_at if to in UNSURE else None,
        ended_at=now if to in ENDED else None, version=payment.version + 1,
    )  # fmt: skip


def look_again(payment: CardPayment, *, now: datetime) -> CardPayment:
    """The same payment, to be asked about later: 1, 2, 4 … s, at most two minutes."""
    assert payment.status in UNSURE
    wait = min(FIRST_LOOK_WAIT * (1 << min(payment.looks, 8)), LOOK_WAIT_MAX)
    return replace(payment, next_look_at=now + wait, version=payment.version + 1)


class CardRefundStatus(StrEnum):
    """Where a refund to a card stands."""

    REQUESTED = "requested"
    """The money is set aside; the vault is being asked."""
    UNKNOWN = "unknown"
    """The acquirer's answer is missing; the vault repeats the request under its number."""
    SUCCEEDED = "succeeded"
    """The acquirer gives the money back to the card; booked. Final."""
    REFUSED = "refused"
    """No money moved, and what was set aside is free again. Final."""


REFUND_ALLOWED: dict[CardRefundStatus, frozenset[CardRefundStatus]] = {
    CardRefundStatus.REQUESTED: frozenset(
        {CardRefundStatus.UNKNOWN, CardRefundStatus.SUCCEEDED, CardRefundStatus.REFUSED}
    ),
    CardRefundStatus.UNKNOWN: frozenset({CardRefundStatus.SUCCEEDED, CardRefundStatus.REFUSED}),
    CardRefundStatus.SUCCEEDED: frozenset(),
    CardRefundStatus.REFUSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class CardRefund:
    """Money of one card payment on its way back."""

    id: str
    payment_id: str
    merchant_id: str
    amount: Kopecks
    fee_billed: Kopecks
    """The part that the merchant owes us from now on: our fee, which it had no money left to bear."""
    reason: str | None
    status: CardRefundStatus
    refusal: str | None
    rrn: str | None
    hold_id: UUID | None
    fee_hold_id: UUID | None
    entry_id: UUID | None
    looks: int
    next_look_at: datetime | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return not REFUND_ALLOWED[self.status]


def advance_refund(refund: CardRefund, to: CardRefundStatus, *, now: datetime) -> CardRefund:
    """The refund in its next status. Raises: InvariantBroken if the table does not allow it."""
    if to not in REFUND_ALLOWED[refund.status]:
        raise InvariantBroken("a refund cannot go there", refund_id=refund.id, status=refund.status, to=to)
    look_at = now + FIRST_LOOK_WAIT if to is CardRefundStatus.UNKNOWN else None
    return replace(
        refund, status=to, looks=0, next_look_at=look_at, ended_at=now if REFUND_ALLOWED[to] == frozenset() else None
    )


def wait_before_look(looks: int) -> timedelta:
    """How long to wait before the vault is asked about a refund once more."""
    return min(FIRST_LOOK_WAIT * (1 << min(looks, 8)), LOOK_WAIT_MAX)


def fee_billed_of(payment: CardPayment, amount: Kopecks, *, available: int, billed_before: Kopecks) -> Kopecks | None:
    """What of a refund the merchant owes us instead of paying it now; nothing if it cannot be covered.

    Our fee stays with us, so a merchant whose only sale goes back lacks exactly that fee.
    """
    lacking = Kopecks(max(int(amount) - max(available, 0), 0))
    return None if lacking > payment.fee - billed_before else lacking
