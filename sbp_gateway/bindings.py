"""Account bindings (привязки счёта): a buyer's consent to later charges, and the charges by it.

A charge is a dynamic code that nobody scans: NSPK is asked to take its sum by the binding. So one charge
is one payment at most, however often it is asked for, and all that holds for codes holds for it.
Source: binding links (type 03, sub.nspk.ru) of bank documents; the calls themselves: DECISIONS.md, on bindings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sbp_gateway.qr_codes import FIRST_POLL_WAIT, GRACE, POLL_WAIT_MAX

BINDING_TTL_MINUTES = 15
"""How long a buyer may consent."""
CHARGE_WAIT = timedelta(seconds=30)
"""A charge without an answer for so long was lost with its process."""
CHARGE_BATCH_MAX = 20
BUYER_REFERENCE_CHARACTERS_MAX = 64


class BindingStatus(StrEnum):
    """Where a binding stands."""

    WAITING = "waiting"
    """The link is shown; the buyer has not consented yet."""
    BOUND = "bound"
    """The buyer consented; charges may be made."""
    EXPIRED = "expired"
    """Nobody consented in time. Final."""
    ENDED = "ended"
    """The buyer's bank no longer knows the consent: only the buyer can take it back. Final."""


ALLOWED: dict[BindingStatus, frozenset[BindingStatus]] = {
    BindingStatus.WAITING: frozenset({BindingStatus.BOUND, BindingStatus.EXPIRED}),
    BindingStatus.BOUND: frozenset({BindingStatus.ENDED}),
    BindingStatus.EXPIRED: frozenset(),
    BindingStatus.ENDED: frozenset(),
}
NO_CONSENT = "RQ05041"
"""NSPK's code of a charge whose consent the bank does not know. Source: NSPK agent API, refund codes."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A buyer's consent, from the link to its end."""

    id: str
    merchant_id: str
    buyer_reference: str
    """The merchant's own name of the buyer."""
    purpose: str
    status: BindingStatus
    qrc_id: str
    payload: str
    subscription_id: str | None
    """NSPK's name of the consent; the same when the buyer binds another account at the same bank."""
    payer_member_id: str | None
    """The buyer's bank."""
    requested_at: datetime
    expires_at: datetime
    polls: int

    @property
    def is_over_at(self) -> datetime:
        """From when NSPK's silence means that nobody consented: banks take some minutes to bind."""
        return self.expires_at + GRACE


@dataclass(frozen=True, slots=True)
class Consent:
    """NSPK's answer about a binding link."""

    subscription_id: str
    payer_member_id: str


@dataclass(frozen=True, slots=True)
class BindingRegistration:
    """A binding link to be registered."""

    nspk_merchant_id: str
    member_id: str
    bank_account: str
    ttl_minutes: int
    purpose: str


@dataclass(frozen=True, slots=True)
class DueCharge:
    """A charge to be asked for: the code of its attempt, and the consent."""

    attempt_id: str
    binding_id: str
    qrc_id: str
    subscription_id: str


def wait_before_poll(binding: Binding) -> timedelta:
    """How long to wait before asking about a consent once more."""
    return min(FIRST_POLL_WAIT * (1 << min(binding.polls, 12)), POLL_WAIT_MAX)
