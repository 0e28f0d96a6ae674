"""A vault for the benches: its database on a durable server, and a ring over a key file that costs nothing to open."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from api import bootstrap, migrate
from api.postgres import Server
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from pci.database import Transactions
from pci.keys import kek_file, key_file
from pci.keys.key_file import KeyFileCost
from pci.keys.ring import KeyRing
from pci.secret import Secret
from tokenization import cards

DATABASE = "kopeyka_vault"
MERCHANT = "mer_bench"
CONNECTIONS = 8
STATEMENT_SECONDS_MAX = 600
PASSPHRASE = Secret("only a bench opens with this")


@dataclass(frozen=True, slots=True)
class BenchVault:
    """What is measured, and the server it is on."""

    server: Server
    database: str
    transactions: Transactions
    ring: KeyRing

    @property
    def url(self) -> str:
        """The vault's own way in."""
        return self.server.url("kopeyka_vault", self.database)

    def superuser(self) -> psycopg.Connection:
        """A way to lay and count rows."""
        return psycopg.connect(self.server.url("postgres", self.database), autocommit=True)


def make_vault(server: Server, database: str = DATABASE) -> None:
    """Make a database of the vault and migrate it."""
    bootstrap.make_database(server.url("postgres", "postgres"), database, bootstrap.VAULT_ROLES)
    migrate.upgrade(server.url("kopeyka_migrator", database), tree=migrate.Tree.VAULT)


@asynccontextmanager
async def opened(
    server: Server, database: str = DATABASE, *, connections: int = CONNECTIONS
) -> AsyncIterator[BenchVault]:
    """The vault with its merchant's keys open."""
    engine = create_engine(
        server.url("kopeyka_vault", database), size=connections, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000
    )
    transactions = functools.partial(transaction, engine)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kek.json"
        cost = KeyFileCost(operations=1, memory_bytes=8_192)
        path.parent.chmod(0o700)
        key_file.write(path, key_file.new_file(PASSPHRASE.expose().encode(), context="kopeyka|test", cost=cost))
        kek = kek_file.load(path)
        await kek.unseal_with_passphrase(PASSPHRASE)
        ring = KeyRing(transactions, kek, env="test", origin="bench")
        await cards.prepare(ring, MERCHANT, machine_now())
        try:
            yield BenchVault(server, database, transactions, ring)
        finally:
            await engine.dispose()
