"""Intake (приём): a bank's file becomes a register with all its lines, or nothing at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO

from ledger.database import Session
from sbp_gateway.errors import RegisterAbsent, RegisterTaken
from sbp_gateway.registers import repository
from sbp_gateway.registers.profile import EmptyDay, Profile
from sbp_gateway.registers.reading import FooterVerdict, RegisterReading
from sbp_gateway.registers.register import Register, RegisterScope, RegisterStatus

ALL_OF_US = RegisterScope()
HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RegisterArrival:
    """What came, or did not come, from a bank."""

    id: str
    """Ours, chosen by whoever hears of it."""
    profile: Profile
    day_on: date
    scope: RegisterScope = ALL_OF_US


async def take_in(session: Session, arrival: RegisterArrival, file: BinaryIO, *, now: datetime) -> Register:
    """Read a file and keep every line of it.

    Raises: RegisterRejected; the session must be rolled back then, and nothing of the file stays.
    """
    digest = _sha256(file)
    known = await repository.find_by_content(session, digest)
    if known is not None:
        raise RegisterTaken(register_id=known)

    file.seek(0)
    number = await repository.next_number(session)
    reading = RegisterReading(arrival.profile, arrival.day_on)
    await repository.copy_lines(session, number, arrival.profile, reading.batches(file))
    register = _register(arrival, number, reading, is_absent=False, now=now)
    await repository.add_register(session, register, digest)
    return register


async def record_absence(session: Session, arrival: RegisterArrival, *, now: datetime) -> Register:
    """Keep that the bank sent no file: a day without operations, and our own must agree.

    Raises: RegisterAbsent if this bank sends an empty file on such a day.
    """
    if arrival.profile.empty_day is EmptyDay.EMPTY_FILE:
        raise RegisterAbsent(profile=arrival.profile.name)
    number = await repository.next_number(session)
    register = _register(arrival, number, RegisterReading(arrival.profile, arrival.day_on), is_absent=True, now=now)
    await repository.add_register(session, register, None)
    return register


def _sha256(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while part := file.read(HASHED_BYTES):
        digest.update(part)
    return digest.digest()


def _register(
    arrival: RegisterArrival, number: int, reading: RegisterReading, *, is_absent: bool, now: datetime
) -> Register:
    is_printed = reading.footer in (FooterVerdict.AGREES, FooterVerdict.DIFFERS)
    return Register(
        id=arrival.id,
        number=number,
        profile=arrival.profile.name,
        day_on=arrival.day_on,
        scope=arrival.scope,
        is_absent=is_absent,
        totals=reading.totals,
        footer=FooterVerdict.NONE if is_absent else reading.footer,
        footer_amount=reading.footer_amount if is_printed else None,
        footer_fee=reading.footer_fee if is_printed else None,
        status=RegisterStatus.TAKEN,
        taken_at=now,
    )
