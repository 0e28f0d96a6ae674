"""People at work on the vault's origin: everything goes over the wire, as from their browsers."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from starlette.routing import Router

from ledger.database import Engine, transaction
from pci.access import twofactor
from pci.access.deeds import Access
from pci.access.passwords import Passwords
from pci.pan import Pan
from pci.secret import Secret
from tests.pci.access.world import CHEAP, PASSWORD, STEP, enrolled
from tests.vault_world import ready_ring
from tokenization import cards
from tokenization.app import public_routes
from tokenization.card import CardDetails, CardTerms
from tokenization.outermost import PUBLIC_HEADERS, VaultDoor
from tokenization.settings import VaultSettings
from tokenization.vault import Vault

MERCHANT = "mer_shop"
MIR = "2200111753579001"
VISA = "4242424242424242"
SETTINGS = VaultSettings(password_passes=2, password_memory_mib=19, reveals_per_day=2)


@dataclass
class Desk:
    """A vault with a clock that the test moves, and the people who sit before it."""

    engine: Engine
    vault: Vault
    at: list[datetime]
    access: Access
    people: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)
    """Ids by login."""

    @property
    def now(self) -> datetime:
        return self.at[0]

    def wait(self, span: timedelta) -> None:
        self.at[0] += span

    async def card(self, pan: str = MIR, expires_on: str = "2029-10", merchant_id: str = MERCHANT) -> str:
        """The token of a card that was entered."""
        await cards.prepare(self.vault.ring, merchant_id, self.now)
        details, terms = CardDetails(Pan(pan), expires_on), CardTerms(merchant_id)
        async with self.vault.transactions() as session:
            kept = await cards.tokenize(
                session, self.vault.ring, details, terms, actor="service:api", origin="req_test", now=self.now
            )
        return kept.card.token

    async def sign_in(self, login: str, roles: Iterable[str]) -> httpx.AsyncClient:
        """A browser in which a new person of these roles has signed in."""
        self.members[login] = member = await enrolled(self.access, login, roles, self.now)
        self.people[login] = member.person.id
        return await self.sign_in_again(login)

    async def sign_in_again(self, login: str) -> httpx.AsyncClient:
        """A browser in which a known person has signed in."""
        member, browser = self.members[login], self.browser()
        body = {"login": login, "password": PASSWORD, "code": member.code(self.now)}
        opened = await browser.post("/vault/v1/sign-ins", json=body)
        assert opened.status_code == 201, opened.text
        return browser

    def browser(self) -> httpx.AsyncClient:
        """A browser in which nobody has."""
        app = VaultDoor(
            Router(public_routes(self.vault), redirect_slashes=False), PUBLIC_HEADERS, needs_peer=False
        )  # fmt: skip
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 5_000))  # type: ignore[arg-type]
        return httpx.AsyncClient(
            transport=transport, base_url="https://vault.test", headers={"origin": "https://vault.test"}
        )


async def make_desk(engine: Engine, now: datetime, settings: VaultSettings = SETTINGS) -> Desk:
    at, transactions = [now], functools.partial(transaction, engine)
    vault = Vault(transactions, lambda: at[0], await ready_ring(engine, now), settings)
    return Desk(engine, vault, at, Access(transactions, vault.ring, Passwords(CHEAP)))


def terms(token: str, **other: Any) -> dict[str, Any]:
    return {"token": token, "reason": "chargeback", "ticket": "SUP-1042"} | other


def code(secret: bytes, now: datetime) -> str:
    return twofactor.code_at(secret, twofactor.step_of(now))


__all__ = ["MERCHANT", "MIR", "STEP", "VISA", "Desk", "Secret", "code", "make_desk", "replace", "terms"]
