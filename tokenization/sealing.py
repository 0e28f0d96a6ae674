"""Closing a card: what is written of it, and what that is bound to.

A blob opens only beside its token, its merchant, its key and its field's name, so a row that was swapped with another,
copied to another merchant or forged does not open. The fingerprint is a keyed digest of the number alone: a card that
was issued again, with a new expiry, keeps it. Source: PCI DSS 3.5.1, 3.5.1.1.
"""

from __future__ import annotations

from pci.keys.envelope import Dek, mac, seal, unseal
from pci.pan import Pan

PAN_FIELD = "pan"
HOLDER_FIELD = "holder"


def seal_pan(dek: Dek, pan: Pan, *, token: str, merchant_id: str) -> bytes:
    """Close a card number for one token of one merchant."""
    return seal(dek, pan.expose().encode("ascii"), context(PAN_FIELD, token, merchant_id, dek.number))


def unseal_pan(dek: Dek, blob: bytes, *, token: str, merchant_id: str) -> Pan:
    """Open it.

    Raises: SealBroken.
    """
    return Pan.of_sealed(unseal(dek, blob, context(PAN_FIELD, token, merchant_id, dek.number)))


def seal_holder(dek: Dek, name: str, *, token: str, merchant_id: str) -> bytes:
    """Close a holder's name for one token of one merchant."""
    return seal(dek, name.encode(), context(HOLDER_FIELD, token, merchant_id, dek.number))


def unseal_holder(dek: Dek, blob: bytes, *, token: str, merchant_id: str) -> str:
    """Open it.

    Raises: SealBroken.
    """
    return unseal(dek, blob, context(HOLDER_FIELD, token, merchant_id, dek.number)).decode()


def seal_again(old: Dek, new: Dek, blob: bytes, field: str, *, token: str, merchant_id: str) -> bytes:
    """Open under one key, close under another: the field stays what it was and bound to what it was bound to.

    Raises: SealBroken.
    """
    plain = unseal(old, blob, context(field, token, merchant_id, old.number))
    return seal(new, plain, context(field, token, merchant_id, new.number))


def context(field: str, token: str, merchant_id: str, key_number: int) -> bytes:
    """What a blob is bound to."""
    return f"card|{token}|{merchant_id}|{key_number}|{field}|v1".encode()


def fingerprint_of(key: Dek, scope: str, pan: Pan) -> bytes:
    """The digest by which the same number is known again in its scope. It never leaves the vault."""
    return mac(key, f"pan/v1|{scope}|{pan.expose()}".encode())
