"""Proofs that a row is the vault's own: keyed digests that nobody makes who only reaches the database."""

from __future__ import annotations

import hmac
import json
from datetime import datetime

from pci.keys.envelope import mac
from pci.keys.errors import KeyNotFound, KeyWithdrawn, Sealed
from pci.keys.key import Algorithm, KeyPurpose
from pci.keys.ring import KeyRing

SCOPE = "people"
PROOF_BYTES = 36
"""The key's number in four bytes, then HMAC-SHA-256."""
_DOMAIN = "kopeyka/proof/v1"
_NUMBER_BYTES = 4


async def prove(ring: KeyRing, *parts: str, now: datetime) -> bytes:
    """The proof of a row, of which the parts say everything that must not be changed.

    Raises: Sealed; ProviderUnavailable.
    """
    dek = await ring.ensure(KeyPurpose.PROOF, SCOPE, now)
    return dek.number.to_bytes(_NUMBER_BYTES) + mac(dek, _message(parts))


async def holds(ring: KeyRing, proof: bytes | None, *parts: str) -> bool:
    """Whether the vault itself made this proof of these parts. Without open keys nothing holds."""
    if proof is None or len(proof) != PROOF_BYTES:
        return False
    try:
        dek = await ring.by_number(int.from_bytes(proof[:_NUMBER_BYTES]))
    except (KeyNotFound, KeyWithdrawn, Sealed):
        return False
    is_keyed = dek.algorithm is Algorithm.HMAC_SHA_256
    return is_keyed and hmac.compare_digest(mac(dek, _message(parts)), proof[_NUMBER_BYTES:])


def _message(parts: tuple[str, ...]) -> bytes:
    return json.dumps([_DOMAIN, *parts]).encode()
