"""Phones of the tills' buyers: one shows the loyalty card, another pays with a card that was put on it (Кошелёк Pay).

Both work as phones do: a phone has its secret or its keys and makes the next code or proof by itself.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b32decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from api.demo.caller import Caller
from api.demo.errors import DemoFailed
from api.demo.till_shop import Chain, created
from api.vault_certificates import VaultCertificates
from api.vault_client import VaultClient
from checkout.time_codes import step_of, time_code
from ledger.clock import machine_now
from tokenization.koshelek_pay.phone import Phone

MCC = "5411"
"""Grocery stores. Source: ISO 18245."""
AMOUNT_KOPECKS_MAX = 500_000_00
BUYER = "+7916000000"
"""And one more digit for each handset."""


@dataclass(slots=True)
class ShownCard:
    """A phone that shows a loyalty card: each of its codes counts once, and the next one comes with the next step."""

    prefix: str
    secret: bytes
    step_seconds: int
    digits: int
    last_step: int = 0

    def next_code(self, now: datetime) -> str | None:
        """What it shows now; nothing while the code of this step has been scanned already."""
        step = step_of(now)
        if step <= self.last_step:
            return None
        self.last_step = step
        return self.prefix + time_code(self.secret, step, digits=self.digits, hash_name="sha256")


@dataclass(slots=True)
class Wallets:
    """The phones of each loyalty card: a buyer who is back at the till within half a minute takes out another."""

    shown: dict[str, list[ShownCard]] = field(default_factory=dict)

    async def barcode(self, caller: Caller, card_id: str, what: str) -> str:
        """A code that nobody has scanned. Raises: DemoFailed."""
        phones = self.shown.setdefault(card_id, [])
        for phone in phones:
            if code := phone.next_code(machine_now()):
                return code
        path = f"/v1/loyalty-cards/{card_id}/showings"
        showing = await created(caller, path, {}, what)
        told = await caller.get(f"{path}/{showing['id']}/secret")
        padded = told["secret_base32"] + "=" * (-len(told["secret_base32"]) % 8)
        phone = ShownCard(told["barcode_prefix"], b32decode(padded), told["step_seconds"], told["digits"])
        phones.append(phone)
        code = phone.next_code(machine_now())
        assert code is not None, "a new phone has shown nothing"
        return code


@dataclass(slots=True)
class Handset:
    """A phone with one card of the chain's buyers on it, and the keys of its next payments."""

    merchant_id: str
    trid: str
    token_id: str
    phone: Phone
    batches: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One tap at a time."""

    async def take_keys(self, caller: Caller) -> None:
        """The next ten keys. Raises: DemoFailed."""
        self.batches += 1
        wish = {
            "merchant_id": self.merchant_id,
            "request": self.phone.key_request(self.token_id, machine_now()),
        }  # fmt: skip
        what = f"keys-{self.token_id}-{self.batches}"
        told = await created(caller, f"/v1/device-tokens/{self.token_id}/keys", wish, what)
        self.phone.take_keys(told["jwe"])

    async def tap(self, caller: Caller, amount_kopecks: int) -> dict[str, Any]:
        """What the till passes on of a payment that the phone has proved. Raises: DemoFailed."""
        if not self.phone.keys_left(self.token_id):
            await self.take_keys(caller)
        proof = bytes.fromhex(self.phone.pay(self.token_id, amount_kopecks, machine_now()))
        return {
            "device_token": self.token_id, "trid": self.trid, "mcc": MCC, "de55": b64encode(proof).decode(),
        }  # fmt: skip


async def put_on_phones(caller: Caller, chain: Chain, told: dict[str, Any]) -> list[Handset]:
    """Each stored card of the chain on a phone: with a code by SMS, as a card that was entered just now needs one.

    Raises: DemoFailed.
    """
    wish = {
        "merchant_id": chain.merchant_id, "name": "Кошелёк", "channels": ["contactless"],
        "amount_kopecks_max": AMOUNT_KOPECKS_MAX,
    }  # fmt: skip
    trid = (await created(caller, "/v1/token-requestors", wish, "chain-wallet"))["trid"]
    link = VaultCertificates(Path(told["data_dir"]) / "vault" / "certificates").of("api")
    vault = VaultClient(told["urls"]["vault"], link)
    try:
        return [
            await _put_on(caller, vault, chain.merchant_id, trid, card, number)
            for number, card in enumerate(chain.tokens)
        ]
    finally:
        await vault.close()


async def _put_on(
    caller: Caller, vault: VaultClient, merchant_id: str, trid: str, card_token: str, number: int
) -> Handset:
    own, phone, buyer = {"merchant_id": merchant_id}, Phone(), f"{BUYER}{number}"
    device = {"installation_id": phone.installation_id, "public_jwk": phone.public_jwk}
    wish = {"trid": trid, "card_token": card_token, "device": device, "channels": ["contactless"], "phone": buyer}
    token = await created(caller, "/v1/device-tokens", own | wish, f"handset-{number}")
    if token["status"] != "awaiting_code":
        raise DemoFailed(f"a card that was put on a phone is {token['status']}")
    sent = await vault.call("GET", "/v1/sandbox/sms", query={"phone": buyer})
    code = re.search("[0-9]{6}", sent["text"] or "")
    if code is None:
        raise DemoFailed("no code came by SMS")
    await created(
        caller, f"/v1/device-tokens/{token['id']}/code", own | {"code": code.group()}, f"handset-{number}-code"
    )  # fmt: skip
    handset = Handset(merchant_id, trid, token["id"], phone)
    await handset.take_keys(caller)
    return handset
