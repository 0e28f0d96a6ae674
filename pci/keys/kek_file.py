"""The KEK in a file: sealed at start, opened by a passphrase (development) or by custodians' shares (SLIP-39).

Wrapping is AES-256-GCM under the KEK, here in memory. Rotation puts one more KEK into the same box.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pci.keys import key_file, shares
from pci.keys.envelope import cipher_of, close, open_closed
from pci.keys.errors import CustodianRepeated, KeyFileRefused, PassphraseWrong, SealBroken, Sealed, ShareRefused
from pci.keys.kek import READY, KekDescription, SealState, WrappedKey
from pci.keys.key_file import KeyFile, OpenKeks
from pci.secret import Secret

SHARES_WAIT = timedelta(minutes=30)
"""How long a share is kept for the next custodian to come."""
VERSIONS_MAX = 32
"""KEKs in one file: re-wrap and retire old ones before more are made."""


@dataclass(frozen=True, slots=True)
class GivenShare:
    """A custodian's share, waiting in memory for the others."""

    share: Secret
    given_at: datetime


@dataclass(slots=True)
class FileKek:
    """A key file and, once it is opened, the KEKs in it."""

    path: Path
    file: KeyFile
    apart_from: Sequence[Path] = ()
    given: dict[str, GivenShare] = field(default_factory=dict, repr=False)
    """Shares given so far, by custodian; forgotten as soon as the file opens or they turn out wrong."""
    box_key: bytes | None = field(default=None, repr=False)
    keks: OpenKeks | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return "file"

    @property
    def seal_state(self) -> SealState:
        if self.keks is not None:
            return READY
        return SealState(shares_needed=self.file.threshold, shares_given=len(self.given))

    async def unseal_with_passphrase(self, passphrase: Secret) -> None:
        """Open the file with its passphrase, for development.

        Raises: PassphraseWrong; KeyFileRefused if shares open this file.
        """
        if self.file.threshold:
            raise KeyFileRefused("this key file opens with custodians' shares, not with a passphrase")
        await self._open(passphrase.expose().encode())

    async def give_share(self, custodian: str, share: Secret, now: datetime) -> SealState:
        """Take one custodian's share; the last one needed opens the file.

        The custodian has been recognised by the caller.
        Raises: ShareRefused if it is damaged or not theirs; CustodianRepeated; KeyFileRefused if a passphrase opens it.
        """
        if not self.file.threshold:
            raise KeyFileRefused("this key file opens with a passphrase, not with shares")
        if self.keks is not None:
            return self.seal_state
        self.given = {name: given for name, given in self.given.items() if now - given.given_at < SHARES_WAIT}
        self._refuse_share(custodian, share)
        self.given[custodian] = GivenShare(share, now)
        if len(self.given) >= self.file.threshold:
            await self._open_with_shares()
        return self.seal_state

    def _refuse_share(self, custodian: str, share: Secret) -> None:
        if custodian in self.given:
            raise CustodianRepeated
        read = shares.read_share(share)
        holders = {holder.custodian: holder.index for holder in self.file.holders}
        if holders.get(custodian) != read.index:
            raise ShareRefused("this share is not this custodian's")

    async def _open_with_shares(self) -> None:
        given, self.given = self.given, {}
        try:
            await self._open(shares.combine([one.share for one in given.values()]))
        except PassphraseWrong:
            raise ShareRefused("these shares do not open this key file: all must be given again") from None

    async def _open(self, opener: bytes) -> None:
        self.box_key, self.keks = await asyncio.to_thread(self.file.open_box, opener)

    async def wrap(self, key: bytes, aad: bytes) -> WrappedKey:
        keks = self._opened()
        return WrappedKey(close(cipher_of(keks.keys[keks.primary]), key, aad), keks.primary)

    async def unwrap(self, blob: bytes, aad: bytes, version: str) -> bytes:
        if version not in self._opened().keys:
            self._look_again()  # another process may have rotated
        kek = self._opened().keys.get(version)
        if kek is None:
            raise SealBroken
        return open_closed(cipher_of(kek), blob, aad)

    async def rotate(self) -> str:
        self._opened()
        self._look_again()
        keks = self._opened()
        if len(keks.keys) >= VERSIONS_MAX:
            raise KeyFileRefused(f"the key file holds {VERSIONS_MAX} KEKs: forget old ones first")
        version = str(max(map(int, keks.keys)) + 1)
        self._keep(OpenKeks(version, {**keks.keys, version: key_file.new_kek()}))
        return version

    async def forget(self, version: str) -> None:
        """Destroy an old KEK once nothing is wrapped under it.

        Raises: KeyFileRefused if it is the one that wraps; Sealed.
        """
        self._opened()
        self._look_again()
        keks = self._opened()
        if version == keks.primary:
            raise KeyFileRefused("the KEK that wraps cannot be destroyed")
        self._keep(OpenKeks(keks.primary, {name: kek for name, kek in keks.keys.items() if name != version}))

    def _keep(self, keks: OpenKeks) -> None:
        assert self.box_key is not None
        file = self.file.with_keks(self.box_key, keks)
        key_file.write(self.path, file)
        self.file, self.keks = file, keks

    def _look_again(self) -> None:
        assert self.box_key is not None
        self.file = key_file.read(self.path, apart_from=self.apart_from)
        try:
            self.keks = self.file.open_with(self.box_key)
        except PassphraseWrong:
            raise KeyFileRefused(
                "the key file has been given new shares: start the vault again and unseal it"
            ) from None

    def _opened(self) -> OpenKeks:
        if self.keks is None:
            raise Sealed(state=str(self.seal_state))
        return self.keks

    async def describe(self) -> KekDescription:
        keks = self._opened()
        return KekDescription(
            provider=self.name,
            algorithm="aes-256-gcm",
            storage_form=f"{self.file.threshold} of {len(self.file.holders)} shares"
            if self.file.threshold
            else "passphrase",
            version=keks.primary,
            versions=tuple(sorted(keks.keys, key=int)),
            is_for_production=self.file.threshold >= 2,
        )


def load(path: Path, *, apart_from: Sequence[Path] = ()) -> FileKek:
    """A sealed provider of the file at ``path``.

    Raises: KeyFileRefused.
    """
    return FileKek(path, key_file.read(path, apart_from=apart_from), apart_from)
