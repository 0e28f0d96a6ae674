"""A vault on a real database for tests of card entry, with a clock that is set by hand."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey

from ledger.database import Engine, transaction
from pci.keys.ring import KeyRing
from tests.vault_world import ready_ring
from tokenization.ids import new_id
from tokenization.sealed_cards import ALGORITHMS
from tokenization.settings import VaultSettings
from tokenization.vault import Vault

MIR = "2200111753579001"
VISA = "4242424242424242"
MERCHANT = "mer_01kaqz5vq8fpn9m9q4e6xw2v5c"
OTHER = "mer_01kaqz5vq8fpn9m9q4e6xw2v5d"
SHOP = "https://shop.example"
CVC = "731"


@dataclass
class EntryClock:
    """The vault's time."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def pass_(self, **parts: int) -> None:
        self.at += timedelta(**parts)


@dataclass
class EntryWorld:
    """A vault and its clock."""

    vault: Vault
    clock: EntryClock
    engine: Engine
    ring: KeyRing = field(repr=False)


async def entry_world(engine: Engine, now: datetime, **settings: Any) -> EntryWorld:
    ring, clock = await ready_ring(engine, now), EntryClock(now)
    chosen = VaultSettings(public_url="https://vault.test", **settings)
    return EntryWorld(Vault(functools.partial(transaction, engine), clock.now, ring, chosen), clock, engine, ring)


def wanted(**parts: Any) -> dict[str, Any]:
    """A form that a merchant's backend asks for."""
    return {"merchant_id": MERCHANT, "origin": SHOP, **parts}


def typed(pan: str = MIR, **parts: Any) -> dict[str, Any]:
    """What a buyer types."""
    return {"pan": pan, "expires_on": "2029-12", "cvc": CVC, **parts}


def seal(keys: dict[str, Any], now: datetime, pan: str = MIR, **parts: Any) -> str:
    """A card as a merchant's server seals it."""
    key = keys["keys"][0]
    inside = {
        "merchant_id": MERCHANT, "iat": int(now.timestamp()), "jti": new_id("jti"), "pan": pan, "expires_on": "2029-12",
    } | parts  # fmt: skip
    header = {"alg": ALGORITHMS[0], "enc": ALGORITHMS[1], "kid": key["kid"]}
    return jwe.encrypt_compact(header, json.dumps(inside), ECKey.import_key(key), algorithms=list(ALGORITHMS))
