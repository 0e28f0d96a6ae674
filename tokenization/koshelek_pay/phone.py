"""A phone, played: makes its key, opens the keys sealed to it, and proves payments with them. For tests and the demo.

What a real phone keeps in its secure hardware is here in memory. Everything on the wire is the real thing.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jwe, jws
from joserfc.jwk import ECKey

from tokenization.koshelek_pay.authorising import MOSCOW
from tokenization.koshelek_pay.de55 import COVERED, write_de55
from tokenization.koshelek_pay.device_messages import ALGORITHMS
from tokenization.koshelek_pay.emv import EmvFamily, cryptogram

ISSUER_DATA = bytes.fromhex("0601 12 03A00000")
"""Issuer application data: length, key index, cryptogram version, card verification results."""


@dataclass(slots=True, repr=False)
class PhoneKeys:
    """What the phone has of one token."""

    number: str
    family: EmvFamily
    keys: dict[int, bytes] = field(default_factory=dict)


class Phone:
    """One phone with its key and its tokens."""

    def __init__(self, installation_id: str | None = None) -> None:
        self._key = ECKey.generate_key("P-256")
        self.installation_id = installation_id or f"phone-{secrets.token_hex(8)}"
        self._tokens: dict[str, PhoneKeys] = {}

    @property
    def public_jwk(self) -> dict[str, Any]:
        """What the phone shows of its key."""
        return dict(self._key.as_dict(private=False))

    @property
    def attestation(self) -> list[str]:
        """What a phone's hardware would say of the key; here only the form of it."""
        return [base64.b64encode(b"attestation of " + self._key.thumbprint().encode()).decode()]

    def key_request(
        self, device_token: str, now: datetime, *, request_id: str | None = None, discard: bool = False
    ) -> str:
        """A signed request for keys."""
        content = {
            "device_token": device_token,
            "request_id": request_id or secrets.token_urlsafe(16),
            "asked_at": int(now.timestamp()),
            "discard": discard,
        }
        return jws.serialize_compact({"alg": "ES256"}, json.dumps(content).encode(), self._key, algorithms=["ES256"])

    def take_keys(self, sealed: str) -> int:
        """Open a batch of keys. How many came."""
        opened = jwe.decrypt_compact(sealed, self._key, algorithms=ALGORITHMS).plaintext
        assert opened is not None, "a batch is never empty"
        batch = json.loads(opened)
        token = self._tokens.setdefault(batch["device_token"], PhoneKeys(batch["number"], EmvFamily(batch["family"])))
        token.keys |= {key["atc"]: bytes.fromhex(key["key"]) for key in batch["keys"]}
        return len(batch["keys"])

    def keys_left(self, device_token: str) -> int:
        """How many more payments the phone can prove."""
        return len(self._tokens[device_token].keys)

    def number_of(self, device_token: str) -> str:
        """What the phone tells terminals."""
        return self._tokens[device_token].number

    def drop_key(self, device_token: str) -> None:
        """A tap that never reached anybody: its key is gone all the same."""
        keys = self._tokens[device_token].keys
        del keys[min(keys)]

    def pay(self, device_token: str, amount_kopecks: int, now: datetime, **changed: bytes) -> str:
        """Chip data that prove a payment. Each proof takes a key, and the key is gone. ``changed``: fields by tag."""
        token = self._tokens[device_token]
        atc = min(token.keys)
        key = token.keys.pop(atc)
        fields = payment_fields(amount_kopecks, atc, now) | changed
        proof = cryptogram(key, b"".join(fields[tag] for tag in COVERED), token.family)
        return write_de55({"9F26": proof, **fields})

    def copy(self) -> Phone:
        """A double with every key of a payment, as a thief of the memory would have it. The key pair stays behind."""
        double = Phone(self.installation_id)
        double._tokens = {
            name: PhoneKeys(token.number, token.family, dict(token.keys)) for name, token in self._tokens.items()
        }
        return double

    def __repr__(self) -> str:
        return f"Phone({self.installation_id})"


def payment_fields(amount_kopecks: int, atc: int, now: datetime) -> dict[str, bytes]:
    """What a terminal and a phone say of a purchase in roubles in Russia."""
    return {
        "9F27": b"\x80",
        "9F10": ISSUER_DATA,
        "9F37": secrets.token_bytes(4),
        "9F36": atc.to_bytes(2, "big"),
        "95": bytes(5),
        "9A": bytes.fromhex(f"{now.astimezone(MOSCOW):%y%m%d}"),
        "9C": b"\x00",
        "9F02": bytes.fromhex(f"{amount_kopecks:012d}"),
        "5F2A": bytes.fromhex("0643"),
        "82": bytes.fromhex("0080"),
        "9F1A": bytes.fromhex("0643"),
        "9F03": bytes(6),
    }
