"""Кошелёк Pay at the till: a phone of the sandbox's, on which the buyer's card is put and which proves each payment.

The phone is played, everything on the wire is real: the vault issues the token, sends a code, hands out keys, checks
the cryptogram. What a phone keeps in its secure hardware is kept here in memory of this process and never written
down; another process, or the next start, puts the card on anew.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from typing import Any

from api.errors import VaultRefused, VaultUnavailable, VaultUnknown
from api.till_pages.asking import Said
from api.till_pages.at_till import AtTill, Form, awaited, price_of, refused
from api.till_pages.devices import Device
from api.till_pages.reading import read_again
from api.till_pages.sessions import SaidMessage, TillState
from tokenization.koshelek_pay.phone import Phone

RAIL = "koshelek_pay"
MCC = "5814"
"""Cafés. Source: ISO 18245."""
AMOUNT_KOPECKS_MAX = 50_000_000


class _Refused(Exception):
    """The card could not be put on the phone."""

    def __init__(self, said: Said) -> None:
        self.said = said


def wait_for_device(at: AtTill) -> TillState:
    """The till says what it wants, and waits for a phone."""
    if at.state.card_token is None or at.state.order is None:
        return at.state
    return replace(at.state, entry={"rail": RAIL}, notice=None)


async def tap(at: AtTill, _form: Form) -> TillState:
    """The buyer confirms on the phone and holds it to the till: the till pays by what the phone has proved."""
    order, card_token = at.state.order, at.state.card_token
    if awaited(at.state, RAIL) is None or order is None or card_token is None:
        return at.state
    try:
        device = await _ready(at, card_token)
    except _Refused as no:
        return refused(replace(at.state, entry=None), no.said)
    de55 = device.phone.pay(device.token_id, price_of(order, RAIL), at.now)
    await at.asking.tell(SaidMessage("phone", "till", "DE55"))
    proof = {
        "device_token": device.token_id, "trid": device.trid, "de55": b64encode(bytes.fromhex(de55)).decode(),
        "mcc": MCC,
    }  # fmt: skip
    body = {"rail": RAIL, "device": proof}
    said = await at.asking.ask("till", "POST", f"/v1/orders/{order['id']}/attempts", body)
    if not said.is_done:
        return refused(replace(at.state, entry=None), said)
    await at.asking.tell(SaidMessage("kopeyka", "vault", "POST /v1/device-payments", told=said.body["status"]))
    return await read_again(at, replace(at.state, entry=None, notice=None))


async def _ready(at: AtTill, card_token: str) -> Device:
    """The phone with the card on it and a key for one payment at least. Raises: _Refused."""
    devices, link_code = at.devices, at.kept.link_code
    device = devices.find(link_code, card_token)
    if device is None:
        device = await _put_on(at, card_token)
        devices.keep(link_code, device)
    elif not device.phone.keys_left(device.token_id):
        await _take_keys(at, device)
    return device


async def _put_on(at: AtTill, card_token: str) -> Device:
    """The buyer's card on a phone: a token, a code by SMS where the vault wants one, the first keys."""
    own, phone, number = {"merchant_id": at.kept.merchant_id}, Phone(), _number(at.kept.link_code)
    wallet = await _made(
        at, "", own | {"name": "Кошелёк", "channels": ["contactless"], "amount_kopecks_max": AMOUNT_KOPECKS_MAX},
        path="/v1/token-requestors", key=f"till-pages-requestor-{at.kept.merchant_id}",
    )  # fmt: skip
    token = await _made(at, "", own | {
        "trid": wallet["trid"], "card_token": card_token, "channels": ["contactless"], "phone": number,
        "device": {
            "installation_id": phone.installation_id, "public_jwk": phone.public_jwk,
            "attestation": phone.attestation,
        },
    })  # fmt: skip
    if token["status"] == "awaiting_code":
        code = await _code(at, number)
        token = await _made(at, f"/{token['id']}/code", own | {"code": code})
    device = Device(phone, token["id"], wallet["trid"], card_token)
    await _take_keys(at, device)
    return device


async def _take_keys(at: AtTill, device: Device) -> None:
    asked = device.phone.key_request(device.token_id, at.now)
    sealed = await _made(at, f"/{device.token_id}/keys", {"merchant_id": at.kept.merchant_id, "request": asked})
    device.phone.take_keys(sealed["jwe"])


async def _made(at: AtTill, ending: str, body: Any, *, path: str = "/v1/device-tokens", key: str | None = None) -> Any:
    said = await at.asking.ask("phone", "POST", path + ending, body, key=key)
    if not said.is_done:
        raise _Refused(said)
    return said.body


async def _code(at: AtTill, number: str) -> str:
    """The code in the phone's last SMS. Raises: _Refused."""
    try:
        sent = await at.asking.door.wiring.vault.call("GET", "/v1/sandbox/sms", query={"phone": number})
    except (VaultRefused, VaultUnavailable, VaultUnknown):
        sent = {"text": None}
    await at.asking.tell(SaidMessage("vault", "phone", "SMS"))
    found = re.search(r"\d{6}", sent["text"] or "")
    if found is None:
        raise _Refused(Said(503, {"code": "sms_absent"}))
    return found[0]


def _number(link_code: str) -> str:
    """A phone number of the session's own, of a range that no operator has."""
    digits = int.from_bytes(hashlib.sha256(link_code.encode()).digest()[:8], "big") % 10**7
    return f"+7000{digits:07}"
