"""The plan (план рассрочки): one agreement between a buyer, a merchant and us, and the table of its statuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from ledger.errors import InvariantBroken
from ledger.money import Kopecks

ITEMS_MAX = 500
ORDER_NUMBER_CHARACTERS_MAX = 44


class PlanStatus(StrEnum):
    """What the shop sees. Repayment goes on for weeks after ``completed``: see ``Standing``."""

    NEW = "new"
    """Registered; the buyer has a link."""
    APPROVED = "approved"
    """The buyer may have it; the first installment is being held."""
    REJECTED = "rejected"
    """We said no. Final."""
    WAIT_FOR_COMMIT = "wait_for_commit"
    """The first installment is held on the card; the shop commits or cancels."""
    COMMITTED = "committed"
    """The shop confirmed; the first installment is being captured."""
    COMPLETED = "completed"
    """The first installment is captured: paid, as the shop sees it."""
    CANCELED = "canceled"
    """Given up before the commit by shop, buyer or time; nothing was booked. Final."""
    REFUNDED = "refunded"
    """All goods came back. Final."""


ALLOWED: dict[PlanStatus, frozenset[PlanStatus]] = {
    PlanStatus.NEW: frozenset({PlanStatus.APPROVED, PlanStatus.REJECTED, PlanStatus.CANCELED}),
    PlanStatus.APPROVED: frozenset({PlanStatus.WAIT_FOR_COMMIT, PlanStatus.REJECTED, PlanStatus.CANCELED}),
    PlanStatus.REJECTED: frozenset(),
    PlanStatus.WAIT_FOR_COMMIT: frozenset({PlanStatus.COMMITTED, PlanStatus.CANCELED}),
    PlanStatus.COMMITTED: frozenset({PlanStatus.COMPLETED, PlanStatus.REFUNDED}),
    PlanStatus.COMPLETED: frozenset({PlanStatus.REFUNDED}),
    PlanStatus.CANCELED: frozenset(),
    PlanStatus.REFUNDED: frozenset(),
}
"""``committed`` without capture is not undone: the debt is booked, and the first installment is collected like any."""


class Standing(StrEnum):
    """How the buyer's debt stands."""

    NONE = "none"
    """No debt yet, or never."""
    CURRENT = "current"
    OVERDUE = "overdue"
    REPAID = "repaid"
    WRITTEN_OFF = "written_off"


class CollectorName(StrEnum):
    """How installments are collected."""

    CARD = "card"
    SBP = "sbp"
    """By an account binding."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the basket. Amount is quantity × price, rounded by the shop to the kopeck."""

    name: str
    quantity: str
    """A decimal text: pieces or a measure (``"1.125"``)."""
    price: Kopecks
    """For one."""
    sku: str | None = None
    receipt: tuple[tuple[str, str], ...] = ()
    """Tax, payment method and object as the shop gave them, for receipts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan as it stands. Installments and movements are kept beside it."""

    id: str
    """``pln_…``"""
    merchant_id: str
    order_number: str
    """The shop's own id of the order, unique within the merchant."""
    product_code: str
    product_version: int
    price: Kopecks
    """What is cut into installments, as ordered or, from then on, as committed. Refunds do not change it."""
    prepaid: Kopecks
    """Paid by points or a certificate beside it."""
    items: tuple[Item, ...]
    status: PlanStatus
    standing: Standing
    link_code: str
    """The secret part of the buyer's link."""
    buyer_id: str | None
    contract_on: date | None
    """Moscow day of the buyer's consent; the law of that day applies."""
    collector: CollectorName | None
    card_token: str | None
    first_payment_id: str | None
    """The card payment that holds the first installment, and to which the buyer's consent belongs."""
    binding_id: str | None
    fee_basis_points: int | None
    """The merchant's discount, fixed at the commit."""
    fee: Kopecks
    """The merchant's discount still charged: lowered when a refund returns its share."""
    refunded: Kopecks
    """Goods that came back, of the price at the commit."""
    outstanding: Kopecks
    """Principal still owed; equals the unpaid installments."""
    overpaid: Kopecks
    """The buyer's money above the debt, owed back to the buyer."""
    penalty: Kopecks
    """Booked, not waived, not paid."""
    next_due_on: date | None
    """The earliest day of an unpaid installment: the night looks for it."""
    is_paused: bool
    """A dispute: nothing is collected or paid out."""
    reason: str | None
    """Why it was rejected or cancelled."""
    created_at: datetime
    expires_at: datetime | None
    """When it is cancelled by itself unless it moves on; none after the commit."""
    committed_at: datetime | None
    ended_at: datetime | None
    """When it was repaid, cancelled, rejected or written off."""
    version: int

    @property
    def total(self) -> Kopecks:
        """What the buyer pays in all: the price less the goods that came back."""
        return Kopecks(self.price - self.refunded)


def advance(plan: Plan, to: PlanStatus) -> Plan:
    """The plan in its next status. Raises: InvariantBroken if the table does not allow it: callers look first."""
    if to not in ALLOWED[plan.status]:
        raise InvariantBroken(f"plan {plan.id} cannot go from {plan.status} to {to}")
    return replace(plan, status=to, version=plan.version + 1)
