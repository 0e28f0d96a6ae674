"""One merchant's key at another's things: every operation of the API is tried, and none tells that they are there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio

from api.callers import MERCHANT_SCOPES, create_key
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from ledger.ids import new_id
from tests.api.basket_world import PROGRAMME, BasketShop, basket_shop
from tests.api.card_world import ACCOUNT, card_shop
from tests.api.conftest import Client
from tests.tokenization.charges.charge_world import charge_world

ID = re.compile(r"[a-z]{2,3}_[0-9a-z]{26}")
REFUSED = range(400, 500)
OF_ALL = frozenset({
    "/v1/event-types", "/v1/installments/products", "/v1/rails/capabilities", "/v1/rails/switches",
})  # fmt: skip
"""What everybody may read: nobody's own."""


NO_VAULT = "vault.not_named"
"""Cards are tried where there is a vault: tests/api/test_cards.py."""


def standing(answer: httpx.Response) -> tuple[int, str]:
    """What a refusal tells."""
    return answer.status_code, str(answer.json().get("code"))


@dataclass
class Rivals:
    """A merchant that has one of everything, and the key of another one."""

    shop: BasketShop
    rival: Client
    names: dict[str, str]
    """What an address or a body calls the first merchant's things."""
    spec: dict[str, Any]

    @property
    def ids(self) -> set[str]:
        return {value for value in self.names.values() if ID.fullmatch(value)}

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in self.spec["paths"].items():
            for method, operation in item.items():
                if not path.startswith("/v1/clock"):
                    yield method.upper(), path, operation

    async def call(self, method: str, path: str, operation: dict[str, Any], names: dict[str, str]) -> httpx.Response:
        """An operation as its own example has it, about what ``names`` say."""
        address = re.sub(r"{(\w+)}", lambda found: names.get(found[1], "nothing"), path)
        content = operation.get("requestBody", {}).get("content", {})
        if method in ("POST", "PATCH"):
            example = fitted(content.get("application/json", {}).get("example"), names)
            return await self.rival.post(address, example)
        return await self.rival.send(method, address)


def fitted(body: Any, names: dict[str, str]) -> Any:
    if isinstance(body, list):
        return [fitted(each, names) for each in body]
    if not isinstance(body, dict):
        return body
    return {name: names.get(name, fitted(value, names)) for name, value in body.items()}


def of_nobody(names: dict[str, str]) -> dict[str, str]:
    """The same names for things that are nowhere."""
    now = machine_now()
    return {
        name: new_id(value.partition("_")[0], now) if ID.fullmatch(value) else "nobodys"
        for name, value in names.items()
    }


async def things(shop: BasketShop) -> dict[str, str]:
    """One of everything that a merchant of tills has."""
    made, read, mine = shop.shop.made, shop.shop.read, {"merchant_id": shop.shop.merchant_id}
    terminal = shop.shop.terminal_id
    cashier = await made("/v1/cashiers", {**mine, "number": "0042", "name": "Иванова"})
    shift = await made("/v1/shifts", {"terminal_id": terminal, "cashier_id": cashier["id"]})
    key = await made(f"/v1/terminals/{terminal}/keys", None)
    showing = await made(f"/v1/loyalty-cards/{shop.card_id}/showings", None)
    shown = await read(f"/v1/loyalty-cards/{shop.card_id}/showings/{showing['id']}/barcode")
    scan = await made("/v1/presentments", {"terminal_id": terminal, "barcode": shown["text"]})
    order = await shop.place_with_all()
    attempt = await shop.shop.attempt(order["id"])
    refund = await shop.take_back(order["id"], [(1, 1)])
    offer = await made("/v1/rail-offers", {**mine, "rail": "sbp", "basis_points": 200, "note": "Дешевле"})
    webhook = await made("/v1/webhooks", {**mine, "url": "https://shop.example/hook", "event_types": ["*"]})
    await made("/v1/premises/settings", {**mine, "level": "merchant", "name": "slip_columns", "value": 32})
    await made("/v1/premises/rollouts", {**mine, "level": "merchant", "rail": "card", "is_on": True})
    await made("/v1/rails/failover-rules", {**mine, "rail": "sbp", "next_rail": "dolyame"})
    code = (await read("/v1/promo-codes"))["items"][0]
    event = (await read("/v1/events"))["items"][0]
    return {
        "merchant_id": shop.shop.merchant_id, "store_id": order["store_id"], "terminal_id": terminal,
        "cashier_id": cashier["id"], "shift_id": shift["id"], "key_id": key["id"], "card_id": shop.card_id,
        "loyalty_card_id": shop.card_id, "showing_id": showing["id"], "presentment_id": scan["id"],
        "order_id": order["id"], "attempt_id": attempt["id"], "payment_id": attempt["payment_id"],
        "item_refund_id": refund["id"], "refund_id": refund["refund_id"], "rail_offer_id": offer["id"],
        "webhook_id": webhook["id"], "promo_code_id": code["id"], "event_id": event["id"],
        "object_id": order["id"], "code": PROGRAMME, "programme": PROGRAMME, "token": shop.shop.token,
        "card_token": shop.shop.token,
    }  # fmt: skip


@pytest_asyncio.fixture
async def rivals(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[Rivals]:
    async with charge_world(vault_engine, machine_now()) as charges:
        shop = await basket_shop(await card_shop(client, engine, charges))
        names = await things(shop)
        other = await shop.shop.made("/v1/merchants", {
            "name": "Соперник", "legal_name": "ООО Соперник", "inn": "7707083893", "tariff_group": "standard",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        })  # fmt: skip
        async with transaction(engine) as session:
            _, secret = await create_key(
                session, name="rival", scopes=sorted(MERCHANT_SCOPES), mode="test", now=machine_now(),
                merchant_id=other["id"],
            )  # fmt: skip
        rival = Client(client.http, client.app, secret.expose())
        yield Rivals(shop, rival, names, (await client.get("/openapi.json")).json())


async def test_what_is_anothers_is_as_if_it_were_not_there(rivals: Rivals) -> None:
    nobodys = of_nobody(rivals.names)
    wrong = []
    for method, path, operation in rivals.operations():
        if "{" not in path:
            continue
        answer = await rivals.call(method, path, operation, rivals.names)
        blank = await rivals.call(method, path, operation, nobodys)
        if answer.json().get("code") == NO_VAULT:
            continue
        if answer.status_code not in REFUSED or standing(answer) != standing(blank):
            wrong.append((method, path, standing(answer), standing(blank)))
    assert wrong == []


async def test_no_list_shows_what_is_anothers(rivals: Rivals) -> None:
    wrong = []
    for method, path, operation in rivals.operations():
        if method != "GET" or "{" in path or path in OF_ALL or not path.startswith("/v1/"):
            continue
        filters = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        named = {name: value for name, value in rivals.names.items() if name in filters}
        for wish in ({}, named):
            answer = await rivals.rival.send("GET", path, params=wish)
            seen = set(ID.findall(answer.text)) - set(wish.values())
            if NO_VAULT in answer.text:
                continue
            if answer.status_code >= 500 or seen & rivals.ids or PROGRAMME in answer.text:
                wrong.append((path, wish, answer.status_code, answer.text[:300]))
    assert wrong == []


async def test_nothing_is_made_in_anothers_name(rivals: Rivals) -> None:
    wrong = []
    for method, path, operation in rivals.operations():
        if method != "POST" or "{" in path:
            continue
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if not isinstance(body, dict) or not body.keys() & rivals.names.keys() - {"code"}:
            continue
        names = {name: value for name, value in rivals.names.items() if name != "code"}
        answer = await rivals.call(method, path, operation, names)
        if answer.status_code not in REFUSED:
            wrong.append((path, standing(answer)))
    assert wrong == []
