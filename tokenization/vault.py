"""What one vault process works with, handed to every route of it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pci.database import Transactions
from tokenization.enumeration import UnknownTokens
from tokenization.settings import VaultSettings

if TYPE_CHECKING:
    from pci.audit_log.rollback import Rollback
    from pci.keys.ring import KeyRing
    from tokenization.charges.acquirer_link import AcquirerLink


is_repairing: ContextVar[bool] = ContextVar("is_repairing", default=False)
"""Whether this request is one of the few that may write while the log is rolled back."""


class LogWatch(Protocol):
    """Knows whether the vault's log is still what was exported of it."""

    @property
    def rollback(self) -> Rollback | None:
        """What is wrong with the log, if anything is."""

    def refuse_if_rolled_back(self) -> None:
        """Raises: RolledBack."""

    async def look(self) -> None:
        """Compare now."""


@dataclass(frozen=True, slots=True)
class Vault:
    """The vault's process: its database, its clock, its keys, its settings."""

    transactions: Transactions
    now: Callable[[], datetime]
    ring: KeyRing
    settings: VaultSettings
    acquirer: AcquirerLink | None = None
    """The line by which cards are charged, where there is an acquirer."""
    log_watch: LogWatch | None = None
    """Compares the log with what was exported of it; none where a test needs none."""

    unknown_tokens: UnknownTokens = field(default_factory=UnknownTokens)
    """Who asks for tokens that are not there."""

    def refuse_writes(self) -> None:
        """Called before whatever writes or reveals. Raises: RolledBack."""
        if self.log_watch is not None:
            self.log_watch.refuse_if_rolled_back()
