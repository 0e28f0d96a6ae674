"""Closing and opening bytes: the only module that touches AES-GCM.

    v1 (1 byte) | algorithm (1) | key number (4) | nonce (12) | ciphertext and tag (16 more than the plaintext)

The nonce is random, so one key closes at most 2^32 times; the ring counts. What the bytes belong to goes into ``aad``:
a blob moved to another row does not open, and nothing says why.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from pci.keys.errors import KeyRetired, KeyUsesSpent, SealBroken
from pci.keys.key import Algorithm

VERSION = 1
AES_256_GCM = 1
NONCE_BYTES = 12
TAG_BYTES = 16
HEAD_BYTES = 6
OVERHEAD_BYTES = HEAD_BYTES + NONCE_BYTES + TAG_BYTES
NUMBER_MAX = 2**32 - 1
PLAINTEXT_BYTES_MAX = 64 * 1024
"""Fields, not files: a card number, a private key, a scan of one page's metadata."""


class KeyMaterial:
    """A key's bytes: printed as stars, never pickled, compared in constant time, out by ``expose()`` only."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def expose(self) -> bytes:
        """The bytes themselves: each call of this is a place to look at."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyMaterial) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(("KeyMaterial", self._value))

    def __repr__(self) -> str:
        return "KeyMaterial(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


class KeyUses:
    """How many encryptions this process may still do with a key. None are left of a retired key."""

    __slots__ = ("is_retired", "left")

    def __init__(self, left: int = 0, *, is_retired: bool = False) -> None:
        self.left = left
        self.is_retired = is_retired

    def take(self, count: int) -> None:
        """Use up ``count``.

        Raises: KeyRetired; KeyUsesSpent if more must be reserved first (``KeyRing.ensure`` does).
        """
        if self.is_retired:
            raise KeyRetired
        if self.left < count:
            raise KeyUsesSpent
        self.left -= count


@dataclass(frozen=True, slots=True)
class Dek:
    """An open data key in this process's memory."""

    number: int
    key: KeyMaterial
    algorithm: Algorithm = Algorithm.AES_256_GCM
    uses: KeyUses = field(default_factory=KeyUses, compare=False)
    cipher: AESGCM | None = field(init=False, repr=False, compare=False)
    """Made once: a new one for each call halves the speed."""
    keyed: HMAC | None = field(init=False, repr=False, compare=False)
    """A digest that has taken in its key, and is copied for each message: half of what starting anew takes."""
    head: bytes = field(init=False, repr=False, compare=False)
    """How each blob that it closed begins."""

    def __post_init__(self) -> None:
        assert 0 < self.number <= NUMBER_MAX, "a key's number has four bytes in a blob"
        made = AESGCM(self.key.expose()) if self.algorithm is Algorithm.AES_256_GCM else None
        object.__setattr__(self, "cipher", made)
        keyed = HMAC(self.key.expose(), SHA256()) if self.algorithm is Algorithm.HMAC_SHA_256 else None
        object.__setattr__(self, "keyed", keyed)
        object.__setattr__(self, "head", head(self.number))


def seal(dek: Dek, plaintext: bytes, aad: bytes) -> bytes:
    """Close ``plaintext`` so that it opens only beside the same ``aad``.

    Raises: KeyRetired, KeyUsesSpent.
    """
    dek.uses.take(1)
    assert dek.cipher is not None, "a key of another algorithm does not close blobs"
    assert len(plaintext) <= PLAINTEXT_BYTES_MAX, "a blob holds a field, not a file"
    return dek.head + close(dek.cipher, plaintext, aad)


def unseal(dek: Dek, blob: bytes, aad: bytes) -> bytes:
    """Open a blob.

    Raises: SealBroken, without saying why.
    """
    if dek.cipher is None or bytes(blob[:HEAD_BYTES]) != dek.head:
        raise SealBroken
    return open_closed(dek.cipher, blob[HEAD_BYTES:], aad)


def number_in(blob: bytes) -> int:
    """The number of the key that closed a blob.

    Raises: SealBroken if it is not a blob of ours.
    """
    if len(blob) < OVERHEAD_BYTES or blob[0] != VERSION or blob[1] != AES_256_GCM:
        raise SealBroken
    return int.from_bytes(blob[2:HEAD_BYTES], "big")


def head(number: int) -> bytes:
    """How a blob that was closed with this key begins."""
    return bytes((VERSION, AES_256_GCM)) + number.to_bytes(4, "big")


def mac(dek: Dek, message: bytes) -> bytes:
    """HMAC-SHA-256 under a key made for it: fingerprints, references, digests of personal data."""
    assert dek.keyed is not None, "a key of another algorithm makes no digest"
    digest = dek.keyed.copy()
    digest.update(message)
    return digest.finalize()


def cipher_of(key: KeyMaterial) -> AESGCM:
    """A cipher for a KEK that is held here; data keys have theirs made with them."""
    return AESGCM(key.expose())


def close(cipher: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    """Nonce, ciphertext, tag: without our head."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, aad)


def open_closed(cipher: AESGCM, closed: bytes, aad: bytes) -> bytes:
    """The opposite of ``close``.

    Raises: SealBroken, without saying why.
    """
    try:
        return cipher.decrypt(closed[:NONCE_BYTES], closed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise SealBroken from None
