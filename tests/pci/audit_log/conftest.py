from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest_asyncio

from ledger.database import Engine, create_engine
from tests.conftest import VaultDatabase
from tests.pci.audit_log.log import Log


@pytest_asyncio.fixture
async def log(vault_database: VaultDatabase, vault_engine: Engine, now: datetime) -> AsyncIterator[Log]:
    """The vault's log, with nothing in it."""
    sequencer = create_engine(vault_database.sequencer_url)
    yield Log(vault_engine, sequencer, vault_database.superuser_url, now)
    await sequencer.dispose()
