"""What one vault process works with, handed to every route of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pci.database import Transactions
from tokenization.settings import VaultSettings

if TYPE_CHECKING:
    from pci.keys.ring import KeyRing
    from tokenization.charges.acquirer_link import AcquirerLink


@dataclass(frozen=True, slots=True)
class Vault:
    """The vault's process: its database, its clock, its keys, its settings."""

    transactions: Transactions
    now: Callable[[], datetime]
    ring: KeyRing
    settings: VaultSettings
    acquirer: AcquirerLink | None = None
    """The line by which cards are charged, where there is an acquirer."""
    refuse_writes: Callable[[], None] = lambda: None
    """Raises RolledBack while the log is not what was exported of it: then nothing is written or revealed."""
