"""A person of the vault, as a demo plays one: a password, and an authenticator that is a function."""

from __future__ import annotations

from base64 import b32decode
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from api.people_client import PeopleClient
from ledger.clock import machine_now
from ledger.ids import new_secret
from pci.access.twofactor import code_at, step_of
from pci.secret import Secret


@dataclass(frozen=True, slots=True)
class Person:
    """Who is let in."""

    login: str
    enrolment_token: str


async def enrol(client: PeopleClient, person: Person) -> None:
    """Choose a password, confirm the authenticator, and sign in with the code after that."""
    password = new_secret("Demo-1-")
    begun = await client.call("POST", "/enrolments", {"token": person.enrolment_token, "password": password})
    secret = b32decode(parse_qs(urlsplit(begun["uri"]).query)["secret"][0])
    step = step_of(machine_now())
    await client.call("POST", "/enrolments/finish", {"token": person.enrolment_token, "code": code_at(secret, step)})
    await client.sign_in(person.login, Secret(password), Secret(code_at(secret, step + 1)))
