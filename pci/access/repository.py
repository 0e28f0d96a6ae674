"""Rows of people's tables as values. Locks: a person's row first, then what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Row

from pci.access.errors import PersonUnknown
from pci.access.ids import is_id
from pci.access.person import LOGIN, Person, PersonStatus
from pci.access.roles import Role
from pci.access.tables import past_passwords, people
from pci.database import Session

_SHOWN = (
    "id", "login", "name", "status", "roles", "failed_attempts", "locked_until", "last_signed_in_at", "idle_since",
    "created_at", "created_by", "granted_by", "confirmed_by", "disabled_at", "disabled_by", "disabled_reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Factors:
    """What a person is checked by: never printed."""

    password_hash: str | None
    totp_secret: bytes | None
    totp_counter: int


Known = tuple[Person, Factors]
"""A person with their factors."""


async def find_by_login(session: Session, login: str) -> Known | None:
    """The person with this login, not locked. What cannot be a login is nobody's."""
    if not LOGIN.fullmatch(login):
        return None
    row = (await session.execute(sqlalchemy.select(people).where(people.c.login == login))).first()
    return None if row is None else _known(row)


async def find(session: Session, person_id: str) -> Person:
    """One person. Raises: PersonUnknown."""
    return (await read(session, person_id))[0]


async def read(session: Session, person_id: str) -> Known:
    """One person with their factors, not locked. Raises: PersonUnknown."""
    return await _one(session, sqlalchemy.select(people).where(people.c.id == person_id), person_id)


async def lock(session: Session, person_id: str) -> Known:
    """One person, for changing. Raises: PersonUnknown. Locks: the person's row."""
    query = sqlalchemy.select(people).where(people.c.id == person_id).with_for_update()
    return await _one(session, query, person_id)


async def list_people(session: Session) -> list[Person]:
    """Everybody there is or was, by login. An installation has tens of them."""
    return [_known(row)[0] for row in await session.execute(sqlalchemy.select(people).order_by(people.c.login))]


async def update(session: Session, person_id: str, **values: Any) -> None:
    """Change columns of one locked person."""
    await session.execute(sqlalchemy.update(people).where(people.c.id == person_id).values(**values))


async def keep_password(session: Session, person_id: str, password_hash: str, *, now: datetime) -> None:
    """Give a locked person this password, and remember it."""
    await update(session, person_id, password_hash=password_hash, password_changed_at=now)
    row = {"person_id": person_id, "set_at": now, "password_hash": password_hash}
    await session.execute(sqlalchemy.insert(past_passwords).values(row))


async def last_passwords(session: Session, person_id: str, *, limit: int) -> list[str]:
    """The last passwords, as they were kept."""
    query = (
        sqlalchemy.select(past_passwords.c.password_hash)
        .where(past_passwords.c.person_id == person_id)
        .order_by(past_passwords.c.set_at.desc())
        .limit(limit)
    )
    return list((await session.scalars(query)).all())


async def _one(session: Session, query: sqlalchemy.Select[Any], person_id: str) -> Known:
    row = (await session.execute(query)).first() if is_id("per", person_id) else None
    if row is None:
        raise PersonUnknown()
    return _known(row)


def _known(row: Row[Any]) -> Known:
    shown = {name: row._mapping[name] for name in _SHOWN}
    roles = frozenset(map(Role, row.roles))
    person = Person(**{**shown, "status": PersonStatus(row.status), "roles": roles})
    return person, Factors(row.password_hash, row.totp_secret, row.totp_counter)
