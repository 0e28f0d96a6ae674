"""A shop that sells by installments: the api, the vault and an acquirer near it, phones behind a gateway."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx

from api.plan_calls import PlanCalls
from api.sandbox import found_operator
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from tests.api.card_world import CardShop, NearVault, card_shop
from tests.api.conftest import Client
from tests.api.installment_world import today_plus
from tests.api.message_world import MessageWorld, message_world
from tests.tokenization.charges.charge_world import ChargeWorld, charge_world, keep_card
from tests.vault_calls import public_client
from tokenization.settings import VaultSettings

PLANS = "/v1/installments/plans"
PHONES = itertools.count(79_160_000_001)
ITEMS = [{"name": "Духи «Ночь»", "quantity": "1", "price_kopecks": 1_000_056}]
VAULT = "https://vault.test"
BUYER = {"born_on": "1990-05-17", "first_name": "Мария", "last_name": "Иванова"}


@dataclass
class DoorVault:
    """The near vault, as the door calls it."""

    near: NearVault

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None,
        acting_for: str = "", request_id: str = "", query: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        del request_id
        path += f"?{urlencode(query)}" if query else ""
        return await self.near.call(method, path, body, idempotency_key=idempotency_key, acting_for=acting_for)

    async def close(self) -> None:
        pass


@dataclass
class PlanShop:
    """Everything that a plan needs."""

    cards: CardShop
    messages: MessageWorld
    operator_id: str
    token: str
    """A good card of the operator's."""
    browser: httpx.AsyncClient
    """The vault's own origin, as a buyer's browser reaches it."""
    orders: int = 0

    @property
    def api(self) -> Client:
        return self.cards.api

    @property
    def merchant_id(self) -> str:
        return self.cards.merchant_id

    @property
    def charges(self) -> ChargeWorld:
        return self.cards.charges

    def body(self, **changes: Any) -> dict[str, Any]:
        """An order of 10 000.56."""
        self.orders += 1
        return {
            "merchant_id": self.merchant_id, "order_number": f"A-{self.orders}", "price_kopecks": 1_000_056,
            "items": ITEMS, "success_url": "https://shop.example/ok", "fail_url": "https://shop.example/no", **changes,
        }  # fmt: skip

    async def plan(self, **changes: Any) -> Any:
        return await self.cards.made(PLANS, self.body(**changes))

    async def accepted(self, *, card_token: str | None = None, phone: str | None = None, **changes: Any) -> Any:
        """A plan whose first installment is held."""
        plan = await self.plan(**changes)
        body = {"buyer": {**BUYER, "phone": phone or f"+{next(PHONES)}"}, "card_token": card_token or self.token}
        return await self.cards.made(f"{PLANS}/{plan['id']}/acceptance", body, 200)

    async def begun(self, **changes: Any) -> Any:
        """A plan whose first installment is paid."""
        plan = await self.accepted(**changes)
        return await self.cards.made(f"{PLANS}/{plan['id']}/commit", {}, 200)

    async def code_on(self, phone: str) -> str:
        """The code in a phone's last message."""
        found = re.search(r"\d{6}", (await self.messages.read(phone))[-1]["text"])
        assert found is not None
        return found[0]


@asynccontextmanager
async def plan_shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    """Open it."""
    now = machine_now()
    async with charge_world(vault_engine, now) as charges, message_world() as messages:
        shown = replace(charges.desk.vault, settings=VaultSettings(public_url=VAULT))
        charges.desk = replace(charges.desk, vault=shown)
        cards = await card_shop(client, engine, charges)
        async with transaction(engine) as session:
            operator_id = await found_operator(session, now=now)
        door = client.app.state.door
        door.settings = door.settings.model_copy(update={"public_url": "https://kopeyka.test"})
        calls = PlanCalls(engine, cards.calls, door.clock)
        codes = replace(door.wiring.codes, gateway=messages.gateway)
        door.wiring = replace(door.wiring, plans=calls, codes=codes, vault=DoorVault(cards.vault))
        body = {
            "merchant_id": cards.merchant_id, "product_code": "dolyame", "effective_on": today_plus(0),
            "fee_basis_points": 690,
        }  # fmt: skip
        await cards.made("/v1/installments/merchant-terms", body)
        token = await keep_card(charges.desk.vault, now, merchant_id=operator_id)
        async with public_client(charges.desk.vault) as browser:
            yield PlanShop(cards, messages, operator_id, token, browser)
