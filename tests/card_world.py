"""A vault with keys for two merchants, and the few things that tests do with cards in it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg

from ledger.database import Engine, transaction
from pci.database import Transactions
from pci.keys.ring import KeyRing
from pci.pan import Pan
from tests.conftest import VaultDatabase
from tests.vault_world import ready_ring
from tokenization import cards, refusals
from tokenization.card import Card, CardDetails, CardTerms, OpenCard, Tokenized
from tokenization.card_use import CardPurpose, CardUse

MIR, VISA, OTHER = "2200111753579001", "4242424242424242", "4111111111111111"
SHOP, NEIGHBOUR = "mer_shop", "mer_neighbour"
CHARGE = CardUse(CardPurpose.CHARGE, channel="online", amount_kopecks=100_00, currency="RUB")


@dataclass(frozen=True)
class World:
    """A vault with keys for two merchants."""

    engine: Engine
    ring: KeyRing
    now: datetime
    database: VaultDatabase

    async def tokenize(
        self, number: str = MIR, expires: str = "2028-12", holder: str | None = None, **terms: Any
    ) -> Tokenized:
        details = CardDetails(Pan(number), expires, holder)
        async with transaction(self.engine) as session:
            return await cards.tokenize(
                session, self.ring, details, CardTerms(**{"merchant_id": SHOP} | terms),
                actor="service:api", origin="req_1", now=self.now,
            )  # fmt: skip

    async def read(
        self, token: str, merchant_id: str = SHOP, use: CardUse = CHARGE, at: datetime | None = None
    ) -> OpenCard:
        async with refusals.kept(functools.partial(transaction, self.engine)) as session:
            return await cards.read_pan(
                session, self.ring, token, merchant_id=merchant_id, use=use,
                actor="service:api", origin="req_2", now=at or self.now,
            )  # fmt: skip

    async def find(self, token: str, merchant_id: str = SHOP) -> Card:
        async with transaction(self.engine) as session:
            return await cards.find_card(session, token, merchant_id)

    def sql(self, statement: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.superuser_url, autocommit=True) as connection:
            found = connection.execute(statement, arguments)  # type: ignore[arg-type]  # tests write their own SQL
            return found.fetchall() if found.description else []

    def events(self, action: str) -> list[dict[str, Any]]:
        rows = self.sql("SELECT event FROM audit_events ORDER BY id")
        return [event for event in (json.loads(row[0]) for row in rows) if event["action"] == action]

    @property
    def transactions(self) -> Transactions:
        return functools.partial(transaction, self.engine)

    def at(self, later: datetime) -> World:
        return replace(self, now=later)


async def make_world(engine: Engine, database: VaultDatabase, now: datetime) -> World:
    ring = await ready_ring(engine, now)
    for merchant_id in (SHOP, NEIGHBOUR):
        await cards.prepare(ring, merchant_id, now)
    return World(engine, ring, now, database)
