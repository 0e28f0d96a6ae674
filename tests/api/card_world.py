"""A shop that takes cards: the api, the vault without a socket between them, and an acquirer on a real TCP port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from api.card_calls import CardCalls, carry_on_card_payments, release_withdrawn_cards
from api.errors import VaultRefused, VaultUnknown
from api.vault_client import _refusal
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import Clock
from ledger.database import Engine
from tests.api.conftest import Client
from tests.tokenization.charges.charge_world import ChargeWorld, keep_card
from tests.vault_calls import service_client
from tokenization.charges.resolving import resolve_due

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))


@dataclass
class NearVault:
    """The vault's own application, called as the api calls it over mutual TLS. ``lose``: answers that get lost.

    ``drop``: questions that get lost. ``refuse``: a code with which it refuses whatever it is asked to do.
    """

    http: httpx.AsyncClient
    lose: int = 0
    drop: int = 0
    refuse: str = ""
    calls: list[str] = field(default_factory=list)

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None,
        acting_for: str = "",
    ) -> Any:  # fmt: skip
        self.calls.append(f"{method} {path}")
        if self.refuse and method == "POST":
            raise VaultRefused(self.refuse, "")
        if self.drop > 0:
            self.drop -= 1
            raise VaultUnknown()
        answer = await self.http.request(
            method, path, json=body, headers={"idempotency-key": idempotency_key or "", "acting-for": acting_for}
        )
        if self.lose > 0:
            self.lose -= 1
            raise VaultUnknown()
        said = json.loads(answer.content)
        if answer.status_code >= 400:
            raise _refusal(answer.status_code, said)
        return said


@dataclass
class CardShop:
    """A merchant with a till, a card in the vault, and everything in between."""

    api: Client
    engine: Engine
    charges: ChargeWorld
    vault: NearVault
    calls: CardCalls
    merchant_id: str = ""
    terminal_id: str = ""
    token: str = ""
    orders: int = 0

    async def made(self, path: str, body: Any, status: int = 201) -> Any:
        response = await self.api.post(path, body)
        assert response.status_code == status, response.text
        return response.json()

    async def order(self, amount: int = 10_000) -> str:
        self.orders += 1
        body = {"terminal_id": self.terminal_id, "number": f"A-{self.orders}", "amount_kopecks": amount}
        return str((await self.made("/v1/orders", body))["id"])

    async def attempt(self, order_id: str, **terms: Any) -> Any:
        body = {"rail": "card", "card_token": self.token, **terms}
        return await self.made(f"/v1/orders/{order_id}/attempts", body)

    async def pay(self, amount: int = 10_000, **terms: Any) -> Any:
        body = {"merchant_id": self.merchant_id, "card_token": self.token, "amount_kopecks": amount, **terms}
        return await self.made("/v1/card-payments", body)

    async def read(self, path: str) -> Any:
        response = await self.api.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def balance(self, code: str) -> int:
        response = await self.api.get(f"/v1/ledger/accounts/{code}")
        return int(response.json()["balance"]) if response.status_code == 200 else 0

    async def work_once(self) -> None:
        """One round of the worker's, with everything due."""
        async with self.engine.begin() as session:
            for table in ("card_payments", "card_refunds"):
                await session.exec_driver_sql(
                    f"UPDATE {table} SET next_look_at = now() - interval '1 s' WHERE next_look_at IS NOT NULL"
                )
        await carry_on_card_payments(self.calls)

    async def settle(self) -> None:
        """Vault and worker go on until neither has anything to do; business time of both is moved on."""
        for _ in range(12):
            await release_withdrawn_cards(self.calls)
            await resolve_due(self.charges.desk)
            await self.charges.settle()
            async with self.engine.begin() as session:
                for table in ("card_payments", "card_refunds"):
                    await session.exec_driver_sql(
                        f"UPDATE {table} SET next_look_at = now() - interval '1 s' WHERE next_look_at IS NOT NULL"
                    )
            if not await carry_on_card_payments(self.calls) and not await release_withdrawn_cards(self.calls):
                return
        raise AssertionError("card payments are still unsure")

    async def entries(self) -> list[Any]:
        return list((await self.read("/v1/ledger/entries?limit=200"))["items"])

    async def events(self) -> list[str]:
        return [event["type"] for event in (await self.read("/v1/events?limit=200"))["items"]]


async def card_shop(client: Client, engine: Engine, charges: ChargeWorld) -> CardShop:
    """Open the shop."""
    vault = NearVault(service_client(charges.desk.vault))
    door = client.app.state.door
    calls = CardCalls(engine, vault, Clock())
    door.wiring = replace(door.wiring, cards=calls)
    shop = CardShop(client, engine, charges, vault, calls)
    merchant = {
        "name": "Лавка", "legal_name": "ООО Лавка", "inn": "7707083893", "tariff_group": "standard",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
    }  # fmt: skip
    shop.merchant_id = (await shop.made("/v1/merchants", merchant))["id"]
    place = {"merchant_id": shop.merchant_id, "name": "Лавка", "address": "Москва"}
    store = await shop.made("/v1/stores", place)
    shop.terminal_id = (await shop.made("/v1/terminals", {"store_id": store["id"], "name": "1"}))["id"]
    shop.token = await keep_card(charges.desk.vault, charges.clock.at, merchant_id=shop.merchant_id)
    return shop
