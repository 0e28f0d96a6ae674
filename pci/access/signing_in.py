"""Signing in: both factors are checked before anything is answered, and every refusal looks the same.

Source: PCI DSS 8.3.1, 8.3.4, 8.4.2, 8.5.1; 8.2.6 for people who did not come for 90 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pci.access import repository, sign_ins, twofactor
from pci.access.deeds import NOBODY, Access
from pci.access.errors import SignInRefused
from pci.access.people import disable_idle
from pci.access.person import FAILURES_MAX, LOCKED_FOR, Actor, Person, PersonStatus
from pci.access.repository import Factors, Known
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.envelope import Dek, number_in
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing
from pci.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody signs in with, and from where."""

    login: str
    password: Secret
    code: Secret
    origin: str


@dataclass(frozen=True, slots=True, repr=False)
class _Checked:
    """What the factors turned out to be, before the person's row is locked."""

    factors: Factors
    is_password: bool
    step: int | None
    new_hash: str | None
    new_totp_secret: bytes | None


async def sign_in(access: Access, given: Credentials, *, now: datetime) -> tuple[Actor, Secret]:
    """Let a person in who knows their password and has their second factor.

    Ten failures lock for thirty minutes. A code counts once, also when two send it at the same moment.
    Raises: SignInRefused, the same for every reason; Sealed, SignInBusy. Locks: the person's row.
    """
    async with access.transactions() as session:
        known = await repository.find_by_login(session, given.login)
    checked = await _check(access, known, given, now)
    async with access.transactions() as session:
        refusal = "unknown_login" if known is None else await _refusal(session, known[0], checked, now)
        if refusal:
            await _note_failure(session, known, refusal, given.origin, now)
            opened = None
        else:
            assert known is not None, "nobody unknown is let in"
            opened = await _let_in(session, access.ring, known[0], checked, given.origin, now)
    if opened is None:
        raise SignInRefused()
    return opened


async def _check(access: Access, known: Known | None, given: Credentials, now: datetime) -> _Checked:
    """Compare both factors, with decoys where there is nobody: it takes as long. Outside any transaction.

    Raises: Sealed, ProviderUnavailable, whoever it is: a sealed vault tells nobody who is known to it.
    """
    dek = await access.ring.ensure(KeyPurpose.TOTP, twofactor.SCOPE, now)
    factors = Factors(None, None, 0) if known is None else known[1]
    secret = twofactor.DECOY_SECRET
    if known is not None and factors.totp_secret is not None:
        secret = await twofactor.open_secret(access.ring, factors.totp_secret, known[0].id)
    is_password = await access.passwords.matches(given.password, factors.password_hash)
    step = twofactor.matching_step(secret, given.code, now)
    new_hash = new_secret = None
    if known is not None and is_password and step is not None and factors.totp_secret is not None:
        new_hash, new_secret = await _renewed(access, known[0], factors, secret, given.password, dek)
    return _Checked(factors, is_password, step if factors.totp_secret is not None else None, new_hash, new_secret)


async def _renewed(
    access: Access, person: Person, factors: Factors, secret: bytes, password: Secret, dek: Dek
) -> tuple[str | None, bytes | None]:
    """The factors as they should be kept today, where that is not how they are: a new cost, a new key."""
    assert factors.password_hash is not None, "a password that matched was kept"
    assert factors.totp_secret is not None, "a code that matched has a secret"
    is_old = access.passwords.is_outdated(factors.password_hash)
    new_hash = await access.passwords.hash(password) if is_old else None
    if dek.number == number_in(factors.totp_secret):
        return new_hash, None
    return new_hash, twofactor.seal_with(dek, secret, person.id)


async def _refusal(session: Session, seen: Person, checked: _Checked, now: datetime) -> str:
    """Why this person is not let in, as the log says it; nothing if they are. Locks: the person's row."""
    person, factors = await repository.lock(session, seen.id)
    if person.status is not PersonStatus.ACTIVE:
        return f"person_{person.status}"
    if person.is_waiting:
        return "person_waits"
    if person.is_locked(now):
        return "locked"
    if person.is_idle(now):
        return "idle_90_days"
    if not checked.is_password or factors.password_hash != checked.factors.password_hash:
        return "password"
    if checked.step is None or factors.totp_secret != checked.factors.totp_secret:
        return "code"
    return "code_used" if checked.step <= factors.totp_counter else ""


async def _note_failure(session: Session, known: Known | None, refusal: str, origin: str, now: datetime) -> None:
    """Count a failure where there is somebody to count it for, and put it into the log."""
    subject = NOBODY if known is None else f"person:{known[0].id}"
    if known is not None and refusal == "idle_90_days":
        await disable_idle(session, known[0].id, now=now)
    if known is not None and refusal in {"password", "code", "code_used"}:
        await count_failure(session, known[0].id, origin, now)
    event = AuditEvent(
        action="person.signed_in", actor=subject, origin=origin, subject=subject, happened_at=now,
        outcome=AuditOutcome.REFUSED, facts={"code": SignInRefused.code, "reason": refusal},
    )  # fmt: skip
    await stage(session, [event])


async def count_failure(session: Session, person_id: str, origin: str, now: datetime) -> None:
    """One more failure; the tenth locks. Locks: the person's row, which is held already."""
    person, _ = await repository.lock(session, person_id)
    before = 0 if person.failed_attempts >= FAILURES_MAX else person.failed_attempts
    if before + 1 < FAILURES_MAX:
        await repository.update(session, person_id, failed_attempts=before + 1, locked_until=None)
        return
    await repository.update(session, person_id, failed_attempts=FAILURES_MAX, locked_until=now + LOCKED_FOR)
    subject = f"person:{person_id}"
    await stage(session, [AuditEvent("person.locked", "system:access", origin, subject, now)])


async def _let_in(
    session: Session, ring: KeyRing, person: Person, checked: _Checked, origin: str, now: datetime
) -> tuple[Actor, Secret]:
    """Open the sign-in, use the code up, and forget failures."""
    renewed = {"password_hash": checked.new_hash, "totp_secret": checked.new_totp_secret}
    await repository.update(
        session, person.id, totp_counter=checked.step, failed_attempts=0, locked_until=None,
        last_signed_in_at=now, idle_since=now, **{name: value for name, value in renewed.items() if value is not None},
    )  # fmt: skip
    fresh = await repository.find(session, person.id)
    actor, token = await sign_ins.open_sign_in(session, ring, fresh, origin=origin, now=now)
    subject = f"sign_in:{actor.sign_in_id}"
    await stage(session, [AuditEvent("person.signed_in", actor.label, origin, subject, now)])
    return actor, token
