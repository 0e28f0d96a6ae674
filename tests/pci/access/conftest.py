"""A process that keeps people's access, on a fresh database."""

from __future__ import annotations

from datetime import datetime

import pytest_asyncio

from ledger.database import Engine
from pci.access.deeds import Access
from tests.pci.access.world import make_access


@pytest_asyncio.fixture
async def access(vault_engine: Engine, now: datetime) -> Access:
    return await make_access(vault_engine, now)
