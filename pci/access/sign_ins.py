"""Sign-ins: who is at work, by a token that only they have.

Source: PCI DSS 8.2.8: after 15 minutes of doing nothing, the person signs in again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import Row

from pci.access import ids
from pci.access.errors import SignInNeeded
from pci.access.person import Actor, Person, PersonStatus
from pci.access.roles import Role
from pci.access.tables import people, sign_ins
from pci.database import Session
from pci.keys.proofs import holds, prove
from pci.keys.ring import KeyRing
from pci.secret import Secret

IDLE_MAX = timedelta(minutes=15)
OPEN_MAX = timedelta(hours=8)
"""A working day: then both factors again, however busy the person was."""
NOTED_EVERY = timedelta(seconds=20)
"""Use is written down no more often than this, so a sign-in may end these seconds early, never late."""


async def open_sign_in(
    session: Session, ring: KeyRing, person: Person, *, origin: str, now: datetime
) -> tuple[Actor, Secret]:
    """Let a person in whose factors were checked. The token is not kept and cannot be shown again."""
    token, expires_at = ids.new_token(), now + OPEN_MAX
    actor = Actor(person.id, person.login, person.name, person.roles, ids.new_id("sgn"), origin, expires_at)
    row = {
        "id": actor.sign_in_id, "person_id": person.id, "token_hash": ids.token_hash(token), "origin": origin,
        "opened_at": now, "used_at": now, "expires_at": expires_at,
        "proof": await prove(ring, *_parts(actor.sign_in_id, person.id, expires_at, token), now=now),
    }  # fmt: skip
    await session.execute(sqlalchemy.insert(sign_ins).values(row))
    return actor, token


async def actor_of(session: Session, ring: KeyRing, token: Secret, *, origin: str, now: datetime) -> Actor:
    """Who has this token, if they are still signed in; using it keeps them so.

    Raises: SignInNeeded.
    """
    query = (
        sqlalchemy.select(
            sign_ins, people.c.login, people.c.name, people.c.status, people.c.roles, people.c.confirmed_by
        )
        .join(people, people.c.id == sign_ins.c.person_id)
        .where(sign_ins.c.token_hash == ids.token_hash(token))
    )
    row = (await session.execute(query)).first()
    if row is None or not _is_open(row, now):
        raise SignInNeeded()
    if not await holds(ring, row.proof, *_parts(row.id, row.person_id, row.expires_at, token)):
        raise SignInNeeded()
    if now - row.used_at >= NOTED_EVERY:
        used = sqlalchemy.update(sign_ins).where(sign_ins.c.id == row.id, sign_ins.c.used_at < now).values(used_at=now)
        await session.execute(used)
    roles = frozenset(map(Role, row.roles))
    return Actor(row.person_id, row.login, row.name, roles, row.id, origin, row.expires_at)


def _parts(sign_in_id: str, person_id: str, expires_at: datetime, token: Secret) -> tuple[str, ...]:
    return "sign_in", sign_in_id, person_id, expires_at.astimezone(UTC).isoformat(), token.expose()


def _is_open(row: Row[Any], now: datetime) -> bool:
    is_over = row.ended_at is not None or now >= row.expires_at or now - row.used_at >= IDLE_MAX
    return not is_over and row.status == PersonStatus.ACTIVE and row.confirmed_by is not None


async def end_one(session: Session, sign_in_id: str, *, by: str, now: datetime) -> None:
    """End one sign-in. Doing it again changes nothing."""
    await session.execute(_ending(sign_ins.c.id == sign_in_id, by, now))


async def end_all(session: Session, person_id: str, *, by: str, now: datetime) -> int:
    """End everything a person has open, and say how many that was."""
    ended = await session.execute(_ending(sign_ins.c.person_id == person_id, by, now))
    return ended.rowcount


async def end_others(session: Session, actor: Actor, *, now: datetime) -> int:
    """End everything a person has open but the sign-in they are at work in."""
    others = (sign_ins.c.person_id == actor.person_id) & (sign_ins.c.id != actor.sign_in_id)
    return (await session.execute(_ending(others, actor.label, now))).rowcount


async def end_idle(session: Session, *, now: datetime) -> int:
    """Write down that sign-ins are over whose time is: they open nothing already."""
    is_over = (sign_ins.c.expires_at <= now) | (sign_ins.c.used_at <= now - IDLE_MAX)
    return (await session.execute(_ending(is_over, "system:sweeper", now))).rowcount


def _ending(whose: sqlalchemy.ColumnElement[bool], by: str, now: datetime) -> sqlalchemy.Update:
    return sqlalchemy.update(sign_ins).where(whose, sign_ins.c.ended_at.is_(None)).values(ended_at=now, ended_by=by)
