"""A wallet for each test."""

from __future__ import annotations

from datetime import datetime

import pytest_asyncio

from ledger.database import Engine
from tests.conftest import VaultDatabase
from tests.tokenization.koshelek_pay.wallet import Wallet, open_wallet


@pytest_asyncio.fixture
async def wallet(vault_engine: Engine, vault_database: VaultDatabase, now: datetime) -> Wallet:
    """A wallet with one card that may put it on phones."""
    return await open_wallet(vault_engine, vault_database.superuser_url, now)
