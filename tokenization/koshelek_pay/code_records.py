"""Rows of one-time codes. Whoever comes here holds the lock of the token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from pci.database import Session
from tokenization.koshelek_pay.codes import CODE_LIFE, CodeStatus, DeviceCode

_OPEN = text(
    """SELECT number, digest, tries, expires_at FROM device_token_codes
        WHERE device_token_id = :id AND status = 'open'"""
)
_LAST = text(
    """SELECT number, status = 'open' AS is_open FROM device_token_codes WHERE device_token_id = :id
        ORDER BY number DESC LIMIT 1"""
)
_ADD = text(
    """INSERT INTO device_token_codes (device_token_id, number, digest, phone_mask, made_at, expires_at)
       VALUES (:id, :number, :digest, :phone_mask, :now, :expires_at)"""
)
_TRY = text("UPDATE device_token_codes SET tries = tries + 1 WHERE device_token_id = :id AND number = :number")
_END = text(
    """UPDATE device_token_codes SET status = :status, tries = least(tries + 1, 3)
        WHERE device_token_id = :id AND number = :number AND status = 'open'"""
)
_SENT = text("UPDATE device_token_codes SET sent_at = :now WHERE device_token_id = :id AND number = :number")


@dataclass(frozen=True, slots=True)
class LastCode:
    """The newest code of a token."""

    number: int
    is_open: bool


async def find_open(session: Session, device_token_id: str) -> DeviceCode | None:
    """The code that may be entered."""
    row = (await session.execute(_OPEN, {"id": device_token_id})).first()
    return None if row is None else DeviceCode(row.number, row.digest, row.tries, row.expires_at)


async def find_last(session: Session, device_token_id: str) -> LastCode | None:
    """The newest code."""
    row = (await session.execute(_LAST, {"id": device_token_id})).first()
    return None if row is None else LastCode(row.number, row.is_open)


async def add(
    session: Session, device_token_id: str, number: int, digest: bytes, phone_mask: str, now: datetime
) -> None:
    """Keep a code's digest."""
    values = {"id": device_token_id, "number": number, "digest": digest, "phone_mask": phone_mask, "now": now}
    await session.execute(_ADD, values | {"expires_at": now + CODE_LIFE})


async def count_try(session: Session, device_token_id: str, number: int) -> None:
    """A wrong try."""
    await session.execute(_TRY, {"id": device_token_id, "number": number})


async def end(session: Session, device_token_id: str, number: int, status: CodeStatus) -> None:
    """A code that may not be entered any more."""
    await session.execute(_END, {"id": device_token_id, "number": number, "status": status})


async def mark_sent(session: Session, device_token_id: str, number: int, now: datetime) -> None:
    """The code is on its way."""
    await session.execute(_SENT, {"id": device_token_id, "number": number, "now": now})
