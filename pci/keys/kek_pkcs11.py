"""The KEK in a device that speaks PKCS #11: it never leaves, and wraps and opens data keys inside.

One session and one lock for the whole process: the library does not ask a token for thread safety, and two threads on
two sessions of SoftHSM 2.6 end the process. Calls are rare (a key's birth and first use), so the lock costs nothing.
Source: DECISIONS.md of this package, "one session"; PCI DSS 3.6.1.2 (a SoftHSM token is a file, and no such device).
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pci.keys.envelope import NONCE_BYTES, TAG_BYTES
from pci.keys.errors import KekRefused, ProviderUnavailable, SealBroken
from pci.keys.kek import READY, KekDescription, SealState, WrappedKey
from pci.secret import Secret

try:
    import pkcs11
    from pkcs11 import exceptions as device_errors
except ImportError:  # the extra is not installed: whoever asks for a device is told
    pkcs11 = None  # type: ignore[assignment]

VERSIONS_MAX = 1_000
TIMEOUT_SECONDS = 5
KEY_BITS = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeviceTerms:
    """Which device, which token in it, and which key."""

    module: str
    """The vendor's library: ``/usr/lib/softhsm/libsofthsm2.so``."""
    token: str
    pin: Secret
    key: str = "kopeyka-kek"
    """Keys are labelled with this and a version: ``kopeyka-kek-3``."""
    timeout_seconds: int = TIMEOUT_SECONDS


@dataclass(slots=True)
class DeviceKek:
    """The process's one session with a device."""

    terms: DeviceTerms
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    session: Any = field(default=None, repr=False)
    keys: dict[str, Any] = field(default_factory=dict, repr=False)
    """Handles by version, good for as long as the session."""

    @property
    def name(self) -> str:
        return "pkcs11"

    @property
    def seal_state(self) -> SealState:
        return READY

    async def wrap(self, key: bytes, aad: bytes) -> WrappedKey:
        return await self._in_device(lambda: self._wrap(key, aad))

    async def unwrap(self, blob: bytes, aad: bytes, version: str) -> bytes:
        return await self._in_device(lambda: self._unwrap(blob, aad, version))

    async def rotate(self) -> str:
        return await self._in_device(self._rotate)

    async def describe(self) -> KekDescription:
        versions = await self._in_device(self._versions)
        return KekDescription(
            self.name, "aes-256-gcm", "device, not extractable", versions[-1], tuple(versions), is_for_production=True
        )

    async def forget(self, version: str) -> None:
        """Destroy an old KEK once nothing is wrapped under it.

        Raises: KekRefused if it is the one that wraps; ProviderUnavailable.
        """
        await self._in_device(lambda: self._forget(version))

    async def close(self) -> None:
        """Give the session back."""
        with self.lock:
            self._let_go()

    async def _in_device(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self.terms.timeout_seconds + 1):
                return await asyncio.to_thread(self._alone, work)
        except TimeoutError:
            raise ProviderUnavailable("the device does not answer") from None

    def _alone(self, work: Callable[[], T]) -> T:
        if pkcs11 is None:
            raise ProviderUnavailable("devices need the extra pkcs11: pip install 'kopeyka[pkcs11]'")
        if not self.lock.acquire(timeout=self.terms.timeout_seconds):
            raise ProviderUnavailable("the device is busy")
        try:
            if self.session is None:
                self._connect()
            return work()
        except device_errors.PKCS11Error as error:
            self._let_go()  # the next call begins anew
            raise ProviderUnavailable(f"the device failed: {type(error).__name__}") from None
        finally:
            self.lock.release()

    def _connect(self) -> None:
        try:
            token = pkcs11.lib(self.terms.module).get_token(token_label=self.terms.token)
            self.session = token.open(user_pin=self.terms.pin.expose(), rw=True)
        except RuntimeError as error:  # the library itself cannot be loaded
            raise ProviderUnavailable("the device's library cannot be loaded") from error

    def _let_go(self) -> None:
        self.keys.clear()
        session, self.session = self.session, None
        if session is not None:
            try:
                session.close()
            except device_errors.PKCS11Error:
                return  # it is gone anyway

    def _wrap(self, key: bytes, aad: bytes) -> WrappedKey:
        version = self._versions()[-1]
        nonce = secrets.token_bytes(NONCE_BYTES)
        return WrappedKey(nonce + bytes(self._key(version).encrypt(key, **gcm(nonce, aad))), version)

    def _unwrap(self, blob: bytes, aad: bytes, version: str) -> bytes:
        if version not in self._versions():
            raise SealBroken
        try:
            return bytes(self._key(version).decrypt(blob[NONCE_BYTES:], **gcm(blob[:NONCE_BYTES], aad)))
        except (
            device_errors.EncryptedDataInvalid,
            device_errors.EncryptedDataLenRange,
            device_errors.GeneralError,  # SoftHSM's word for a tag that does not fit
            device_errors.ArgumentsBad,
        ):
            self._let_go()  # an operation may be left open in the session
            raise SealBroken from None

    def _rotate(self) -> str:
        versions = self._versions(may_be_empty=True)
        if len(versions) >= VERSIONS_MAX:
            raise KekRefused(f"the device holds {VERSIONS_MAX} KEKs: forget old ones first")
        version = str(int(versions[-1]) + 1 if versions else 1)
        made = self.session.generate_key(
            pkcs11.KeyType.AES,
            KEY_BITS,
            label=f"{self.terms.key}-{version}",
            store=True,
            template={
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
                pkcs11.Attribute.WRAP: False,
                pkcs11.Attribute.UNWRAP: False,
                pkcs11.Attribute.ENCRYPT: True,
                pkcs11.Attribute.DECRYPT: True,
            },
        )
        refuse_extractable(made)
        return version

    def _forget(self, version: str) -> None:
        versions = self._versions()
        if version == versions[-1]:
            raise KekRefused("the KEK that wraps cannot be destroyed")
        if version in versions:
            self.keys.pop(version, None)
            self._find(version).destroy()

    def _versions(self, *, may_be_empty: bool = False) -> list[str]:
        found = self.session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY})
        labels = [key.label for key in found]
        start = f"{self.terms.key}-"
        versions = sorted({label.removeprefix(start) for label in labels if label.startswith(start)}, key=int)
        if not versions and not may_be_empty:
            raise KekRefused("there is no KEK in the device: make one")
        return versions

    def _key(self, version: str) -> Any:
        if version not in self.keys:
            key = self._find(version)
            refuse_extractable(key)
            self.keys[version] = key
        return self.keys[version]

    def _find(self, version: str) -> Any:
        return self.session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=f"{self.terms.key}-{version}")


def gcm(nonce: bytes, aad: bytes) -> dict[str, Any]:
    """AES-GCM as the device is asked for it."""
    return {
        "mechanism": pkcs11.Mechanism.AES_GCM,
        "mechanism_param": pkcs11.GCMParams(nonce, aad, TAG_BYTES * 8),
    }


def refuse_extractable(key: Any) -> None:
    """Prove by the device's own word that a KEK never left it and cannot.

    Raises: KekRefused.
    """
    says = {
        pkcs11.Attribute.SENSITIVE: True,
        pkcs11.Attribute.EXTRACTABLE: False,
        pkcs11.Attribute.NEVER_EXTRACTABLE: True,
        pkcs11.Attribute.ALWAYS_SENSITIVE: True,
    }
    wrong = [attribute.name for attribute, wanted in says.items() if key[attribute] is not wanted]
    if wrong:
        raise KekRefused("the KEK can leave its device, or once could", attributes=", ".join(wrong))
