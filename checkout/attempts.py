"""Attempts (попытки): one try of a rail for an order, with its own id. It may end unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from checkout.orders import Order, OrderStatus
from ledger.errors import InvariantBroken
from ledger.money import Kopecks


class AttemptStatus(StrEnum):
    """Where an attempt stands."""

    REQUESTED = "requested"
    """Written down; the rail is being asked."""
    WAITING = "waiting"
    """The buyer can pay."""
    UNKNOWN = "unknown"
    """The rail's answer was lost. The worker finds out."""
    PAID = "paid"
    """The money moved. Final."""
    REJECTED = "rejected"
    """The rail or the buyer's bank said no. Final."""
    EXPIRED = "expired"
    """Nobody paid in time, or the till gave it up. Money that comes all the same is late. Final."""


LIVE = frozenset({AttemptStatus.REQUESTED, AttemptStatus.WAITING, AttemptStatus.UNKNOWN})
"""Statuses in which the money may still come; an order has at most one such attempt."""

ALLOWED: dict[AttemptStatus, frozenset[AttemptStatus]] = {
    AttemptStatus.REQUESTED: frozenset(
        {AttemptStatus.WAITING, AttemptStatus.UNKNOWN, AttemptStatus.REJECTED, AttemptStatus.EXPIRED}
    ),
    AttemptStatus.UNKNOWN: frozenset({AttemptStatus.WAITING, AttemptStatus.REJECTED, AttemptStatus.EXPIRED}),
    AttemptStatus.WAITING: frozenset({AttemptStatus.PAID, AttemptStatus.REJECTED, AttemptStatus.EXPIRED}),
    AttemptStatus.PAID: frozenset(),
    AttemptStatus.REJECTED: frozenset(),
    AttemptStatus.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to have an order paid."""

    id: str
    order_id: str
    rail: str
    amount: Kopecks
    status: AttemptStatus
    payment_id: str | None
    """The rail's payment, once paid."""
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class OfOrder:
    """An attempt with its order, both locked, and the tariff group of the merchant."""

    attempt: Attempt
    order: Order
    tariff_group: str

    @property
    def is_payable(self) -> bool:
        """Whether money arriving now pays the order; otherwise it came too late."""
        return self.order.status is OrderStatus.OPEN and AttemptStatus.PAID in ALLOWED[self.attempt.status]


def advance(attempt: Attempt, to: AttemptStatus, *, payment_id: str | None = None) -> Attempt:
    """The attempt in its next status.

    Raises: InvariantBroken if the table of statuses does not allow it: callers look first.
    """
    if to not in ALLOWED[attempt.status] or (to is AttemptStatus.PAID) != (payment_id is not None):
        raise InvariantBroken("an attempt cannot go there", attempt_id=attempt.id, status=attempt.status, to=to)
    return replace(attempt, status=to, payment_id=payment_id, version=attempt.version + 1)
