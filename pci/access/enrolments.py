"""Enrolment: a person sets their factors themselves, with a token that somebody else gave them once.

``first`` sets both; ``password`` a new password, for who still has the second factor; ``totp`` a new second factor,
for who still knows the password. So nobody but the person ever knows either, and no token alone is enough.
Source: PCI DSS 8.3.3 (who they are is known before a factor is changed), 8.3.5 (first passwords).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy
from sqlalchemy import Row

from pci.access import ids, repository, sign_ins, twofactor
from pci.access.deeds import NOBODY, Access, record_refusal
from pci.access.errors import EnrolmentRefused, EnrolmentWaits, PasswordRepeated
from pci.access.passwords import REMEMBERED, check_password
from pci.access.person import Person, PersonStatus, advance
from pci.access.repository import Factors
from pci.access.tables import enrolments
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from pci.errors import Rejected
from pci.keys.proofs import holds, prove
from pci.keys.ring import KeyRing
from pci.secret import Secret

OPEN_FOR = timedelta(hours=24)
FINISH_WITHIN = timedelta(minutes=15)
"""Between seeing the QR code and sending the first code from it."""
FAILURES_MAX = 5


class EnrolmentKind(StrEnum):
    """Which factors are set."""

    FIRST = "first"
    PASSWORD = "password"  # noqa: S105  # a kind of enrolment
    TOTP = "totp"


@dataclass(frozen=True, slots=True)
class BegunEnrolment:
    """An enrolment under way: what the authenticator has to be shown, once."""

    login: str
    kind: EnrolmentKind
    uri: Secret | None
    """Nothing when the second factor stays."""


async def invite(
    session: Session, ring: KeyRing, person_id: str, kind: EnrolmentKind, *, by: str, now: datetime
) -> Secret:
    """Make the token of an enrolment; an earlier one of the same person is over. Shown once."""
    await end_open(session, person_id, now=now)
    token, enrolment_id, expires_at = ids.new_token(), ids.new_id("enr"), now + OPEN_FOR
    row = {
        "id": enrolment_id, "person_id": person_id, "kind": kind, "token_hash": ids.token_hash(token),
        "made_by": by, "made_at": now, "expires_at": expires_at,
        "proof": await prove(ring, *_parts(enrolment_id, person_id, kind, by, expires_at, token), now=now),
    }  # fmt: skip
    await session.execute(sqlalchemy.insert(enrolments).values(row))
    return token


async def begin(access: Access, token: Secret, password: Secret, *, origin: str, now: datetime) -> BegunEnrolment:
    """Take the password, and show the secret of the second factor, once: a second try needs a new token.

    For ``first`` and ``password`` the password is new; for ``totp`` it is the present one.
    Raises: EnrolmentRefused, EnrolmentWaits, PasswordWeak, PasswordRepeated; Sealed, SignInBusy.
    Locks: the person's row.
    """
    async with _told(access, "person.enrolment_begun", origin, now):
        async with access.transactions() as session:
            enrolment, person, factors = await _find(session, access.ring, token, now)
        if enrolment.begun_at is not None:
            raise EnrolmentRefused(reason="begun")
        new_hash = None
        if enrolment.kind == EnrolmentKind.TOTP:
            await _check_present_password(access, enrolment, password, factors, now)
        else:
            new_hash = await new_password(access, person, password)
        secret = None if enrolment.kind == EnrolmentKind.PASSWORD else ids.new_totp_secret()
        sealed = None if secret is None else await twofactor.seal_secret(access.ring, secret, person.id, now)
        async with access.transactions() as session:
            await repository.lock(session, person.id)
            if (await _find(session, access.ring, token, now))[0].begun_at is not None:
                raise EnrolmentRefused(reason="begun")
            await _update(session, enrolment.id, begun_at=now, password_hash=new_hash, totp_secret=sealed)
            label = f"person:{person.id}"
            await stage(session, [AuditEvent("person.enrolment_begun", label, origin, label, now)])
    uri = None if secret is None else twofactor.enrolment_uri(secret, person.login)
    return BegunEnrolment(person.login, EnrolmentKind(enrolment.kind), uri)


async def finish(access: Access, token: Secret, code: Secret, *, origin: str, now: datetime) -> Person:
    """Take the first code of the second factor; from now on the person signs in. Everything they had open is over.

    Raises: EnrolmentRefused, EnrolmentWaits; Sealed. Locks: the person's row, the enrolment.
    """
    async with _told(access, "person.enrolled", origin, now):
        async with access.transactions() as session:
            enrolment, person, factors = await _find(session, access.ring, token, now)
        if enrolment.begun_at is None or now - enrolment.begun_at > FINISH_WITHIN:
            raise EnrolmentRefused(reason="not begun, or begun too long ago")
        sealed = enrolment.totp_secret or factors.totp_secret
        if sealed is None:
            raise EnrolmentRefused(reason="no second factor")
        secret = await twofactor.open_secret(access.ring, sealed, person.id)
        step = twofactor.matching_step(secret, code, now)
        if step is None:
            await _count_failure(access, enrolment, now)
            raise EnrolmentRefused(reason="code")
        async with access.transactions() as session:
            return await _settle(session, access.ring, token, person.id, step, origin, now)


async def _settle(
    session: Session, ring: KeyRing, token: Secret, person_id: str, step: int, origin: str, now: datetime
) -> Person:
    """Make the new factors the person's own."""
    person, _ = await repository.lock(session, person_id)
    enrolment, _, factors = await _find(session, ring, token, now)
    is_used = enrolment.kind == EnrolmentKind.PASSWORD and step <= factors.totp_counter
    if is_used:
        raise EnrolmentRefused(reason="code used")
    status = person.status if person.status is PersonStatus.ACTIVE else advance(person.status, PersonStatus.ACTIVE)
    if enrolment.password_hash is not None:
        await repository.keep_password(session, person_id, enrolment.password_hash, now=now)
    sealed = {} if enrolment.totp_secret is None else {"totp_secret": enrolment.totp_secret}
    await repository.update(
        session, person_id, totp_counter=step, idle_since=now, failed_attempts=0, locked_until=None, status=status,
        **sealed,
    )  # fmt: skip
    await _update(session, enrolment.id, ended_at=now, is_done=True, password_hash=None, totp_secret=None)
    label = f"person:{person_id}"
    await sign_ins.end_all(session, person_id, by=label, now=now)
    await stage(session, [AuditEvent("person.enrolled", label, origin, label, now, facts={"kind": enrolment.kind})])
    return await repository.find(session, person_id)


async def new_password(access: Access, person: Person, password: Secret) -> str:
    """The hash of a new password, if it is good enough and none of the last four. Outside any transaction.

    Raises: PasswordWeak, PasswordRepeated, SignInBusy.
    """
    check_password(password, person.login)
    async with access.transactions() as session:
        kept = await repository.last_passwords(session, person.id, limit=REMEMBERED)
    if await access.passwords.matches_any(password, kept):
        raise PasswordRepeated()
    return await access.passwords.hash(password)


async def end_open(session: Session, person_id: str, *, now: datetime) -> None:
    """End the enrolment that a person has open, if any."""
    await session.execute(_ending(enrolments.c.person_id == person_id, now))


async def end_overdue(session: Session, *, now: datetime) -> None:
    """End enrolments whose time is over, and forget the factors begun with them."""
    await session.execute(_ending(enrolments.c.expires_at <= now, now))


def _ending(whose: sqlalchemy.ColumnElement[bool], now: datetime) -> sqlalchemy.Update:
    forgotten = {"ended_at": now, "password_hash": None, "totp_secret": None}
    return sqlalchemy.update(enrolments).where(whose, enrolments.c.ended_at.is_(None)).values(forgotten)


def _parts(
    enrolment_id: str, person_id: str, kind: str, made_by: str, expires_at: datetime, token: Secret
) -> tuple[str, ...]:
    expiry = expires_at.astimezone(UTC).isoformat()
    return "enrolment", enrolment_id, person_id, str(kind), made_by, expiry, token.expose()


async def _find(session: Session, ring: KeyRing, token: Secret, now: datetime) -> tuple[Row[Any], Person, Factors]:
    """The open enrolment of this token and whose it is. Raises: EnrolmentRefused, EnrolmentWaits."""
    query = sqlalchemy.select(enrolments).where(enrolments.c.token_hash == ids.token_hash(token))
    enrolment = (await session.execute(query)).first()
    if enrolment is None or enrolment.ended_at is not None or now >= enrolment.expires_at:
        raise EnrolmentRefused(reason="unknown or over")
    made = (enrolment.id, enrolment.person_id, enrolment.kind, enrolment.made_by, enrolment.expires_at)
    if not await holds(ring, enrolment.proof, *_parts(*made, token)):
        raise EnrolmentRefused(reason="not ours")
    person, factors = await repository.read(session, enrolment.person_id)
    if person.is_waiting:
        raise EnrolmentWaits()
    return enrolment, person, factors


async def _check_present_password(
    access: Access, enrolment: Row[Any], password: Secret, factors: Factors, now: datetime
) -> None:
    if not await access.passwords.matches(password, factors.password_hash):
        await _count_failure(access, enrolment, now)
        raise EnrolmentRefused(reason="password")


async def _count_failure(access: Access, enrolment: Row[Any], now: datetime) -> None:
    """One more wrong factor; the fifth ends the enrolment. Commits by itself, before the refusal."""
    counting = (
        sqlalchemy.update(enrolments)
        .where(enrolments.c.id == enrolment.id, enrolments.c.ended_at.is_(None))
        .values(failed_attempts=enrolments.c.failed_attempts + 1)
        .returning(enrolments.c.failed_attempts)
    )
    async with access.transactions() as session:
        if (await session.scalar(counting) or 0) >= FAILURES_MAX:
            await end_open(session, enrolment.person_id, now=now)


async def _update(session: Session, enrolment_id: str, **values: Any) -> None:
    await session.execute(sqlalchemy.update(enrolments).where(enrolments.c.id == enrolment_id).values(**values))


@asynccontextmanager
async def _told(access: Access, action: str, origin: str, now: datetime) -> AsyncIterator[None]:
    """Put a refusal into the log. A wrong token says nothing of whose it is, so nobody is named."""
    try:
        yield
    except Rejected as refusal:
        await record_refusal(access.transactions, action, NOBODY, NOBODY, refusal, origin=origin, now=now)
        raise
