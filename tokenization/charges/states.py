"""Charges (списания): one wish to take a buyer's money by card, from asking the acquirer to its last word."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pci.errors import InvariantBroken

AMOUNT_KOPECKS_MAX = 1_000_000_00
"""As much as an order may cost."""
ANSWER_WAIT = timedelta(seconds=15)
"""A message that nobody has reported on for so long was the work of a process that died. Over a call's own limit."""
FIRST_LOOK_WAIT = timedelta(seconds=1)
LOOK_WAIT_MAX = timedelta(minutes=5)
"""An advice is repeated until the acquirer acknowledges it, at most this far apart."""


class ChargeStatus(StrEnum):
    """Where a charge stands."""

    REQUESTED = "requested"
    """Written down; the acquirer is being asked."""
    UNKNOWN = "unknown"
    """The answer was lost: it is being reversed, whatever it was."""
    AUTHORISED = "authorised"
    """The buyer's bank holds the money."""
    CAPTURING = "capturing"
    """The acquirer is told to take what is held, until it acknowledges."""
    CAPTURED = "captured"
    """The money is taken. Refunds are of it."""
    VOIDING = "voiding"
    """The acquirer is told to let the money go, until it acknowledges."""
    VOIDED = "voided"
    """The buyer's money was let go. Final."""
    REFUSED = "refused"
    """The acquirer or the buyer's bank said no, or nothing could be sent. Final."""
    REVERSED = "reversed"
    """Its answer was lost and the acquirer has acknowledged that it does not count. Final."""


ALLOWED: dict[ChargeStatus, frozenset[ChargeStatus]] = {
    ChargeStatus.REQUESTED: frozenset(
        {ChargeStatus.AUTHORISED, ChargeStatus.CAPTURED, ChargeStatus.REFUSED, ChargeStatus.UNKNOWN}
    ),
    ChargeStatus.UNKNOWN: frozenset({ChargeStatus.REVERSED}),
    ChargeStatus.AUTHORISED: frozenset({ChargeStatus.CAPTURING, ChargeStatus.VOIDING}),
    ChargeStatus.CAPTURING: frozenset({ChargeStatus.CAPTURED, ChargeStatus.AUTHORISED}),
    ChargeStatus.CAPTURED: frozenset({ChargeStatus.VOIDING}),
    ChargeStatus.VOIDING: frozenset({ChargeStatus.VOIDED, ChargeStatus.AUTHORISED, ChargeStatus.CAPTURED}),
    ChargeStatus.VOIDED: frozenset(),
    ChargeStatus.REFUSED: frozenset(),
    ChargeStatus.REVERSED: frozenset(),
}
FINAL = frozenset(status for status, after in ALLOWED.items() if not after)
UNSURE = frozenset({ChargeStatus.REQUESTED, ChargeStatus.UNKNOWN, ChargeStatus.CAPTURING, ChargeStatus.VOIDING})
"""The acquirer's word is missing: somebody must look again."""


class Initiator(StrEnum):
    """Who is there when a card is charged."""

    BUYER = "buyer"
    MERCHANT = "merchant"
    """The buyer agreed earlier, at the charge named as the first."""


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """What a caller asks for, under an id of its own: the same id is the same charge."""

    id: str
    merchant_id: str
    card_token: str
    amount_kopecks: int
    is_captured_at_once: bool = True
    initiator: Initiator = Initiator.BUYER
    is_credential_kept: bool = False
    """The buyer agrees to later charges without being there."""
    first_charge_id: str | None = None
    """At which charge the buyer agreed."""
    channel: str = ""
    """How it is sold, in the words of the token's restrictions."""
    chip: bytes | None = field(default=None, repr=False)
    """The chip data of a device (DE55), for the acquirer; never kept."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge of one card."""

    id: str
    merchant_id: str
    card_token: str
    card_mask: str
    amount_kopecks: int
    captured_kopecks: int
    refund_kopecks: int
    """Given back already, or on its way back."""
    is_captured_at_once: bool
    initiator: Initiator
    is_credential_kept: bool
    first_charge_id: str | None
    status: ChargeStatus
    reason: str | None
    """Why it was refused, or its capture was, in our words."""
    response_code: str | None
    rrn: str | None
    """The acquirer's own number of it (field 37)."""
    approval_code: str | None
    network_reference: str | None
    """What the card scheme calls it: later charges without the buyer refer to it."""
    looks: int
    next_look_at: datetime | None
    created_at: datetime
    changed_at: datetime
    version: int

    @property
    def rest_kopecks(self) -> int:
        """What can still be given back."""
        return self.captured_kopecks - self.refund_kopecks


def advance(charge: Charge, to: ChargeStatus, *, now: datetime) -> Charge:
    """The charge in its next status; whoever must look again looks soon.

    Raises: InvariantBroken if the table of statuses does not allow it: callers look first.
    """
    if to not in ALLOWED[charge.status]:
        raise InvariantBroken("a charge cannot go there", charge_id=charge.id, status=charge.status, to=to)
    look_at = now + ANSWER_WAIT if to in UNSURE else None
    return replace(charge, status=to, looks=0, next_look_at=look_at, changed_at=now, version=charge.version + 1)


def wait_before_look(looks: int) -> timedelta:
    """How long to wait before the acquirer is told once more: 1, 2, 4 … s, at most five minutes."""
    return min(FIRST_LOOK_WAIT * (1 << min(looks, 10)), LOOK_WAIT_MAX)


class RefundStatus(StrEnum):
    """Where a refund of a charge stands."""

    REQUESTED = "requested"
    UNKNOWN = "unknown"
    """The answer was lost. The same message is repeated under its number until it is acknowledged."""
    SUCCEEDED = "succeeded"
    REFUSED = "refused"


REFUND_ALLOWED: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED, RefundStatus.REFUSED}),
    RefundStatus.UNKNOWN: frozenset({RefundStatus.SUCCEEDED, RefundStatus.REFUSED}),
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.REFUSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class ChargeRefund:
    """Money of one charge on its way back to the card."""

    id: str
    charge_id: str
    amount_kopecks: int
    status: RefundStatus
    reason: str | None
    response_code: str | None
    rrn: str | None
    looks: int
    next_look_at: datetime | None
    created_at: datetime
    changed_at: datetime


def advance_refund(refund: ChargeRefund, to: RefundStatus, *, now: datetime) -> ChargeRefund:
    """The refund in its next status. Raises: InvariantBroken if the table does not allow it."""
    if to not in REFUND_ALLOWED[refund.status]:
        raise InvariantBroken("a refund cannot go there", refund_id=refund.id, status=refund.status, to=to)
    look_at = now + FIRST_LOOK_WAIT if to is RefundStatus.UNKNOWN else None
    return replace(refund, status=to, looks=0, next_look_at=look_at, changed_at=now)


class Operation(StrEnum):
    """What a message asks of the acquirer."""

    AUTHORISATION = "authorisation"
    PURCHASE = "purchase"
    CAPTURE = "capture"
    REVERSAL = "reversal"
    REFUND = "refund"


class AttemptStatus(StrEnum):
    """What became of a message."""

    STARTED = "started"
    """Written down; it may or may not have left."""
    UNSENT = "unsent"
    """It certainly never left."""
    SILENT = "silent"
    """It left, and no answer came in time."""
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class ChargeAttempt:
    """One message to the acquirer, under the number by which both sides know it."""

    id: int
    charge_id: str
    refund_id: str | None
    original_id: int | None
    operation: Operation
    terminal_id: str
    stan: int
    transmitted_at: datetime
    amount_kopecks: int
    tries: int
    status: AttemptStatus
    response_code: str | None
    rrn: str | None
    approval_code: str | None
