"""A vault whose database was restored to an older copy: it says so, writes nothing, and goes on when two accept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psycopg
import pytest
import pytest_asyncio
from pydantic import SecretStr
from starlette.routing import Router

from api.audit_settings import AuditSettings
from api.sealer import export, look, seal_due, sealed_logs
from api.settings import Settings
from api.vault_guard import VaultGuard
from ledger.database import Engine, text
from pci.access.deeds import Access
from pci.access.passwords import Passwords
from pci.audit_log.errors import RolledBack
from pci.audit_log.staging import stage
from tests.conftest import VaultDatabase
from tests.pci.access.world import CHEAP, PASSWORD, Member, enrolled
from tests.pci.audit_log.log import event
from tests.vault_world import ready_ring
from tokenization.outermost import PUBLIC_HEADERS, VaultDoor
from tokenization.routes import people, rollbacks
from tokenization.settings import VaultSettings
from tokenization.vault import Vault

ADDRESS = "/vault/v1/rollback-acceptances"


@dataclass
class Restored:
    """A vault, its people, and what a thief of backups does to its database."""

    guard: VaultGuard
    vault: Vault
    members: dict[str, Member]
    superuser_url: str
    now: datetime

    def restore_an_older_copy(self) -> None:
        with psycopg.connect(self.superuser_url) as connection:
            for table in ("audit_exports", "audit_checkpoints", "audit_leaves"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
                connection.execute(f"DELETE FROM {table}".encode())

    async def browser(self, login: str) -> httpx.AsyncClient:
        routes = [*people.routes(self.vault), *rollbacks.routes(self.vault)]
        app = VaultDoor(
            Router(routes), PUBLIC_HEADERS, needs_peer=False, refuse_writes=self.vault.refuse_writes
        )  # fmt: skip
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 5_000))  # type: ignore[arg-type]
        browser = httpx.AsyncClient(
            transport=transport, base_url="https://vault.test", headers={"origin": "https://vault.test"}
        )
        body = {"login": login, "password": PASSWORD, "code": self.members[login].code(self.now)}
        assert (await browser.post("/vault/v1/sign-ins", json=body)).status_code == 201
        return browser


@pytest_asyncio.fixture
async def restored(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime, tmp_path: Path
) -> AsyncIterator[Restored]:
    audit = AuditSettings(folder=tmp_path / "audit")
    (sealed,) = sealed_logs(Settings(vault_sequencer_database_url=SecretStr(vault_database.sequencer_url)), audit)
    ring = await ready_ring(vault_engine, now)
    guard = VaultGuard(audit, vault_engine, ring)
    settings = VaultSettings(password_passes=2, password_memory_mib=19)
    vault = Vault(guard.transactions, lambda: now, ring, settings, log_watch=guard)
    access = Access(vault.transactions, ring, Passwords(CHEAP))
    roles = {"anna": ["custodian"], "boris": ["custodian"], "admin": ["admin"]}
    members = {login: await enrolled(access, login, wanted, now) for login, wanted in roles.items()}
    await look(sealed)
    await seal_due(sealed)
    for sink in sealed.sinks:
        await export(sealed, sink)
    await guard.look()
    yield Restored(guard, vault, members, vault_database.superuser_url, now)
    await sealed.engine.dispose()


async def test_a_vault_with_its_own_history_works(restored: Restored) -> None:
    browser = await restored.browser("anna")

    told = await browser.get(ADDRESS)

    assert (told.status_code, told.json()["is_rolled_back"]) == (200, False)
    refused = await browser.post(ADDRESS, json={"reason": "just so"})
    assert (refused.status_code, refused.json()["code"]) == (409, "audit.acceptance_refused")


async def test_an_older_copy_makes_the_vault_read_only(restored: Restored, now: datetime) -> None:
    browser = await restored.browser("admin")
    restored.restore_an_older_copy()
    await restored.guard.look()

    body = {"login": "carl", "name": "Carl", "roles": ["support"], "reason": "hired"}
    answer = await browser.post("/vault/v1/people", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "audit.rolled_back")
    listed = await browser.get("/vault/v1/people")  # leaves a line in the log, so it cannot be answered either
    assert (listed.status_code, listed.json()["code"]) == (503, "audit.rolled_back")

    async def write_besides() -> None:
        async with restored.vault.transactions() as session:
            await stage(session, [event(now)])

    with pytest.raises(RolledBack):
        await write_besides()
    async with restored.vault.transactions() as session:
        assert await session.scalar(text("SELECT count(*) FROM people")) == 3


async def test_two_custodians_bring_it_back(restored: Restored) -> None:
    restored.restore_an_older_copy()
    await restored.guard.look()
    anna, boris = await restored.browser("anna"), await restored.browser("boris")

    told = (await anna.get(ADDRESS)).json()
    assert (told["is_rolled_back"], told["flaw"]) == (True, "older than what was exported")
    first = await anna.post(ADDRESS, json={"reason": "the disk is lost"})
    assert (first.status_code, first.json()["acceptances"], first.json()["is_rolled_back"]) == (201, 1, True)
    assert (await anna.post(ADDRESS, json={"reason": "again"})).status_code == 409
    second = await boris.post(ADDRESS, json={"reason": "the disk is lost"})

    assert (second.status_code, second.json()["acceptances"], second.json()["is_rolled_back"]) == (201, 2, False)
    restored.vault.refuse_writes()


async def test_who_is_no_custodian_does_not_accept(restored: Restored) -> None:
    restored.restore_an_older_copy()
    await restored.guard.look()
    browser = await restored.browser("admin")

    assert (await browser.post(ADDRESS, json={"reason": "mine"})).status_code == 403


async def test_rows_that_the_vault_did_not_write_accept_nothing(
    restored: Restored, vault_database: VaultDatabase
) -> None:
    restored.restore_an_older_copy()
    await restored.guard.look()
    assert restored.guard.rollback is not None
    forged = "INSERT INTO audit_acceptances VALUES (%s, %s, %s, 'lost', now(), %s)"
    with psycopg.connect(vault_database.vault_url) as connection:
        for person in ("per_one", "per_two"):
            known = (restored.guard.rollback.size, restored.guard.rollback.root)
            connection.execute(forged, (*known, person, b"\0\0\0\1" + b"p" * 32))

    await restored.guard.look()

    assert restored.guard.rollback is not None
