"""The ring: data keys this process has opened, and the one way to get them.

Opening a key asks the KEK's keeper, which may be a network away, so it happens between transactions of the ring's own.
Give the ring transactions of an engine apart (two connections are enough): then work that holds a connection while it
asks for a key never waits for itself. What another process retired or destroyed is noticed within ``FRESH_SECONDS``.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pci.database import Session, Transactions
from pci.keys import register
from pci.keys.envelope import Dek, KeyMaterial, KeyUses
from pci.keys.errors import KeyWithdrawn, SealBroken, Sealed, WrongEnvironment
from pci.keys.kek import KekProvider, SealState
from pci.keys.key import OPENS, POLICIES, SCOPE_FORM, Algorithm, Key, KeyPurpose, KeyState, wrapping_context
from pci.keys.register import KeyDoing, StoredKey

USES_AT_ONCE = 65_536
"""Encryptions counted at once: one more write in so many, and at most so many too many after a crash."""
LOW_WATER = 16_384
"""``ensure`` leaves at least this many, so a batch of up to this size needs one call."""
FRESH_SECONDS = 5
KEY_BYTES = 32
TRIES_MAX = 5
"""Lost races for one scope before something else must be wrong."""


@dataclass(slots=True)
class OpenKey:
    """A key of the ring: its record as last read, and its bytes."""

    key: Key
    dek: Dek


class KeyRing:
    """Open keys of one process."""

    def __init__(
        self,
        transactions: Transactions,
        provider: KekProvider,
        *,
        env: str,
        origin: str = "vault",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transactions = transactions
        self.provider = provider
        self.env = env
        self.origin = origin
        self._monotonic = monotonic
        self._open: dict[int, OpenKey] = {}
        self._primaries: dict[tuple[KeyPurpose, str], int] = {}
        self._locks: defaultdict[tuple[KeyPurpose, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._looked_at = monotonic()

    @property
    def state(self) -> SealState:
        """Sealed, unsealing 1 of 2, or ready."""
        return self.provider.seal_state

    def primary(self, purpose: KeyPurpose, scope: str) -> Dek | None:
        """The key that closes, if this process has it open.

        Raises: Sealed.
        """
        self._refuse_sealed()
        number = self._primaries.get((purpose, scope))
        return None if number is None else self._open[number].dek

    async def ensure(self, purpose: KeyPurpose, scope: str, now: datetime) -> Dek:
        """The key that closes for this purpose and scope: the present one, or a new one when it is due or missing.

        Enough encryptions are reserved for a batch of ``LOW_WATER``.
        Raises: Sealed; ProviderUnavailable, and then nothing has changed; SealBroken.
        """
        self._refuse_sealed()
        if self._is_stale():
            await self._look_around()
        if (dek := self._ready(purpose, scope, now)) is not None:
            return dek
        assert SCOPE_FORM.fullmatch(scope), "a scope is a short word of ours"
        async with self._locks[(purpose, scope)]:
            if (dek := self._ready(purpose, scope, now)) is not None:
                return dek
            return await self._ensure(purpose, scope, now)

    async def by_number(self, number: int) -> Dek:
        """The key that closed a blob, to open it.

        Raises: Sealed; KeyNotFound; KeyWithdrawn; WrongEnvironment; ProviderUnavailable; SealBroken.
        """
        self._refuse_sealed()
        if self._is_stale():
            await self._look_around()
        if (known := self._open.get(number)) is not None:
            return known.dek
        async with self.transactions() as session:
            stored = await register.find_stored(session, number)
        return (await self._unwrap(stored)).dek

    async def renew(self, purpose: KeyPurpose, scope: str, now: datetime, *, doing: KeyDoing | None = None) -> Dek:
        """A new key closes from now on; the present one only opens. ``doing``: who wanted it, when not the ring itself.

        Raises: as ``ensure``.
        """
        self._refuse_sealed()
        async with self._locks[(purpose, scope)]:
            async with self.transactions() as session:
                stored = await register.find_active(session, purpose, scope, self.env)
            instead_of = None if stored is None else stored.key.number
            return await self._replace(purpose, scope, now, instead_of=instead_of, doing=doing)

    def forget(self, number: int) -> None:
        """Let go of a key that was moved to another state."""
        known = self._open.pop(number, None)
        if known is not None:
            known.dek.uses.is_retired = True
            if self._primaries.get((known.key.purpose, known.key.scope)) == number:
                del self._primaries[(known.key.purpose, known.key.scope)]

    def _refuse_sealed(self) -> None:
        if not self.state.is_ready:
            raise Sealed(state=str(self.state), shares_needed=self.state.shares_needed)

    def _ready(self, purpose: KeyPurpose, scope: str, now: datetime) -> Dek | None:
        number = self._primaries.get((purpose, scope))
        if number is None:
            return None
        known = self._open[number]
        due = POLICIES[purpose].renews_itself and known.key.is_due(now)
        closes = known.dek.cipher is not None
        return None if due or (closes and known.dek.uses.left < LOW_WATER) else known.dek

    async def _ensure(self, purpose: KeyPurpose, scope: str, now: datetime) -> Dek:
        async with self.transactions() as session:
            stored = await register.find_active(session, purpose, scope, self.env)
            due = stored is not None and POLICIES[purpose].renews_itself and stored.key.is_due(now)
            if stored is not None and not due and not await self._reserve(session, stored.key):
                stored = None  # retired between the two statements: a successor is there or is made
        if stored is None or due:
            return await self._replace(purpose, scope, now, instead_of=stored.key.number if stored else None)
        return await self._use(stored)

    async def _reserve(self, session: Session, key: Key) -> bool:
        if key.algorithm is not Algorithm.AES_256_GCM:
            return True
        return await register.reserve(session, key.number, USES_AT_ONCE)

    async def _use(self, stored: StoredKey) -> Dek:
        number = stored.key.number
        known = self._open.get(number) or await self._unwrap(stored)
        known.key = stored.key
        known.dek.uses.is_retired = False
        known.dek.uses.left += USES_AT_ONCE
        self._primaries[(stored.key.purpose, stored.key.scope)] = number
        return known.dek

    async def _replace(
        self, purpose: KeyPurpose, scope: str, now: datetime, *, instead_of: int | None, doing: KeyDoing | None = None
    ) -> Dek:
        doing = doing or KeyDoing("system:key_ring", self.origin, now)
        for _ in range(TRIES_MAX):
            async with self.transactions() as session:
                number = await register.next_number(session)
                version = await register.next_version(session, purpose, scope, self.env)
            key, material = new_key(number, purpose, scope, version, env=self.env, provider=self.provider.name, now=now)
            wrapped = await self.provider.wrap(material.expose(), context_of(key))
            async with self.transactions() as session:
                await register.lock_scope(session, purpose, scope, self.env)
                stored = await register.find_active(session, purpose, scope, self.env)
                if (stored.key.number if stored else None) == instead_of:
                    if await register.next_version(session, purpose, scope, self.env) != version:
                        continue
                    if instead_of is not None:
                        await register.move(session, instead_of, KeyState.DECRYPT_ONLY, doing)
                    await register.add_active(session, key, wrapped, doing)
                    stored = None
                elif stored is not None and not await self._reserve(session, stored.key):
                    continue
            return await self._use(stored) if stored is not None else self._begin(key, material, instead_of)
        raise Sealed("keys of this scope change too fast")  # pragma: no cover

    def _begin(self, key: Key, material: KeyMaterial, instead_of: int | None) -> Dek:
        if instead_of is not None:
            self._retire(instead_of)
        dek = Dek(key.number, material, key.algorithm, KeyUses(key.encryptions))
        self._open[key.number] = OpenKey(key, dek)
        self._primaries[(key.purpose, key.scope)] = key.number
        return dek

    def _retire(self, number: int) -> None:
        if (known := self._open.get(number)) is not None:
            known.dek.uses.is_retired = True

    async def _unwrap(self, stored: StoredKey) -> OpenKey:
        key = stored.key
        if key.env != self.env:
            raise WrongEnvironment(number=key.number, env=key.env)
        if key.state not in OPENS or stored.wrapped is None:
            raise KeyWithdrawn(number=key.number, state=str(key.state))
        if key.kek_provider != self.provider.name:
            raise SealBroken
        material = KeyMaterial(await self.provider.unwrap(stored.wrapped, context_of(key), key.kek_version))
        is_retired = key.state is not KeyState.ACTIVE
        dek = Dek(key.number, material, key.algorithm, KeyUses(is_retired=is_retired))
        return self._open.setdefault(key.number, OpenKey(key, dek))

    def _is_stale(self) -> bool:
        return bool(self._open) and self._monotonic() - self._looked_at >= FRESH_SECONDS

    async def _look_around(self) -> None:
        """See what other processes did to the keys we hold."""
        self._looked_at = self._monotonic()
        async with self.transactions() as session:
            states = await register.states_of(session, list(self._open))
        for number, known in list(self._open.items()):
            self._notice(known, states.get(number, KeyState.DESTROYED))

    def _notice(self, known: OpenKey, state: KeyState) -> None:
        if state not in OPENS:
            self.forget(known.key.number)
        elif state is not KeyState.ACTIVE and not known.dek.uses.is_retired:
            known.dek.uses.is_retired = True
            self._primaries.pop((known.key.purpose, known.key.scope), None)


def context_of(key: Key) -> bytes:
    """What a wrapped key is bound to."""
    return wrapping_context(number=key.number, purpose=key.purpose, scope=key.scope, version=key.version, env=key.env)


def new_key(
    number: int, purpose: KeyPurpose, scope: str, version: int, *, env: str, provider: str, now: datetime
) -> tuple[Key, KeyMaterial]:
    """A key that has never been anywhere yet, and its record."""
    policy = POLICIES[purpose]
    reserved = USES_AT_ONCE if policy.algorithm is Algorithm.AES_256_GCM else 0
    key = Key(
        number=number, purpose=purpose, scope=scope, version=version, state=KeyState.ACTIVE,
        algorithm=policy.algorithm, storage_form="wrapped", kek_provider=provider, kek_version="", env=env,
        cryptoperiod_days=policy.cryptoperiod_days, encryptions=reserved, created_at=now, activated_at=now,
        retired_at=None, destroyed_at=None,
    )  # fmt: skip
    return key, new_material(policy.algorithm)


def new_material(algorithm: Algorithm) -> KeyMaterial:
    """Fresh bytes from the operating system. Source: PCI DSS 3.7.1."""
    if algorithm is Algorithm.EC_P_256:
        private = ec.generate_private_key(ec.SECP256R1())
        return KeyMaterial(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return KeyMaterial(secrets.token_bytes(KEY_BYTES))
