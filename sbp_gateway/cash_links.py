"""Cash links (кассовые ссылки): one reusable link of a till, and the activations that arm it with a sum.

A sale is named by the link and its activation, never by the link alone: ``(qrcId, paramsId)``.
Source: NSPK agent API, ``cash-register-qrc``; states of a cash link as banks' documents describe them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.money import Kopecks
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.qr_codes import FIRST_POLL_WAIT, GRACE, POLL_WAIT_MAX, WATCH_WAIT_MAX

ACTIVATION_MINUTES_MAX = 20
"""Source: YooKassa and PayKeeper allow 1 to 20 minutes."""
RESERVATION_QUANTITY_MAX = 1_000
"""Ids set aside in one call: plates for a chain of shops, and still a small answer."""
ANSWER_WAIT = timedelta(seconds=30)
"""What has no answer for so long was lost with its process. Over the four calls of 6 s that may be made."""
CLOCKS_DIFFER = timedelta(seconds=30)
"""How far NSPK's clock may be behind ours."""
PARAMS_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""NSPK's name of an activation; it becomes a part of a path, so nothing else is let in."""


class CashLinkStatus(StrEnum):
    """Where a cash link stands."""

    REQUESTED = "requested"
    """NSPK is being asked, under an id that it reserved for us, so that a lost answer can be asked for."""
    REGISTERED = "registered"
    """It may be armed with a sum. Final."""
    REFUSED = "refused"
    """NSPK refused it. Final."""


@dataclass(frozen=True, slots=True)
class CashLink:
    """A reusable link of one till."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    bank_account: str
    """Where its payments arrive: 20 digits."""
    status: CashLinkStatus
    qrc_id: str | None
    """NSPK's id; empty until one is reserved."""
    payload: str | None
    """What the plate shows."""
    requested_at: datetime


class ActivationStatus(StrEnum):
    """Where an activation stands."""

    REQUESTED = "requested"
    """NSPK is being asked, or was and the answer was lost."""
    WAITING = "waiting"
    """The link is armed; the buyer can pay."""
    DEACTIVATING = "deactivating"
    """It must not be paid any more; NSPK is being asked to disarm the link."""
    DEACTIVATED = "deactivated"
    """NSPK said that the link is not armed with it. Should money come all the same, it is late."""
    PAID = "paid"
    """The one payment it allows was made. Final."""
    REFUSED = "refused"
    """NSPK refused to arm the link. Final."""


ALLOWED: dict[ActivationStatus, frozenset[ActivationStatus]] = {
    ActivationStatus.REQUESTED: frozenset(
        {ActivationStatus.WAITING, ActivationStatus.REFUSED, ActivationStatus.DEACTIVATING}
    ),
    ActivationStatus.WAITING: frozenset(
        {ActivationStatus.PAID, ActivationStatus.DEACTIVATING, ActivationStatus.DEACTIVATED}
    ),
    ActivationStatus.DEACTIVATING: frozenset(
        {ActivationStatus.WAITING, ActivationStatus.PAID, ActivationStatus.DEACTIVATED}
    ),
    ActivationStatus.DEACTIVATED: frozenset({ActivationStatus.PAID}),
    ActivationStatus.PAID: frozenset(),
    ActivationStatus.REFUSED: frozenset(),
}
LIVE = frozenset({ActivationStatus.REQUESTED, ActivationStatus.WAITING, ActivationStatus.DEACTIVATING})
"""Statuses in which the link belongs to the activation; a link has at most one such."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A cash link armed with the sum of one sale."""

    id: str
    cash_link_id: str
    qrc_id: str
    payload: str
    """The link's, as the plate shows it."""
    attempt_id: str
    merchant_id: str
    amount: Kopecks
    purpose: str
    status: ActivationStatus
    params_id: str | None
    """NSPK's name of this use of the link."""
    requested_at: datetime
    expires_at: datetime
    """Ours: no field of NSPK's call is known for it, so we disarm the link ourselves. DECISIONS.md, on deadlines."""
    polls: int
    arms: int = 1
    """How many times NSPK was asked to arm the link with it: again only when an answer was lost."""
    asked_again_at: datetime | None = None
    """When it was asked the last time, if more than once."""

    @property
    def is_answered_at(self) -> datetime:
        """Until when what NSPK was asked may be carried out yet: that the link is not armed says nothing before."""
        return (self.asked_again_at or self.requested_at) + ANSWER_WAIT

    @property
    def is_over_at(self) -> datetime:
        """From when NSPK's silence means that nobody paid."""
        return self.expires_at + GRACE


class LinkState(StrEnum):
    """What NSPK says of a cash link. Source: NSPK agent API, ``cashRegisterQrcStatus``."""

    INACTIVATED = "INACTIVATED"
    """Not armed."""
    WAITING_PAYMENT = "WAITING_PAYMENT"
    """Armed, and nobody has begun to pay."""
    IN_PROGRESS = "IN_PROGRESS"
    """A buyer is paying; it cannot be disarmed now."""
    DEACTIVATED = "DEACTIVATED"
    """Said of one activation only: it was taken back."""


ARMED = frozenset({LinkState.WAITING_PAYMENT, LinkState.IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class SaleState:
    """NSPK's answer about one activation."""

    link_state: LinkState
    status: OperationStatus
    trx_id: str | None
    amount: Kopecks
    said_at: datetime | None
    kzo: str | None
    payer_mask: str | None = None
    """The payer's phone, masked."""

    @property
    def is_over(self) -> bool:
        """Whether NSPK says that no payment can begin any more, and none is under way."""
        return self.link_state is LinkState.DEACTIVATED and self.status is OperationStatus.NOT_STARTED


def is_of(activation: Activation, params_id: str, sale: SaleState) -> bool:
    """Whether a sale under the activation's link is its own.

    By its name; or by its sum, while NSPK has not named it to us, or named only the second of two askings:
    since it was asked for, nobody else may have armed the link. One that was given up without a name may be armed
    later than we waited for.
    """
    if activation.params_id == params_id:
        return True
    is_given_up = activation.status is ActivationStatus.DEACTIVATED and activation.params_id is None
    if not (activation.status in LIVE or is_given_up) or activation.amount != sale.amount:
        return False
    if sale.status is not OperationStatus.ACCEPTED:
        return activation.params_id is None
    is_since = sale.said_at is not None and sale.said_at >= activation.requested_at - CLOCKS_DIFFER
    return is_since and (activation.params_id is None or activation.arms > 1)


def wait_before_poll(activation: Activation, now: datetime) -> timedelta:
    """How long to wait before asking once more; never past the deadline, when the link must be disarmed."""
    wait_max = WATCH_WAIT_MAX if now > activation.is_over_at else POLL_WAIT_MAX
    wait = min(FIRST_POLL_WAIT * (1 << min(activation.polls, 12)), wait_max)
    return min(wait, activation.expires_at - now) if now < activation.expires_at else wait
