"""The vault's watch over its own log: at start and each minute, and what happens while it is not what was exported.

Then the door answers 503 ``audit.rolled_back`` to whatever writes or reveals, and PostgreSQL itself refuses writes of
everything that runs besides, because every transaction of the vault is read-only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy.exc import DBAPIError

from api.audit_settings import AuditSettings
from api.audit_sinks import guard_of
from ledger.database import Engine, text, transaction
from pci.audit_log.checkpoint import VAULT_ORIGIN
from pci.audit_log.rollback import LogGuard, Rollback
from pci.database import Session, Transactions
from pci.keys.ring import KeyRing
from tokenization.vault import is_repairing

LOOK_SECONDS = 60.0
FIRST_SECONDS = 2.0
"""Between looks until the sealer has made its key."""

log = structlog.get_logger("vault")


@dataclass(slots=True)
class VaultGuard:
    """The guard of one vault process; it has nothing to compare before the sealer's first start."""

    settings: AuditSettings
    engine: Engine
    ring: KeyRing
    log_guard: LogGuard | None = field(default=None, init=False)

    @property
    def transactions(self) -> Transactions:
        """The vault's transactions: read-only while its log is rolled back."""
        return self._open

    @property
    def rollback(self) -> Rollback | None:
        """What is wrong with the log, if anything is."""
        return None if self.log_guard is None else self.log_guard.rollback

    def refuse_if_rolled_back(self) -> None:
        """Called before every write and every reveal. Raises: RolledBack."""
        if self.log_guard is not None:
            self.log_guard.refuse_if_rolled_back()

    async def look(self) -> None:
        """Compare the log with what was exported of it."""
        if self.settings.folder is None:
            return
        if self.log_guard is None:
            self.log_guard = guard_of(self.settings, VAULT_ORIGIN)
        if self.log_guard is None:
            log.warning("audit_alarm", what="not_watched", missing="kopeyka.vkeys of the sealer")
            return
        self.log_guard.ring = self.ring
        rollback = await self.log_guard.check(partial(transaction, self.engine))
        if rollback is not None:
            log.error("audit_alarm", what="rolled_back", flaw=rollback.flaw, exported=rollback.size)

        if self.log_guard.is_blind:
            log.error("audit_alarm", what="no_sink_answers")

    async def watch(self, stop: asyncio.Event) -> None:
        """Look each minute until asked to stop. What it last knew stands while the database is away."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS if self.log_guard is not None else FIRST_SECONDS)
            try:
                await self.look()
            except Exception as error:
                log.warning("audit_look_failed", error=type(error).__name__)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Session]:
        try:
            async with transaction(self.engine) as session:
                if self.rollback is not None and not is_repairing.get():
                    await session.execute(text("SET TRANSACTION READ ONLY"))
                yield session
        except DBAPIError as error:
            if isinstance(error.orig, ReadOnlySqlTransaction):
                self.refuse_if_rolled_back()
            raise
