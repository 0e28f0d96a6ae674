"""A vault with people: everything goes through the verbs, as it would from a page."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from ledger.database import Engine, transaction
from pci.access import enrolments, people, twofactor
from pci.access.deeds import Access, Wish
from pci.access.passwords import PasswordCost, Passwords
from pci.access.person import Actor, Person
from pci.access.roles import Scope
from pci.access.signing_in import Credentials, sign_in
from pci.keys.ring import KeyRing
from pci.secret import Secret
from tests.vault_world import ready_ring

CHEAP = PasswordCost(passes=1, memory_bytes=8_192)
"""Argon2 in microseconds."""
PASSWORD = "correct horse 7 battery"
STEP = timedelta(seconds=30)
ORIGIN = "192.0.2.7"


@dataclass
class Member:
    """A person who is enrolled, with what only they know."""

    person: Person
    secret: bytes
    password: str = PASSWORD

    def code(self, now: datetime) -> str:
        return twofactor.code_at(self.secret, twofactor.step_of(now))

    def given(self, now: datetime, **other: str) -> Credentials:
        values = {"login": self.person.login, "password": self.password, "code": self.code(now)} | other
        return Credentials(values["login"], Secret(values["password"]), Secret(values["code"]), ORIGIN)


RINGS: list[KeyRing] = []
"""Of the vault that a test made last: what its people wish is asked of that vault."""


async def make_access(engine: Engine, now: datetime) -> Access:
    transactions = functools.partial(transaction, engine)
    RINGS[:] = [await ready_ring(engine, now)]
    return Access(transactions, RINGS[-1], Passwords(CHEAP))


async def invited(access: Access, login: str, roles: Iterable[str], now: datetime) -> tuple[Person, Secret]:
    async with access.transactions() as session:
        return await people.add_person(
            session, access.ring, login, login.title(), roles, by="system:init", reason="hired", now=now
        )


def secret_in(uri: Secret | None) -> bytes:
    """The secret that an authenticator reads from the QR code."""
    assert uri is not None
    return base64.b32decode(parse_qs(urlsplit(uri.expose()).query)["secret"][0])


async def enrolled(access: Access, login: str, roles: Iterable[str], now: datetime) -> Member:
    """A person who went the whole way from invitation to their first code, two steps before ``now``."""
    before = now - 2 * STEP
    _, token = await invited(access, login, roles, before)
    begun = await enrolments.begin(access, token, Secret(PASSWORD), origin=ORIGIN, now=before)
    secret = secret_in(begun.uri)
    code = Secret(twofactor.code_at(secret, twofactor.step_of(before)))
    return Member(await enrolments.finish(access, token, code, origin=ORIGIN, now=before), secret)


async def signed_in(access: Access, member: Member, now: datetime) -> tuple[Actor, Secret]:
    return await sign_in(access, member.given(now), now=now)


def wish(token: Secret, now: datetime, scope: Scope | None = None, action: str = "person.tried") -> Wish:
    return Wish(action, scope, "thing:1", token, ORIGIN, now, RINGS[-1])


def events(url: str) -> list[dict[str, Any]]:
    """Everything in the log so far, in order, as it is written."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT event FROM audit_events ORDER BY id").fetchall()
    return [json.loads(bytes(row[0])) for row in rows]
