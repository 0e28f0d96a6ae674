"""Slips (слипы): what a till hands out about a payment or a refund, for the buyer, for support, and for the cashier of
a later refund. A slip is no fiscal document, and says so; the till's own receipt by 54-FZ is printed by the till.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from checkout.baskets import NOTHING, Line
from checkout.orders import Order
from ledger import ids
from ledger.money import Kopecks

ISSUES_MAX = 100
"""How often one slip is handed out: more is a till gone wrong."""


class SlipCopy(StrEnum):
    """Whom a slip is for."""

    BUYER = "buyer"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class SlipPlace:
    """Who sells, and where."""

    merchant_name: str
    legal_name: str
    inn: str
    store_name: str
    address: str
    terminal_name: str


@dataclass(frozen=True, slots=True)
class SlipTenders:
    """What the goods cost, and what was taken off before the rail. Without a basket: the sum alone."""

    lines: tuple[Line, ...] = ()
    discount: Kopecks = NOTHING
    promo: Kopecks = NOTHING
    points: int = 0
    points_value: Kopecks = NOTHING
    offer: Kopecks = NOTHING
    """What the chosen rail took off."""

    @property
    def off(self) -> Kopecks:
        """Everything that the buyer did not pay."""
        return Kopecks(self.discount + self.promo + self.points_value + self.offer)


@dataclass(frozen=True, slots=True)
class SlipPayment:
    """How the rail names the payment; what a rail does not have is empty."""

    rail: str
    qrc_id: str | None = None
    kzo: str | None = None
    """SBP's control value of the operation."""
    trx_id: str | None = None
    card_mask: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    parts: tuple[tuple[date, Kopecks], ...] = ()
    """The days and sums of a plan."""


@dataclass(frozen=True, slots=True)
class SlipRefund:
    """What went back."""

    id: str
    amount: Kopecks
    points_back: int
    is_done: bool
    """False: accepted, and on its way."""
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Slip:
    """One slip, ready to be set out on paper of any width."""

    place: SlipPlace
    order: Order
    tenders: SlipTenders
    payment: SlipPayment
    copy: SlipCopy
    issue: int
    """Which time it is handed out; 0: it was not yet, this is a preview."""
    refund: SlipRefund | None = None

    @property
    def gross(self) -> Kopecks:
        """What the goods cost before anything was taken off."""
        return Kopecks(self.order.amount + self.tenders.off)

    @property
    def amount(self) -> Kopecks:
        """What moved by the rail: to the merchant, or back."""
        return self.order.amount if self.refund is None else self.refund.amount


def slip_of(
    place: SlipPlace, order: Order, tenders: SlipTenders, payment: SlipPayment, *, copy: SlipCopy = SlipCopy.BUYER,
    issue: int = 0, refund: SlipRefund | None = None,
) -> Slip:  # fmt: skip
    """The slip of a paid order, or of a refund of it.

    Amounts: kopecks. What the lines cost, less all that was taken off, is what the rail brought.
    """
    assert 0 <= issue <= ISSUES_MAX
    slip = Slip(place, order, tenders, payment, copy, issue, refund)
    assert not tenders.lines or sum(line.gross for line in tenders.lines) == slip.gross, "the slip must add up"
    return slip


def receipt_block(slip: Slip) -> dict[str, str]:
    """What support and the cashier of a refund ask for, by the names of the public till contract and as it means them:
    the till's own number of the order, and our ids as UUIDs. So a refund by the contract can be typed off any slip.

    Source: the wallet's public pages for tills, "receipt block": orderId, paymentTransactionId, refundTransactionId,
    paymentType, qrcId, kzo.
    """
    said = {
        "orderId": slip.order.number,
        "paymentTransactionId": as_uuid(slip.order.id),
        "refundTransactionId": None if slip.refund is None else as_uuid(slip.refund.id),
        "paymentType": slip.payment.rail.upper(),
        "qrcId": slip.payment.qrc_id,
        "kzo": slip.payment.kzo,
    }
    return {name: value for name, value in said.items() if value is not None}


def as_uuid(our_id: str) -> str:
    """An id of ours as a UUID; a shop's own name of a refund stays as it is."""
    try:
        return str(ids.read(our_id.partition("_")[0], our_id))
    except ValueError:
        return our_id


def by_payment_kind(slip: Slip) -> dict[str, int]:
    """Sums for the till's own fiscal receipt: all rails are paid electronically, and what was taken off is a discount.

    A plan too: the seller is paid in full, by us, on the day. Source: 54-FZ, article 4.7, point 1, and tag 1081 of
    the fiscal document format (sum paid electronically); points of the seller's own programme lower the price.
    """
    return {"electronic_kopecks": int(slip.amount), "discount_kopecks": 0 if slip.refund else int(slip.tenders.off)}
