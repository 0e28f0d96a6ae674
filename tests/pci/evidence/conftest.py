"""A vault with keys, for the tests of evidence about it."""

from __future__ import annotations

from datetime import datetime

import pytest_asyncio

from ledger.database import Engine
from tests.card_world import World, make_world
from tests.conftest import VaultDatabase


@pytest_asyncio.fixture
async def world(vault_engine: Engine, vault_database: VaultDatabase, now: datetime) -> World:
    """A vault with keys for two merchants and no card."""
    return await make_world(vault_engine, vault_database, now)
