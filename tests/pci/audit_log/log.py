"""A log for tests: staged and sealed in a real database, and ways to tamper with it that only a superuser has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg
from nacl.signing import SigningKey

from ledger.database import Engine, Session, transaction
from pci.audit_log.checkpoint import VAULT_ORIGIN, Checkpoint, Verifier
from pci.audit_log.event import AuditEvent
from pci.audit_log.sequencer import seal
from pci.audit_log.staging import stage
from tests.horizon import pass_horizon

KEY = SigningKey(b"k" * 32)
VERIFIER = Verifier(VAULT_ORIGIN, KEY.verify_key)


def event(now: datetime, number: int = 0) -> AuditEvent:
    return AuditEvent(
        action="card.revealed",
        actor="person:per_1",
        origin="req_1",
        subject=f"card:tok_{number}",
        happened_at=now,
        facts={"number": number},
    )


@dataclass(frozen=True)
class Log:
    """The vault's log: who writes to it, who seals it."""

    vault: Engine
    sequencer: Engine
    superuser_url: str
    now: datetime

    @property
    def transactions(self) -> Callable[[], AbstractAsyncContextManager[Session]]:
        return partial(transaction, self.sequencer)

    async def stage(self, first: int, count: int, *, is_behind_another: bool = False) -> None:
        async with transaction(self.vault) as session:
            await stage(session, [event(self.now, number) for number in range(first, first + count)])
        if not is_behind_another:
            await pass_horizon(self.vault)

    async def seal(self, **limits: int) -> Checkpoint | None:
        async with transaction(self.sequencer) as session:
            return await seal(session, VAULT_ORIGIN, KEY, now=self.now, **limits)

    async def grow(self, first: int, count: int) -> Checkpoint:
        await self.stage(first, count)
        checkpoint = await self.seal()
        assert checkpoint is not None
        return checkpoint

    def tamper(self, *statements: str) -> None:
        """As whoever has the whole server: triggers off, then the deed."""
        with psycopg.connect(self.superuser_url) as connection:
            for table in ("audit_leaves", "audit_checkpoints", "audit_exports", "audit_acceptances"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            for (table,) in connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
            ).fetchall():
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.superuser_url) as connection:
            return connection.execute(query.encode()).fetchall()
