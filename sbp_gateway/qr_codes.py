"""QR codes: one dynamic link for one attempt, from our wish to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.money import Kopecks
from sbp_gateway.errors import QrCodeNotReady, QrCodeOver
from sbp_gateway.nspk import Registration

TTL_MINUTES = 10
"""How long a buyer at a till may pay, when nobody says otherwise."""
TTL_MINUTES_MIN = 5
"""Source: NSPK allows 1 minute and advises at least 5; an installation may be set to allow less."""
TTL_MINUTES_MAX = 129_600
"""Source: NSPK, 90 days."""
GRACE = timedelta(minutes=5)
"""A payment begun in the last second may still be in processing; until then silence means nothing."""
ANSWER_WAIT = timedelta(seconds=15)
"""A registration without an answer for so long was lost with its process. Over the call's own limit of 6 s."""
FIRST_POLL_WAIT = timedelta(seconds=5)
POLL_WAIT_MAX = timedelta(minutes=1)
WATCH_WAIT_MAX = timedelta(hours=1)
"""Between questions about a link that should be over and still has no answer."""
PURPOSE_CHARACTERS_MAX = 140


class QrStatus(StrEnum):
    """Where a code stands."""

    REQUESTED = "requested"
    """NSPK is being asked, or was and the answer was lost."""
    REGISTERED = "registered"
    """NSPK gave the link; it may be shown and paid."""
    PAID = "paid"
    """The one payment it allows was made. Final."""
    EXPIRED = "expired"
    """NSPK said, after its time and the grace, that nobody paid. Should money come all the same, it is late."""
    REFUSED = "refused"
    """NSPK refused to register it. Final."""
    ABANDONED = "abandoned"
    """Its answer was lost; another code took its place. Nobody ever saw its link. Final."""


ALLOWED: dict[QrStatus, frozenset[QrStatus]] = {
    QrStatus.REQUESTED: frozenset({QrStatus.REGISTERED, QrStatus.REFUSED, QrStatus.ABANDONED}),
    QrStatus.REGISTERED: frozenset({QrStatus.PAID, QrStatus.EXPIRED}),
    QrStatus.PAID: frozenset(),
    QrStatus.EXPIRED: frozenset({QrStatus.PAID}),
    QrStatus.REFUSED: frozenset(),
    QrStatus.ABANDONED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class QrCode:
    """A dynamic QR code of one attempt."""

    id: str
    attempt_id: str
    merchant_id: str
    amount: Kopecks
    purpose: str
    status: QrStatus
    qrc_id: str | None
    """NSPK's id of the link."""
    payload: str | None
    requested_at: datetime
    expires_at: datetime
    polls: int
    """How many times we asked NSPK about it."""

    @property
    def is_over_at(self) -> datetime:
        """From when NSPK's silence means that nobody paid."""
        return self.expires_at + GRACE


def shown_payload(qr: QrCode, now: datetime) -> str:
    """The link of a code that may be shown: one that is over would only bring late money.

    Raises: QrCodeNotReady; QrCodeOver.
    """
    if qr.status is QrStatus.REQUESTED:
        raise QrCodeNotReady(qr_id=qr.id, status=qr.status.value)
    if qr.status is not QrStatus.REGISTERED or qr.payload is None or now >= qr.expires_at:
        raise QrCodeOver(qr_id=qr.id, status=qr.status.value, expires_at=qr.expires_at.isoformat())
    return qr.payload


def registration_of(qr: QrCode, nspk_merchant_id: str, member_id: str, bank_account: str) -> Registration:
    """What NSPK is asked to register."""
    return Registration(
        nspk_merchant_id, member_id, bank_account, qr.amount, ttl_minutes_of(qr), qr.purpose, qr.id, qr.expires_at
    )


def ttl_minutes_of(qr: QrCode) -> int:
    """How long the code may be paid from when it was asked for."""
    return (qr.expires_at - qr.requested_at) // timedelta(minutes=1)
