"""Passwords: what may be one, and how they are kept.

Source: PCI DSS 8.3.2 (unreadable), 8.3.6 (12 characters, letters and digits), 8.3.7 (not one of the last four).
Source: RFC 9106 section 4, second recommended option: Argon2id, 64 MiB, three passes. libsodium has one lane.
"""

from __future__ import annotations

import asyncio
import base64
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from pci.access.errors import PasswordWeak, SignInBusy
from pci.access.ids import new_noise
from pci.secret import Secret

CHARACTERS_MIN = 12
CHARACTERS_MAX = 128
"""Longer ones only make work for the hash."""
REMEMBERED = 4
"""How many of the last passwords may not come back."""
HASH_BYTES = 32
"""Of what Argon2 gives, as libsodium keeps it."""
HASHES_AT_ONCE_MAX = 2
"""Each takes 64 MiB and a core: more at once would stop the vault."""
HASHES_WAITING_MAX = 32
"""People who may wait for their turn; more are sent away to try again."""


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What guessing one password costs."""

    passes: int = 3
    memory_bytes: int = 64 * 2**20

    @property
    def prefix(self) -> str:
        """How a hash made at this cost begins."""
        return f"$argon2id$v=19$m={self.memory_bytes // 1024},t={self.passes},p=1$"

    def decoy(self) -> str:
        """What a hash of no password looks like: comparing with it takes as long, and making it takes nothing."""
        return self.prefix + "$".join(_base64(new_noise(count)) for count in (argon2id.SALTBYTES, HASH_BYTES))


def check_password(password: Secret, login: str) -> None:
    """Refuse a password that is easy to guess.

    Raises: PasswordWeak.
    """
    text = _normal(password)
    if not CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
        raise PasswordWeak(reason="length")
    if not any(map(str.isalpha, text)) or not any(map(str.isdigit, text)):
        raise PasswordWeak(reason="letters and digits")
    if login in text.lower():
        raise PasswordWeak(reason="has the login in it")


@dataclass(slots=True)
class Passwords:
    """The hashing of one process: how much it costs, and how many at once."""

    cost: PasswordCost = field(default_factory=PasswordCost)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHES_AT_ONCE_MAX))
    _waiting: int = 0
    _decoy: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._decoy = self.cost.decoy()

    async def hash(self, password: Secret) -> str:
        """The password as it is kept. Raises: SignInBusy."""
        async with self._turn():
            return await asyncio.to_thread(self._hash, password)

    async def matches(self, password: Secret, kept: str | None) -> bool:
        """Whether the password is the one that was kept; comparing with nothing takes as long. Raises: SignInBusy."""
        async with self._turn():
            is_same = await asyncio.to_thread(_verify, password, kept or self._decoy)
        return is_same and kept is not None

    async def matches_any(self, password: Secret, kept: Sequence[str]) -> bool:
        """Whether the password is one of several. Raises: SignInBusy."""
        return any([await self.matches(password, one) for one in kept])

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made at another cost and must be made again."""
        return not kept.startswith(self.cost.prefix)

    def _hash(self, password: Secret) -> str:
        made = argon2id.str(_bytes(password), opslimit=self.cost.passes, memlimit=self.cost.memory_bytes)
        return made.decode("ascii").rstrip("\0")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= HASHES_WAITING_MAX:
            raise SignInBusy()
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1


def _verify(password: Secret, kept: str) -> bool:
    try:
        return bool(argon2id.verify(kept.encode("ascii"), _bytes(password)))
    except CryptoError:
        return False


def _base64(raw: bytes) -> str:
    """As argon2 writes it: without the padding."""
    return base64.b64encode(raw).decode("ascii").rstrip("=")


def _bytes(password: Secret) -> bytes:
    return _normal(password)[:CHARACTERS_MAX].encode("utf-8", "replace")


def _normal(password: Secret) -> str:
    """The same letters typed on any keyboard are the same password."""
    return unicodedata.normalize("NFC", password.expose())
