"""Кошелёк Pay over the door: a wallet puts a card on a phone, and the phone pays an order down to the books."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from sqlalchemy import text

from api.callers import create_key
from api.card_calls import CardCalls
from api.errors import VaultRefused, VaultUnknown
from ledger.clock import Clock
from ledger.database import Engine, transaction
from pci.pan_allowed import NOTHING_ALLOWED, tells_pan
from tests.api.card_world import CardShop, NearVault, card_shop
from tests.api.conftest import Client
from tests.tokenization.charges.charge_world import ChargeWorld, charge_world, keep_card
from tests.vault_calls import service_client
from tokenization.koshelek_pay.de55 import write_de55
from tokenization.koshelek_pay.phone import Phone, payment_fields

BUYER = "+79161234567"
AMOUNT = 149_990


class NearDeviceVault(NearVault):
    """The same with what routes of device tokens tell beside."""

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None,
        acting_for: str = "", request_id: str = "", query: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        del acting_for, request_id
        asked = urlencode(query or {})
        return await super().call(method, f"{path}?{asked}" if asked else path, body, idempotency_key=idempotency_key)

    async def close(self) -> None:
        await self.http.aclose()


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine, now: datetime) -> AsyncIterator[CardShop]:
    async with charge_world(vault_engine, now) as charges:
        yield await device_shop(client, engine, charges)


async def device_shop(client: Client, engine: Engine, charges: ChargeWorld) -> CardShop:
    """A shop whose vault has its line to the acquirer."""
    made = await card_shop(client, engine, charges)
    vault = NearDeviceVault(service_client(replace(charges.desk.vault, acquirer=charges.desk.link)))
    calls = CardCalls(engine, vault, Clock())
    door = client.app.state.door
    door.wiring = replace(door.wiring, cards=calls, vault=vault)
    made.vault, made.calls = vault, calls
    return made


async def put_on(shop: CardShop, phone: Phone) -> Any:
    """The shop's card on a phone, with a code by SMS and the first keys."""
    own = {"merchant_id": shop.merchant_id}
    wallet = await shop.made(
        "/v1/token-requestors",
        own | {"name": "Кошелёк", "channels": ["contactless", "ecom"], "amount_kopecks_max": 500_000_00},
    )
    device = {
        "installation_id": phone.installation_id, "public_jwk": phone.public_jwk, "attestation": phone.attestation,
    }  # fmt: skip
    token = await shop.made("/v1/device-tokens", own | {
        "trid": wallet["trid"], "card_token": shop.token, "device": device, "channels": ["contactless"],
        "phone": BUYER,
    })  # fmt: skip
    assert token["status"] == "awaiting_code"
    sent = await shop.vault.call("GET", "/v1/sandbox/sms?phone=%2B79161234567")
    code = re.search("[0-9]{6}", sent["text"])
    assert code
    path = f"/v1/device-tokens/{token['id']}"
    await shop.made(f"{path}/code", own | {"code": code.group()}, 200)
    now = shop.charges.clock.at
    keys = await shop.made(f"{path}/keys", own | {"request": phone.key_request(token["id"], now)}, 200)
    phone.take_keys(keys["jwe"])
    return keys["device_token"]


def said(token: Any, de55: str, **changed: Any) -> dict[str, Any]:
    return {"device_token": token["id"], "trid": token["trid"], "de55": in_base64(de55), "mcc": "5411"} | changed


def in_base64(de55: str) -> str:
    return b64encode(bytes.fromhex(de55)).decode()


async def attempt(shop: CardShop, order_id: str, device: dict[str, Any]) -> Any:
    return await shop.made(f"/v1/orders/{order_id}/attempts", {"rail": "koshelek_pay", "device": device})


async def issuer_answer(shop: CardShop, payment_id: str) -> bytes:
    query = text("SELECT issuer_answer FROM device_authorisations WHERE id = :id")
    async with shop.charges.desk.vault.transactions() as session:
        return bytes(await session.scalar(query, {"id": payment_id}))


async def test_a_phone_pays_an_order_down_to_the_books(shop: CardShop) -> None:
    phone = Phone()
    token = await put_on(shop, phone)
    order_id = await shop.order(AMOUNT)

    tried = await attempt(shop, order_id, said(token, phone.pay(token["id"], AMOUNT, shop.charges.clock.at)))

    order = await shop.read(f"/v1/orders/{order_id}")
    assert (order["status"], tried["status"], tried["rail"]) == ("paid", "paid", "koshelek_pay")
    payment = await shop.read(f"/v1/card-payments/{tried['payment_id']}")
    assert (payment["status"], payment["captured_kopecks"]) == ("captured", AMOUNT)
    assert payment["card_mask"].startswith("220000")
    assert payment["rrn"]
    assert len(await shop.entries()) == 1
    told = await shop.read(f"/v1/device-payments/{payment['id']}?merchant_id={shop.merchant_id}")
    assert (told["status"], told["response_code"], told["atc"]) == ("approved", "00", 1)
    assert b64decode(told["issuer_data"]) == b"\x91\x0a" + await issuer_answer(shop, payment["id"]) + b"00"
    foreign = await shop.api.get(f"/v1/device-payments/cpy_{'0' * 25}?merchant_id={shop.merchant_id}")
    assert foreign.status_code == 404
    refund = await shop.made(f"/v1/card-payments/{payment['id']}/refunds", {"amount_kopecks": 100})
    await shop.settle()
    assert (await shop.read(f"/v1/refunds/{refund['id']}"))["status"] == "succeeded"
    named = await shop.made("/v1/refunds", {"order_id": order["id"], "amount_kopecks": 100})
    assert (named["payment_id"], named["rail"], named["status"]) == (payment["id"], "card", "succeeded")


async def test_what_the_vault_does_not_let_through_is_refused_and_never_charged(shop: CardShop) -> None:
    phone = Phone()
    token = await put_on(shop, phone)
    chip = phone.pay(token["id"], AMOUNT, shop.charges.clock.at)

    for changed, reason in (
        ({"de55": in_base64(phone.pay(token["id"], AMOUNT - 1, shop.charges.clock.at))}, "device_amount_differs"),
        ({"de55": in_base64(f"9F2608{'0' * 16}{chip[22:]}")}, "cryptogram_wrong"),
        ({"de55": in_base64(chip[:-2])}, "de55_malformed"),
        ({"trid": "64300000000"}, "device_requestor_differs"),
        ({"channel": "ecom"}, "device_domain_refused"),
    ):
        order_id = await shop.order(AMOUNT)
        tried = await attempt(shop, order_id, said(token, chip) | changed)
        payments = (await shop.read("/v1/card-payments?limit=200"))["items"]
        mine = next(payment for payment in payments if payment["attempt_id"] == tried["id"])
        assert (tried["status"], mine["status"]) == ("rejected", "refused")
        assert mine["reason"] == reason
    async with shop.charges.desk.vault.transactions() as session:
        assert await session.scalar(text("SELECT count(*) FROM charges")) == 0
    assert await shop.entries() == []


async def test_chip_data_never_look_like_a_card_number_at_the_door(now: datetime) -> None:
    """In hexadecimal some do: a counter of 16… in front of zeros reads as the length of a number, and its number."""
    fields = payment_fields(AMOUNT, 0x1643, now) | {"95": bytes.fromhex("9505000000"), "9F26": bytes(8)}
    unlucky = "9F26082B60C97AC069615E9F36021650950500000000009A032611229C0100"

    assert tells_pan({"de55": unlucky}, NOTHING_ALLOWED)
    for chip in (unlucky, write_de55(fields)):
        assert not tells_pan({"de55": in_base64(chip)}, NOTHING_ALLOWED)


async def test_a_lost_answer_of_the_vault_is_asked_for_and_the_order_paid_once(shop: CardShop) -> None:
    phone = Phone()
    token = await put_on(shop, phone)
    order_id = await shop.order(AMOUNT)
    shop.vault.lose = 1

    tried = await attempt(shop, order_id, said(token, phone.pay(token["id"], AMOUNT, shop.charges.clock.at)))
    assert tried["status"] == "unknown"
    await shop.settle()

    assert (await shop.read(f"/v1/orders/{order_id}"))["status"] == "paid"
    assert any(call.endswith("/find-out") for call in shop.vault.calls)
    assert len(await shop.entries()) == 1


async def test_a_payment_that_comes_after_its_find_out_is_never_charged(shop: CardShop) -> None:
    phone = Phone()
    token = await put_on(shop, phone)
    order_id = await shop.order(AMOUNT)
    real, held = shop.vault.call, []

    async def call(method: str, path: str, *given: Any, **named: Any) -> Any:
        if path != "/v1/device-payments":
            return await real(method, path, *given, **named)
        held.append((method, path, given, named))  # it lies in the vault's socket
        raise VaultUnknown()

    shop.vault.call = call  # type: ignore[method-assign]
    tried = await attempt(shop, order_id, said(token, phone.pay(token["id"], AMOUNT, shop.charges.clock.at)))
    assert tried["status"] == "unknown"
    await shop.settle()
    method, path, given, named = held[0]
    with pytest.raises(VaultRefused) as refused:
        await real(method, path, *given, **named)

    assert refused.value.code == "vault.device_payment_denied"
    order = await shop.read(f"/v1/orders/{order_id}")
    assert [one["status"] for one in order["attempts"]] == ["rejected"]
    assert shop.charges.summary["net_kopecks"] == 0


async def test_a_lost_answer_of_the_acquirer_is_reversed_and_nobody_pays(shop: CardShop) -> None:
    phone = Phone()
    token = await put_on(shop, phone)
    order_id = await shop.order(AMOUNT)
    shop.charges.script("lost_answer")

    tried = await attempt(shop, order_id, said(token, phone.pay(token["id"], AMOUNT, shop.charges.clock.at)))
    assert tried["status"] == "unknown"
    await shop.settle()

    order = await shop.read(f"/v1/orders/{order_id}")
    assert [one["status"] for one in order["attempts"]] == ["rejected"]
    assert await shop.entries() == []


async def test_a_merchant_speaks_for_itself_and_its_buyers_only(
    shop: CardShop, client: Client, engine: Engine, now: datetime
) -> None:
    token = await put_on(shop, Phone())
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="till", scopes=("device_tokens:read", "device_tokens:write"), mode="test", now=now,
            merchant_id=shop.merchant_id,
        )  # fmt: skip
    merchant = Client(client.http, client.app, secret.expose())
    path = f"/v1/device-tokens/{token['id']}"

    held = await merchant.post(f"{path}/suspend", {"suspender": "buyer", "reason": "потерял"})
    assert [one["suspender"] for one in held.json()["suspensions"]] == ["buyer"]
    for suspender in ("issuer", "risk"):
        refused = await merchant.post(f"{path}/suspend", {"suspender": suspender, "reason": "хочу"})
        assert refused.status_code == 403
    again = await merchant.post(f"{path}/resume", {"suspender": "requestor"})
    assert (again.status_code, again.json()["code"]) == (409, "vault.device_suspension_not_yours")
    assert (await merchant.post(f"{path}/resume", {"suspender": "buyer"})).json()["is_payable"]
    assert (await merchant.get(path)).json()["card_mask"] == token["card_mask"]
    listed = await merchant.get(f"/v1/token-devices/{token['device_id']}/tokens")
    assert [one["id"] for one in listed.json()["items"]] == [token["id"]]
    phone = Phone()
    device = {"installation_id": phone.installation_id, "public_jwk": phone.public_jwk, "verdict": "trusted"}
    asked = {"trid": token["trid"], "card_token": shop.token, "device": device, "channels": ["contactless"]}
    praised = await merchant.post("/v1/device-tokens", asked)
    assert (praised.status_code, praised.json()["code"]) == (403, "api.scope_missing")
    other = await keep_card(
        shop.charges.desk.vault, shop.charges.clock.at, "4242424242424242", merchant_id=shop.merchant_id
    )
    change = {"card_token": shop.token, "new_card_token": other}
    refused = await merchant.post("/v1/device-tokens/replace-card", change)
    assert (refused.status_code, refused.json()["code"]) == (403, "vault.device_card_is_another")
    changed = await shop.made("/v1/device-tokens/replace-card", change | {"merchant_id": shop.merchant_id}, 200)
    assert [one["card_token"] for one in changed["items"]] == [other]
    lost = await merchant.post(f"/v1/token-devices/{token['device_id']}/lose", {})
    assert [one["is_payable"] for one in lost.json()["items"]] == [False]
