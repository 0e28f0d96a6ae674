"""Unmatched payments (платежи без заказа): money under our links that a person must give to an order or back.

They come by stickers, which know no order, by cash links when the activation's name came to nobody, and by
links that were paid twice although they take one payment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ledger.money import Kopecks
from sbp_gateway.errors import UnmatchedAmountDiffers, UnmatchedPaymentMatched, UnmatchedPaymentReturned
from sbp_gateway.merchants import SettlementMode


class UnmatchedReason(StrEnum):
    """Why no order knows the money."""

    STICKER = "sticker"
    """A sticker carries no order."""
    ACTIVATION_UNKNOWN = "activation_unknown"
    """NSPK's answer with the activation's name was lost, and the link was armed again."""
    AMOUNT_DIFFERS = "amount_differs"
    """NSPK says another sum than the till armed."""
    PAID_ALREADY = "paid_already"
    """A second payment of a code or an activation that takes one."""


class UnmatchedStatus(StrEnum):
    """Where an unmatched payment stands."""

    OPEN = "open"
    """Waits for a person."""
    MATCHED = "matched"
    """It paid an order. Final."""
    RETURNED = "returned"
    """It is late money now and goes back to its payer. Final."""


ALLOWED: dict[UnmatchedStatus, frozenset[UnmatchedStatus]] = {
    UnmatchedStatus.OPEN: frozenset({UnmatchedStatus.MATCHED, UnmatchedStatus.RETURNED}),
    UnmatchedStatus.MATCHED: frozenset(),
    UnmatchedStatus.RETURNED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class UnmatchedPayment:
    """Money that came and belongs to no order yet."""

    id: str
    merchant_id: str
    sticker_id: str | None
    cash_link_id: str | None
    reason: UnmatchedReason
    trx_id: str
    """NSPK's id of the operation: never booked twice."""
    kzo: str | None
    amount: Kopecks
    settlement_mode: SettlementMode
    entry_id: UUID
    paid_at: datetime
    recorded_at: datetime
    status: UnmatchedStatus = UnmatchedStatus.OPEN
    order_id: str | None = None
    """Whose it turned out to be."""
    matched_at: datetime | None = None
    qr_id: str | None = None
    """The dynamic code that had been paid already."""
    returned_at: datetime | None = None
    registration_id: str | None = None
    """Of its link: by whose numbers the money came and goes back."""
    payment_id: str | None = None
    """What it became: the payment of the order, or the late one that is refunded."""


def check_match(payment: UnmatchedPayment, prices: Sequence[Kopecks]) -> None:
    """Refuse to give money twice, or to an order of which it is none of the prices; the first is what we would ask.

    Raises: UnmatchedPaymentMatched, UnmatchedPaymentReturned, UnmatchedAmountDiffers.
    """
    check_open(payment)
    if payment.amount not in prices:
        raise UnmatchedAmountDiffers(amount_kopecks=int(payment.amount), order_amount_kopecks=int(prices[0]))


def check_open(payment: UnmatchedPayment) -> None:
    """Refuse money that has an order, or goes back, already.

    Raises: UnmatchedPaymentMatched, UnmatchedPaymentReturned.
    """
    if payment.status is UnmatchedStatus.MATCHED:
        raise UnmatchedPaymentMatched(unmatched_payment_id=payment.id, order_id=payment.order_id)
    if payment.status is UnmatchedStatus.RETURNED:
        raise UnmatchedPaymentReturned(unmatched_payment_id=payment.id, payment_id=payment.payment_id)
