"""Movements (движения по плану): everything that changes what a buyer owes, as typed facts that are never rewritten.

What a plan is on a day is its schedule and all its movements replayed in order of ``order_key``, so the order in which
they became known does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from installments.products import RefundPolicy, Step
from ledger.money import Kopecks


class MovementKind(StrEnum):
    """What happened."""

    DOWN_PAYMENT = "down_payment"
    """The first installment, captured at the commit."""
    INSTALLMENT_PAYMENT = "installment_payment"
    """Money for what is past due, due, and then next."""
    EARLY_PAYMENT = "early_payment"
    """The buyer pays in advance, in part or whole. Free at any time, by law."""
    MERCHANT_REFUND = "merchant_refund"
    """Goods came back: the debt shrinks by the product's refund policy."""
    PAYOUT_REFUND = "payout_refund"
    """The merchant returned money to us for the buyer's debt: next first."""
    GOODWILL = "goodwill"
    """We forgive a part of the debt at our own cost: last first."""
    CHARGEBACK = "chargeback"
    """A bank took an earlier payment back: that much is owed again."""
    CREDIT_REFUND = "credit_refund"
    """What the buyer had paid too much went back to the buyer."""
    WAIVER = "waiver"
    """Penalty forgiven."""
    RE_AGE = "re_age"
    """All that is unpaid is cut anew from a later day."""
    RE_AMORTISE = "re_amortise"
    """What is past due is spread over what is not yet due."""
    SNOOZE = "snooze"
    """One installment's day is moved."""
    WRITE_OFF = "write_off"
    """We stop expecting the rest."""
    RECOVERY = "recovery"
    """Money after a write-off."""
    UNDO = "undo"
    """Another movement never happened; it is named by ``undoes``."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One fact about one plan."""

    id: str
    """``mov_…``"""
    plan_id: str
    kind: MovementKind
    amount: Kopecks
    """Kopecks; zero for those that move days only."""
    happened_at: datetime
    """When the world moved, UTC. Its Moscow day is the day that counts."""
    reference: str
    """The outside's or our own name of it, unique within the plan: the same fact is never kept twice."""
    undoes: str | None = None
    """The movement that an ``undo`` takes back, or the payment of a ``chargeback``."""
    policy: RefundPolicy | None = None
    """For refunds: another policy than the product's."""
    installment_number: int | None = None
    """For a snooze: which."""
    new_due_on: date | None = None
    """For a snooze the new day; for a re-age the first new day."""
    count: int | None = None
    """For a re-age: into how many."""
    step: Step | None = None
    """For a re-age: days or months between the new ones; none: as the product has it."""
    every: int | None = None
    """Given with ``step``."""

    @property
    def order_key(self) -> tuple[datetime, str]:
        """Where it stands among the others: by time, then by its reference, never by arrival."""
        return self.happened_at, self.reference
