"""Charges (списания) of installments: one row is one try to take what a plan owes, and it charges once.

requested ──▶ unknown ──▶ captured
    └────────────┴──────▶ refused ──(its hour comes)──▶ another charge
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from installments.plan import CollectorName
from ledger.money import Kopecks


class ChargeKind(StrEnum):
    """Why the plan is charged; the movement that a captured charge becomes has the same name."""

    INSTALLMENT_PAYMENT = "installment_payment"
    """Its day has come."""
    EARLY_PAYMENT = "early_payment"
    """The buyer asked for it."""


class ChargeStatus(StrEnum):
    """Where a charge stands."""

    REQUESTED = "requested"
    """Written down; it waits for its hour, or the outside is being asked."""
    UNKNOWN = "unknown"
    """The outside may have taken the money. Until it is known nothing else is asked for."""
    CAPTURED = "captured"
    """The money is taken, and the plan has been told in the same transaction. Final."""
    REFUSED = "refused"
    """No money moved. Final; what it names as the next hour is another charge's."""


ALLOWED: dict[ChargeStatus, frozenset[ChargeStatus]] = {
    ChargeStatus.REQUESTED: frozenset({ChargeStatus.UNKNOWN, ChargeStatus.CAPTURED, ChargeStatus.REFUSED}),
    ChargeStatus.UNKNOWN: frozenset({ChargeStatus.CAPTURED, ChargeStatus.REFUSED}),
    ChargeStatus.CAPTURED: frozenset(),
    ChargeStatus.REFUSED: frozenset(),
}
LIVE = frozenset({ChargeStatus.REQUESTED, ChargeStatus.UNKNOWN})
"""While one charge of a plan is live there is no other."""
NOTHING_DUE = "nothing_due"
"""Why a charge ended before it was asked for: the debt was paid, refunded or put off meanwhile."""
PAUSED = "paused"
"""The same: a dispute was opened meanwhile."""


OVERTAKEN = "overtaken"
"""The same: the buyer pays early, and the charge comes back at its hour for what is left."""
SILENT = frozenset({NOTHING_DUE, PAUSED, OVERTAKEN})
"""Reasons of an end that no buyer needs to hear of: nothing was tried."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One try."""

    id: str
    """``chg_…``; the movement that it becomes has it as reference."""
    plan_id: str
    kind: ChargeKind
    due_on: date
    """The day of the newest installment in it, which names the round that its tries belong to."""
    tries: int
    """Which try of the round, from 1."""
    amount: Kopecks
    """All that is past due and due, with penalty, in one sum."""
    collector: CollectorName
    status: ChargeStatus
    payment_id: str | None
    """The outside payment: a card payment, or an attempt."""
    captured: Kopecks
    reason: str | None
    looks: int
    next_try_at: datetime | None
    """Live: when somebody looks after it. Refused: when the next try is made."""
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChargeOutcome:
    """What became of a charge, as far as its collector knows."""

    charge_id: str
    status: ChargeStatus
    amount: Kopecks = Kopecks(0)  # noqa: RUF009  # frozen
    """What was taken."""
    reason: str | None = None
    may_try_again: bool = True
    """Of a refusal: whether the same card or account may do later (a soft decline)."""
    happened_at: datetime | None = None
    """When the money was taken; none: now."""
