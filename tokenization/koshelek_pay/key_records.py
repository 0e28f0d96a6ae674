"""Rows of batches, keys and payments. Whoever comes here holds the lock of the token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text

from pci.database import Session
from tokenization.koshelek_pay.device_token import DeviceKey, DeviceKeyBatch
from tokenization.koshelek_pay.statuses import DeviceKeyStatus, PayChannel

PAYMENT_ID = re.compile(r"[a-z]{2,8}_[0-9A-Za-z]{16,48}")
OPEN_MAX = 50
"""Payments looked after in one round."""

_COUNTS = text(
    """SELECT count(*) FILTER (WHERE k.status = 'issued' AND b.expires_at > :now) AS left_over,
              coalesce(max(k.atc), 0) AS last_atc,
              coalesce(max(k.atc) FILTER (WHERE k.status <> 'issued'), 0) AS floor_atc,
              coalesce(max(k.batch_number), 0) AS last_batch
         FROM device_keys AS k
         JOIN device_key_batches AS b ON b.device_token_id = k.device_token_id AND b.number = k.batch_number
        WHERE k.device_token_id = :id"""
)
_BURN_EXPIRED = text(
    """UPDATE device_keys AS k SET status = 'burnt', changed_at = :now FROM device_key_batches AS b
        WHERE k.device_token_id = :id AND k.status = 'issued' AND b.device_token_id = k.device_token_id
          AND b.number = k.batch_number AND b.expires_at <= :now"""
)
_BATCH = text(
    """SELECT b.number, b.request_id, b.expires_at,
              (SELECT coalesce(array_agg(k.atc ORDER BY k.atc), '{}') FROM device_keys AS k
                WHERE k.device_token_id = b.device_token_id AND k.batch_number = b.number
                  AND k.status = 'issued') AS atcs
         FROM device_key_batches AS b WHERE b.device_token_id = :id AND b.request_id = :request_id"""
)
_ADD_BATCH = text(
    """INSERT INTO device_key_batches (device_token_id, number, request_id, first_atc, last_atc, issued_at, expires_at)
       VALUES (:id, :number, :request_id, :first_atc, :last_atc, :now, :expires_at)"""
)
_ADD_KEYS = text(
    """INSERT INTO device_keys (device_token_id, atc, batch_number, changed_at)
       SELECT :id, atc, :number, :now FROM generate_series(CAST(:first_atc AS integer), :last_atc) AS atc"""
)
_KEY = text(
    """SELECT k.atc, k.status, b.expires_at FROM device_keys AS k
         JOIN device_key_batches AS b ON b.device_token_id = k.device_token_id AND b.number = k.batch_number
        WHERE k.device_token_id = :id AND k.atc = :atc"""
)
_MOVE_KEY = text(
    """UPDATE device_keys SET status = :status, changed_at = :now
        WHERE device_token_id = :id AND atc = :atc AND status = :instead_of RETURNING atc"""
)
_AUTHORISATION = """SELECT id, device_token_id, atc, merchant_id, amount_kopecks, channel, mcc, digest, cryptogram,
                           chip, status, response_code, issuer_answer, accepted_at FROM device_authorisations"""
_BY_ID = text(f"{_AUTHORISATION} WHERE id = :id")
_BY_ATC = text(f"{_AUTHORISATION} WHERE device_token_id = :id AND atc = :atc")
_OPEN = text(f"{_AUTHORISATION} WHERE ended_at IS NULL AND accepted_at < :before ORDER BY accepted_at LIMIT {OPEN_MAX}")
_ADD_AUTHORISATION = text(
    """INSERT INTO device_authorisations
              (id, device_token_id, atc, merchant_id, amount_kopecks, channel, mcc, digest, cryptogram, chip,
               accepted_at)
       VALUES (:id, :device_token_id, :atc, :merchant_id, :amount_kopecks, :channel, :mcc, :digest, :cryptogram,
               :chip, :accepted_at)
       ON CONFLICT DO NOTHING RETURNING id"""
)
_END = text(
    """UPDATE device_authorisations SET status = :status, response_code = :response_code,
              issuer_answer = :issuer_answer, ended_at = :ended_at
        WHERE id = :id AND status IN ('accepted', 'unknown')"""
)

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")
_DENY = text(
    """INSERT INTO device_payment_denials (payment_id, merchant_id, denied_at) VALUES (:id, :merchant_id, :now)
       ON CONFLICT DO NOTHING"""
)
_DENIED = text("SELECT 1 FROM device_payment_denials WHERE payment_id = :id AND merchant_id = :merchant_id")


class DevicePaymentStatus(StrEnum):
    """Where a payment by a device stands."""

    ACCEPTED = "accepted"
    """The device has proved it; the acquirer is being asked."""
    APPROVED = "approved"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    """The acquirer's answer is missing: asking again under the same id finds out."""


PAYMENT_ALLOWED: dict[DevicePaymentStatus, frozenset[DevicePaymentStatus]] = {
    DevicePaymentStatus.ACCEPTED: frozenset(
        {DevicePaymentStatus.APPROVED, DevicePaymentStatus.DECLINED, DevicePaymentStatus.UNKNOWN}
    ),
    DevicePaymentStatus.UNKNOWN: frozenset({DevicePaymentStatus.APPROVED, DevicePaymentStatus.DECLINED}),
    DevicePaymentStatus.APPROVED: frozenset(),
    DevicePaymentStatus.DECLINED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class DevicePayment:
    """A payment that a device has proved."""

    id: str
    device_token_id: str
    atc: int
    merchant_id: str
    amount_kopecks: int
    channel: PayChannel
    mcc: str
    digest: bytes
    """Of everything the cryptogram covers, and of who asks: the same question has the same digest."""
    cryptogram: bytes
    chip: bytes
    """Field 55 as the device signed it, for the acquirer; no number and no key is in it."""
    status: DevicePaymentStatus
    accepted_at: datetime
    response_code: str | None = None
    issuer_answer: bytes | None = None
    """The ARPC, by which the device knows that its issuer answered."""

    def __repr__(self) -> str:
        return f"DevicePayment({self.id}, {self.status})"


@dataclass(frozen=True, slots=True)
class DeviceKeyCounts:
    """How a token stands with its keys."""

    left: int
    """That the device may still use."""
    last_atc: int
    floor_atc: int
    """The highest counter that was used or taken back: the window begins above it."""
    last_batch: int


async def count_keys(session: Session, device_token_id: str, now: datetime) -> DeviceKeyCounts:
    """How a token stands with its keys."""
    row = (await session.execute(_COUNTS, {"id": device_token_id, "now": now})).one()
    return DeviceKeyCounts(row.left_over, row.last_atc, row.floor_atc, row.last_batch)


async def burn_expired(session: Session, device_token_id: str, now: datetime) -> None:
    """Take back the keys whose time is over."""
    await session.execute(_BURN_EXPIRED, {"id": device_token_id, "now": now})


async def find_batch(session: Session, device_token_id: str, request_id: str) -> DeviceKeyBatch | None:
    """What was delivered under this name."""
    row = (await session.execute(_BATCH, {"id": device_token_id, "request_id": request_id})).first()
    return None if row is None else DeviceKeyBatch(row.number, row.request_id, tuple(row.atcs), row.expires_at)


async def add_batch(session: Session, device_token_id: str, batch: DeviceKeyBatch, now: datetime) -> None:
    """Keep a batch and its keys' records."""
    values = {
        "id": device_token_id, "number": batch.number, "request_id": batch.request_id, "first_atc": batch.atcs[0],
        "last_atc": batch.atcs[-1], "expires_at": batch.expires_at, "now": now,
    }  # fmt: skip
    await session.execute(_ADD_BATCH, values)
    await session.execute(_ADD_KEYS, values)


async def find_key(session: Session, device_token_id: str, atc: int) -> DeviceKey | None:
    """The key of one counter."""
    row = (await session.execute(_KEY, {"id": device_token_id, "atc": atc})).first()
    return None if row is None else DeviceKey(row.atc, DeviceKeyStatus(row.status), row.expires_at)


async def move_key(
    session: Session, device_token_id: str, atc: int, *, instead_of: DeviceKeyStatus, to: DeviceKeyStatus, now: datetime
) -> bool:
    """Give a key its next status; false if somebody else has."""
    values = {"id": device_token_id, "atc": atc, "status": to, "instead_of": instead_of, "now": now}
    return (await session.execute(_MOVE_KEY, values)).first() is not None


async def lock_payment(session: Session, payment_id: str) -> None:
    """Whoever brings a payment and whoever asks about it come one after the other, also while there is no row.

    Locks: an advisory lock on the id until the transaction ends.
    """
    await session.execute(_LOCK, {"what": f"device_payment|{payment_id}"})


async def deny_payment(session: Session, payment_id: str, merchant_id: str, now: datetime) -> None:
    """Write down that somebody was told that there is no such payment. Whoever comes here holds its lock."""
    await session.execute(_DENY, {"id": payment_id, "merchant_id": merchant_id, "now": now})


async def is_denied(session: Session, payment_id: str, merchant_id: str) -> bool:
    """Whether somebody was told that there is no such payment."""
    return (await session.execute(_DENIED, {"id": payment_id, "merchant_id": merchant_id})).first() is not None


async def find_payment(session: Session, payment_id: str) -> DevicePayment | None:
    """A payment by its id."""
    return _payment((await session.execute(_BY_ID, {"id": payment_id})).first())


async def find_payment_of_key(session: Session, device_token_id: str, atc: int) -> DevicePayment | None:
    """The payment that was let through with a key."""
    return _payment((await session.execute(_BY_ATC, {"id": device_token_id, "atc": atc})).first())


async def find_open(session: Session, before: datetime) -> list[DevicePayment]:
    """Payments that were let through before and have not ended, oldest first."""
    rows = (await session.execute(_OPEN, {"before": before})).all()
    return [payment for row in rows if (payment := _payment(row)) is not None]


async def add_payment(session: Session, payment: DevicePayment) -> bool:
    """Keep a payment; false if its id or its counter has one."""
    values = {name: getattr(payment, name) for name in payment.__slots__}
    return (await session.execute(_ADD_AUTHORISATION, values)).first() is not None


async def end_payment(session: Session, payment: DevicePayment, ended_at: datetime | None) -> None:
    """Write down what the acquirer said."""
    values = {
        "id": payment.id, "status": payment.status, "response_code": payment.response_code,
        "issuer_answer": payment.issuer_answer, "ended_at": ended_at,
    }  # fmt: skip
    await session.execute(_END, values)


def _payment(row: object) -> DevicePayment | None:
    if row is None:
        return None
    values = {name: getattr(row, name) for name in DevicePayment.__slots__}
    values |= {"channel": PayChannel(values["channel"]), "status": DevicePaymentStatus(values["status"])}
    return DevicePayment(**values)
