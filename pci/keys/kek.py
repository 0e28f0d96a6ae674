"""The keeper of the KEK, as the ring sees it. Data keys are wrapped here; card numbers never come this way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key closed by the KEK, and by which version of it: or no version could ever be retired."""

    blob: bytes
    version: str


@dataclass(frozen=True, slots=True)
class SealState:
    """How far the vault is from working: sealed, unsealing 1 of 2, ready."""

    shares_needed: int
    shares_given: int = 0
    is_ready: bool = False

    def __str__(self) -> str:
        if self.is_ready:
            return "ready"
        return f"unsealing {self.shares_given} of {self.shares_needed}" if self.shares_given else "sealed"


READY = SealState(shares_needed=0, is_ready=True)


@dataclass(frozen=True, slots=True)
class KekDescription:
    """What the register says of a KEK. Source: PCI DSS 3.6.1.1, 12.3.3."""

    provider: str
    """``file``, ``pkcs11``, ``openbao``."""
    algorithm: str
    storage_form: str
    """How the KEK itself is kept: shares, device, service. Source: PCI DSS 3.6.1.2."""
    version: str
    """The one that wraps now."""
    versions: tuple[str, ...]
    """All that still open, oldest first."""
    is_for_production: bool
    """False while a passphrase in a file or an environment variable opens it."""


class KekProvider(Protocol):
    """Wraps and opens data keys. Called at a key's birth and first use in a process, never for each card."""

    @property
    def name(self) -> str:
        """What the register calls it."""

    @property
    def seal_state(self) -> SealState:
        """Whether it can work now."""

    async def wrap(self, key: bytes, aad: bytes) -> WrappedKey:
        """Close a key, bound to ``aad``.

        Raises: Sealed; ProviderUnavailable.
        """

    async def unwrap(self, blob: bytes, aad: bytes, version: str) -> bytes:
        """Open a key.

        Raises: Sealed; ProviderUnavailable; SealBroken if it is not what was closed, or the version is gone.
        """

    async def rotate(self) -> str:
        """Make a new version that wraps from now on; older ones still open. Returns its name.

        Raises: Sealed; ProviderUnavailable.
        """

    async def forget(self, version: str) -> None:
        """Destroy an old version; ``rewrapping.forget`` has seen that nothing is under it.

        Raises: KekRefused or KeyFileRefused if it is the one that wraps; Sealed; ProviderUnavailable.
        """

    async def describe(self) -> KekDescription:
        """What it is.

        Raises: Sealed; ProviderUnavailable.
        """
