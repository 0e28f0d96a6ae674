"""From our wish for a code to NSPK's answer, and how a lost answer is made good.

NSPK's API finds no link by an id of ours, so a lost answer cannot be asked for. It is safe to give
the code up: its link was never shown to anybody, so nobody can pay it. DECISIONS.md, 2.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks
from sbp_gateway import onboarding, repository
from sbp_gateway.errors import TtlOutOfRange
from sbp_gateway.merchants import SbpMerchant
from sbp_gateway.nspk import RegisteredLink, Registration
from sbp_gateway.qr_codes import (
    ANSWER_WAIT,
    FIRST_POLL_WAIT,
    PURPOSE_CHARACTERS_MAX,
    TTL_MINUTES,
    TTL_MINUTES_MAX,
    TTL_MINUTES_MIN,
    QrCode,
    QrStatus,
    registration_of,
    ttl_minutes_of,
)

GIVE_UP_AFTER = timedelta(minutes=15)
"""An attempt whose registrations were lost for so long is over: no buyer waits at the till any more."""


async def live_merchant(session: Session, merchant_id: str) -> SbpMerchant:
    """The merchant, if it may take payments now.

    Raises: MerchantNotRegistered, with the next step to take.
    """
    merchant = await repository.live_merchant(session, merchant_id)
    if merchant is None:
        raise await onboarding.not_registered(session, merchant_id)
    return merchant


def check_ttl(ttl_minutes: int, ttl_minutes_min: int = TTL_MINUTES_MIN) -> None:
    """Refuse a time to pay that is too short or too long.

    Raises: TtlOutOfRange.
    """
    if not ttl_minutes_min <= ttl_minutes <= TTL_MINUTES_MAX:
        raise TtlOutOfRange(ttl_minutes=ttl_minutes, ttl_minutes_min=ttl_minutes_min, ttl_minutes_max=TTL_MINUTES_MAX)


async def request_qr(
    session: Session,
    *,
    attempt_id: str,
    merchant_id: str,
    amount: Kopecks,
    purpose: str,
    now: datetime,
    ttl_minutes: int = TTL_MINUTES,
) -> tuple[QrCode, Registration]:
    """Intent: write down a code for an attempt, and say what to ask NSPK.

    Raises: MerchantNotRegistered.
    """
    qr = QrCode(
        id=new_id("qr", now),
        attempt_id=attempt_id,
        merchant_id=merchant_id,
        amount=amount,
        purpose=purpose[:PURPOSE_CHARACTERS_MAX],
        status=QrStatus.REQUESTED,
        qrc_id=None,
        payload=None,
        requested_at=now,
        expires_at=now + timedelta(minutes=ttl_minutes),
        polls=0,
    )
    merchant = await repository.add_qr(session, qr, next_poll_at=now + ANSWER_WAIT)
    if merchant is None:
        raise await onboarding.not_registered(session, merchant_id)
    return qr, registration_of(qr, merchant.nspk_merchant_id, merchant.member_id, merchant.bank_account)


async def record_link(session: Session, qr_id: str, link: RegisteredLink, *, now: datetime) -> bool:
    """Outcome: keep the link. False if the code was given up meanwhile; the link is then never shown."""
    return await repository.register_qr(session, qr_id, link.qrc_id, link.payload, next_poll_at=now + FIRST_POLL_WAIT)


async def replace_lost_qr(session: Session, lost: QrCode, *, now: datetime) -> tuple[QrCode, Registration] | None:
    """Give up a code whose answer was lost and write down another for the same attempt.

    Nothing if its answer came at the last moment. Locks: the code.
    """
    if not await repository.abandon_qr(session, lost.id):
        return None
    return await request_qr(
        session, attempt_id=lost.attempt_id, merchant_id=lost.merchant_id, amount=lost.amount,
        purpose=lost.purpose, now=now, ttl_minutes=ttl_minutes_of(lost),
    )  # fmt: skip
