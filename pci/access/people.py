"""Letting people in and out of the vault, and giving them roles: one person gives rights, another confirms them.

Source: PCI DSS 8.2.4 (changes are authorised), 8.2.5 (who leaves is out at once), 8.2.6 (90 days idle), 7.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql

from pci.access import enrolments, ids, repository, sign_ins
from pci.access.deeds import Deed
from pci.access.errors import LoginTaken, OwnAccount, OwnRequest, PersonStatusRejected, RolesRejected
from pci.access.person import IDLE_DAYS_MAX, Person, PersonStatus, advance, check_login, check_reason
from pci.access.roles import Role, read_roles
from pci.access.tables import people, role_changes
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.ring import KeyRing
from pci.secret import Secret

SWEEPER = "system:sweeper"
INSTALLER = "system:init"
FIRST_LOCK = 20205
FIRST = frozenset({Role.ADMIN, Role.SECURITY_OFFICER})
"""Who gives rights, and who confirms them: neither can begin with the other alone."""


async def add_person(
    session: Session,
    ring: KeyRing,
    login: str,
    name: str,
    roles: Iterable[str],
    *,
    by: str,
    reason: str,
    now: datetime,
) -> tuple[Person, Secret]:
    """Invite a person: they choose their own factors with the token, which is shown once, when another confirmed them.

    Raises: PersonRejected, RolesRejected, ReasonRejected, LoginTaken.
    """
    check_login(login, name)
    check_reason(reason)
    wanted = read_roles(roles)
    person_id = ids.new_id("per")
    row = {
        "id": person_id, "login": login, "name": name, "status": PersonStatus.INVITED,
        "roles": sorted(wanted), "idle_since": now, "created_at": now, "created_by": by,
        **_granted(by),
    }  # fmt: skip
    adding = postgresql.insert(people).values(row).on_conflict_do_nothing(constraint="people_login_key")
    if await session.scalar(adding.returning(people.c.id)) is None:
        raise LoginTaken()
    await _write_role_changes(session, person_id, dict.fromkeys(wanted, True), by, reason, now)
    token = await enrolments.invite(session, ring, person_id, enrolments.EnrolmentKind.FIRST, by=by, now=now)
    return await repository.find(session, person_id), token


async def add_first(
    session: Session, ring: KeyRing, login: str, name: str, role: Role, *, origin: str, now: datetime
) -> tuple[Person, Secret]:
    """Invite the first administrator or security officer: whoever runs the vault does it, once.

    Raises: RolesRejected, PersonRejected, LoginTaken, PersonStatusRejected if somebody not disabled has the role.
    Locks: one advisory lock, so that of two at once one is first.
    """
    await session.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": FIRST_LOCK})
    if role not in FIRST:
        raise RolesRejected(known=", ".join(sorted(FIRST)))
    known = await repository.list_people(session)
    if any(role in person.roles and person.status is not PersonStatus.DISABLED for person in known):
        raise PersonStatusRejected("There is one already: administrators let others in, security officers confirm.")
    reason = f"the first {role}"
    person, token = await add_person(session, ring, login, name, [role], by=INSTALLER, reason=reason, now=now)
    event = AuditEvent("person.added", INSTALLER, origin, f"person:{person.id}", now, facts={"roles": str(role)})
    await stage(session, [event])
    return person, token


async def change_roles(deed: Deed, person_id: str, roles: Iterable[str], *, reason: str) -> Person:
    """Give a person these roles and no others; a role less counts at once, a role more puts them out until confirmed.

    Raises: OwnAccount, RolesRejected, ReasonRejected, PersonUnknown. Locks: the person's row.
    """
    person = await _other(deed, person_id, reason)
    wanted = read_roles(roles)
    changes = dict.fromkeys(wanted - person.roles, True) | dict.fromkeys(person.roles - wanted, False)
    await repository.update(deed.session, person_id, roles=sorted(wanted))
    if wanted - person.roles:
        await repository.update(deed.session, person_id, **_granted(deed.actor.label))
        await sign_ins.end_all(deed.session, person_id, by=deed.actor.label, now=deed.wish.now)
    await _write_role_changes(deed.session, person_id, changes, deed.actor.label, reason, deed.wish.now)
    await deed.record(f"person:{person_id}", **_facts(changes))
    return await repository.find(deed.session, person_id)


async def confirm(deed: Deed, person_id: str, roles: Iterable[str]) -> Person:
    """Agree to what another gave: that this is who they say, and that they may have just these roles.

    Raises: OwnAccount, OwnRequest if one's own hand gave it, RolesRejected if they have other roles meanwhile,
    PersonUnknown, PersonStatusRejected if nothing waits. Locks: the person's row.
    """
    if person_id == deed.actor.person_id:
        raise OwnAccount()
    person, _ = await repository.lock(deed.session, person_id)
    if not person.is_waiting or person.status is PersonStatus.DISABLED:
        raise PersonStatusRejected(status=str(person.status))
    if person.granted_by == deed.actor.label:
        raise OwnRequest()
    if read_roles(roles) != person.roles:
        raise RolesRejected("These are not the roles that wait to be confirmed: look again.")
    await repository.update(deed.session, person_id, confirmed_by=deed.actor.label)
    await deed.record(f"person:{person_id}", roles=" ".join(sorted(person.roles)), granted_by=person.granted_by)
    return await repository.find(deed.session, person_id)


async def disable(deed: Deed, person_id: str, *, reason: str) -> Person:
    """Put a person out at once: nothing they have open works any more.

    Raises: OwnAccount, ReasonRejected, PersonUnknown, PersonStatusRejected. Locks: the person's row.
    """
    person = await _other(deed, person_id, reason)
    ended = await _disable(deed.session, person, by=deed.actor.label, reason=reason, now=deed.wish.now)
    await deed.record(f"person:{person_id}", ended_sign_ins=ended)
    return await repository.find(deed.session, person_id)


async def invite_again(deed: Deed, person_id: str, *, reason: str) -> Secret:
    """Let a disabled person back, or an invited one whose token was lost, with factors chosen anew.

    Raises: OwnAccount, ReasonRejected, PersonUnknown, PersonStatusRejected. Locks: the person's row.
    """
    person, now, by = await _other(deed, person_id, reason), deed.wish.now, deed.actor.label
    if person.status is not PersonStatus.INVITED:
        await repository.update(
            deed.session, person_id, status=advance(person.status, PersonStatus.INVITED), idle_since=now,
            password_hash=None, password_changed_at=None, totp_secret=None, failed_attempts=0, locked_until=None,
            disabled_at=None, disabled_by=None, disabled_reason=None,
        )  # fmt: skip
    await repository.update(deed.session, person_id, **_granted(by))
    token = await enrolments.invite(
        deed.session, deed.wish.ring, person_id, enrolments.EnrolmentKind.FIRST, by=by, now=now
    )
    await deed.record(f"person:{person_id}")
    return token


async def reset_password(deed: Deed, person_id: str, *, reason: str) -> Secret:
    """Let a person who forgot their password choose another; their second factor is still asked for.

    Raises: OwnAccount, ReasonRejected, PersonUnknown, PersonStatusRejected. Locks: the person's row.
    """
    person = await _other(deed, person_id, reason)
    if person.status is not PersonStatus.ACTIVE:
        raise PersonStatusRejected(status=str(person.status))
    by, now = deed.actor.label, deed.wish.now
    token = await enrolments.invite(
        deed.session, deed.wish.ring, person_id, enrolments.EnrolmentKind.PASSWORD, by=by, now=now
    )
    await deed.record(f"person:{person_id}")
    return token


async def unlock(deed: Deed, person_id: str, *, reason: str) -> Person:
    """Let a locked person try again before the half hour is over, once it is known that it was they who failed.

    Raises: OwnAccount, ReasonRejected, PersonUnknown. Locks: the person's row.
    """
    await _other(deed, person_id, reason)
    await repository.update(deed.session, person_id, failed_attempts=0, locked_until=None)
    await deed.record(f"person:{person_id}")
    return await repository.find(deed.session, person_id)


async def sign_out_everywhere(deed: Deed, person_id: str) -> int:
    """End everything a person has open: their own, or by whoever may change people.

    Raises: PersonUnknown. Locks: the person's row.
    """
    await repository.lock(deed.session, person_id)
    ended = await sign_ins.end_all(deed.session, person_id, by=deed.actor.label, now=deed.wish.now)
    await deed.record(f"person:{person_id}", ended_sign_ins=ended)
    return ended


async def disable_idle(session: Session, person_id: str, *, now: datetime) -> bool:
    """Disable a person who did not come for 90 days; says whether that was so. Locks: the person's row."""
    person, _ = await repository.lock(session, person_id)
    if person.status is PersonStatus.DISABLED or not person.is_idle(now):
        return False
    await _disable(session, person, by=SWEEPER, reason=f"idle for {IDLE_DAYS_MAX} days", now=now)
    event = AuditEvent("person.disabled", SWEEPER, "sweep", f"person:{person_id}", now, facts={"idle_90_days": True})
    await stage(session, [event])
    return True


async def sweep(session: Session, *, now: datetime) -> int:
    """Disable everybody idle for 90 days and end sign-ins whose time is over. Says how many people were disabled.

    Locks: people's rows, in the order of their ids.
    """
    await sign_ins.end_idle(session, now=now)
    await enrolments.end_overdue(session, now=now)
    is_idle = people.c.idle_since <= now - timedelta(days=IDLE_DAYS_MAX)
    query = (
        sqlalchemy.select(people.c.id).where(is_idle, people.c.status != PersonStatus.DISABLED).order_by(people.c.id)
    )
    return sum([await disable_idle(session, person_id, now=now) for person_id in (await session.scalars(query)).all()])


def _granted(by: str) -> dict[str, str | None]:
    """That rights were given and nobody has confirmed them; who reaches the database itself needs nobody."""
    return {"granted_by": by, "confirmed_by": INSTALLER if by == INSTALLER else None}


def _facts(changes: dict[Role, bool]) -> dict[str, Any]:
    return {str(role): is_granted for role, is_granted in sorted(changes.items())}


async def _other(deed: Deed, person_id: str, reason: str) -> Person:
    """The person to be changed, who is not the one at work. Locks: the person's row."""
    if person_id == deed.actor.person_id:
        raise OwnAccount()
    check_reason(reason)
    person, _ = await repository.lock(deed.session, person_id)
    return person


async def _disable(session: Session, person: Person, *, by: str, reason: str, now: datetime) -> int:
    status = advance(person.status, PersonStatus.DISABLED)
    await repository.update(
        session, person.id, status=status, disabled_at=now, disabled_by=by, disabled_reason=reason
    )  # fmt: skip
    await enrolments.end_open(session, person.id, now=now)
    return await sign_ins.end_all(session, person.id, by=by, now=now)


async def _write_role_changes(
    session: Session, person_id: str, changes: dict[Role, bool], by: str, reason: str, now: datetime
) -> None:
    rows = [
        {
            "id": ids.new_id("rch"), "person_id": person_id, "role": role, "is_granted": is_granted,
            "changed_by": by, "changed_at": now, "reason": reason,
        }
        for role, is_granted in sorted(changes.items())
    ]  # fmt: skip
    if rows:
        await session.execute(sqlalchemy.insert(role_changes), rows)
